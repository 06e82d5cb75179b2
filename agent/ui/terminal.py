"""The status of a run on the terminal, and its summary at the end."""

from __future__ import annotations

import itertools
import math
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.metrics import LoopMetrics
from agent.pause import Pauses
from agent.run_dir import ADDRESS, Address
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.console import print_error, safe_print, safe_stream
from pamiq_lightning.utils.json_text import json_text

REFRESH_S = 1.0
PLAIN_EVERY = 10
"""Refreshes per plain line, where there is no terminal."""
_COUNTERS = ("rollouts", "updates", "replay_updates", "skipped", "rollbacks")


@dataclass(frozen=True)
class StatusSource:
    """Reads the metrics of the loop and of the trainer, and the versions that act.

    Args:
        metrics: of the loop.
        board: of the trainer.
        roles: of the learners.
        versions: returns the versions that act now, by role.
        rollouts_filled: returns the number of committed rollouts.
        pauses: the loop's reasons to pause.
        world_status: returns the status of the world.
    """

    metrics: LoopMetrics
    board: StatusBoard
    roles: tuple[str, ...]
    versions: Callable[[], dict[str, int]]
    rollouts_filled: Callable[[], int]
    pauses: Pauses
    world_status: Callable[[], Mapping[str, str | int | None]]

    def learners(self) -> dict[str, dict[str, float | int | None]]:
        """Return the metrics of every learner, by role."""
        acting = self.versions()
        found: dict[str, dict[str, float | int | None]] = {}
        for role in self.roles:
            metrics = self.board.learner(role)
            found[role] = {
                **{name: int(metrics[name]) for name in _COUNTERS},
                "seconds": round(metrics["seconds"], 3),
                "loss": None if math.isnan(metrics["loss"]) else metrics["loss"],
                "version_in_use": acting.get(role),
            }
        return found

    def summary(self) -> dict[str, Any]:
        """Return all metrics, in the form of summary.json."""
        metrics = self.metrics
        return {
            "ticks": metrics.ticks,
            "rate_hz": round(metrics.rate_hz(metrics.last_end), 4),
            "missed_ticks": metrics.missed,
            "alive_s": round(self.alive_s, 3),
            "paused_s": round(metrics.paused_s, 3),
            "pauses": self.pauses.count,
            "tick_ms": metrics.tick_ms.summary(),
            "lateness_ms": metrics.lateness_ms.summary(),
            "latency_ms": metrics.latency_ms.summary(),
            "rollouts_filled": self.rollouts_filled(),
            "rollouts_dropped": self.board.rollouts_dropped,
            "recorder": {
                "rollouts_dropped": self.board.recorder_dropped,
                "rollouts_refused": self.board.recorder_refused,
            },
            "learners": self.learners(),
            "reward": metrics.reward.summary(),
            "world": dict(self.world_status()),
        }

    def warnings(self) -> str:
        """Return what is wrong with the world now; empty if nothing is."""
        status = self.world_status()
        return "; ".join(
            f"{key}: {status[key]}" for key in ("invalid_reason", "motion") if status.get(key)
        )

    @property
    def alive_s(self) -> float:
        """Seconds from the first deadline to the end of the last tick, pauses excluded."""
        start = self.metrics.first_deadline
        return 0.0 if start is None else max(0.0, self.metrics.last_end - start)


class StatusDisplay:
    """Shows a live block on a terminal, and a line now and then where there is none.

    Args:
        source: what is shown.
        watch: called every second in a thread of its own, even if the terminal fails.
        hint: the keys that a person can press.
    """

    def __init__(self, source: StatusSource, watch: Callable[[], None], hint: str) -> None:
        self._source, self._watch, self._hint = source, watch, hint
        self._console = Console(file=safe_stream())
        self._end, self._wake = threading.Event(), threading.Event()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._show, name="status", daemon=True),
            threading.Thread(target=self._run_watch, name="watch", daemon=True),
        ]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()

    def safe_print(self, text: str) -> None:
        """Print a line above the block soon; any thread may call it."""
        self._lines.put(text)
        self._wake.set()

    def _run_watch(self) -> None:
        """Watch apart from the display: a terminal can be gone, or a log's disk full."""
        failure = ""
        while not self._end.wait(REFRESH_S):
            try:
                self._watch()
            # The next call may succeed, and without calls no dead process is replaced.
            except Exception as error:
                message = f"watching the processes failed ({type(error).__name__}: {error})"
                if message != failure:
                    self.safe_print(message)
                failure = message

    def _show(self) -> None:
        shown = block(self._source, self._hint)
        live = Live(shown, console=self._console, auto_refresh=False)
        # A dumb terminal cannot move its cursor back to the first line of a block.
        draws = self._console.is_terminal and not self._console.is_dumb_terminal
        if self._console.is_dumb_terminal:
            safe_print(self._hint)
        with live if draws else nullcontext():
            for count in itertools.count(1):
                self._wake.wait(REFRESH_S)
                self._wake.clear()
                while not self._lines.empty():
                    safe_print(self._lines.get())
                if draws:
                    live.update(block(self._source, self._hint), refresh=True)
                elif count % PLAIN_EVERY == 0:
                    safe_print(plain_line(self._source))
                if self._end.is_set():
                    break


def _clock_time(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _headline(source: StatusSource) -> str:
    m = source.metrics
    last, mean = m.reward.last_rollout, m.reward.mean
    state = f"PAUSED ({', '.join(source.pauses.reasons)})   " if source.pauses.paused else ""
    return (
        f"{state}alive {_clock_time(source.alive_s)}   {m.ticks} ticks at "
        f"{m.rate_hz(m.last_end):.2f} Hz   missed {m.missed}   "
        f"reward {_number(last)} (mean {_number(mean)})"
    )


def plain_line(source: StatusSource) -> str:
    """Return the status on one line."""
    learners = " ".join(
        f"{role}: {m['rollouts']} rollouts {m['updates']} updates loss {_number(m['loss'])} "
        f"v{_number(m['version_in_use'], 0)};"
        for role, m in source.learners().items()
    )
    return f"{_headline(source)}   {learners} {source.warnings()}".rstrip()


def block(source: StatusSource, hint: str) -> Group:
    """Return the status as a block, with a hint on the keys."""
    table = Table(box=None, pad_edge=False)
    for column in ("learner", "rollouts", "updates", "seconds", "loss", "version in use"):
        table.add_column(column, justify="left" if column == "learner" else "right")
    for role, metrics in source.learners().items():
        table.add_row(
            role,
            str(metrics["rollouts"]),
            str(metrics["updates"]),
            _number(metrics["seconds"], 1),
            _number(metrics["loss"]),
            _number(metrics["version_in_use"], 0),
        )
    ticks = source.metrics.tick_ms
    summary = source.summary()
    foot = (
        f"tick p50 {_number(ticks.percentile(0.5), 1)} ms, p99 {_number(ticks.percentile(0.99), 1)}"
        f" ms   rollouts {summary['rollouts_filled']} filled, {summary['rollouts_dropped']} dropped"
    )
    lines: list[RenderableType] = [
        Text(_headline(source), style="bold yellow" if source.pauses.paused else "bold"),
        table,
        Text(foot, style="dim"),
        Text(hint, style="dim"),
    ]
    if source.warnings():
        lines.insert(1, Text(source.warnings(), style="bold red"))
    return Group(*lines)


def page_to_show(address: Address, folder: Path) -> str:
    """Return the live page's address; its token goes to terminals alone, since others read logs."""
    if safe_stream().isatty():
        return address.page
    return f"{address.site} (with its token: {folder / ADDRESS})"


def write_summary(path: Path, summary: dict[str, Any]) -> bool:
    """Write summary.json; a crash leaves all of it or nothing.

    Returns:
        Whether it is written. A disk that refuses is reported and not raised: the summary is also
        printed, and a run resumes from its checkpoints.
    """
    try:
        replace_atomic(path, (json_text(summary, indent=2) + "\n").encode())
    except OSError as error:
        message = f"error: {path} cannot be written ({error.strerror}); its content follows"
        print_error(message)
        return False
    return True
