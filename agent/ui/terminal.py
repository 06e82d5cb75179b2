"""What a person sees while the agent lives, and what is left at its end."""

from __future__ import annotations

import itertools
import json
import math
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.metrics import LoopMetrics
from agent.pause import Pauses
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.utils.atomic_io import replace_atomic

REFRESH_S = 1.0
PLAIN_EVERY = 10
"""Refreshes to a plain line."""


class StatusSource:
    """Reads the figures of the loop, the trainer's board and the versions that act.

    Args:
        figures: the loop's.
        board: the trainer's.
        roles: the learners.
        versions: returns the versions that act now, by role.
        rollouts_filled: returns how many windows were handed over.
        pauses: the loop's reasons to stand still.
        body: returns what the body has to tell.
    """

    def __init__(
        self,
        metrics: LoopMetrics,
        board: StatusBoard,
        roles: tuple[str, ...],
        versions: Callable[[], dict[str, int]],
        rollouts_filled: Callable[[], int],
        pauses: Pauses,
        body: Callable[[], Mapping[str, str | int | None]],
    ) -> None:
        self.metrics, self._board, self._roles = metrics, board, roles
        self._versions, self._rollouts_filled = versions, rollouts_filled
        self.pauses, self._body = pauses, body

    def learners(self) -> dict[str, dict[str, float | int | None]]:
        """Return the figures of every learner."""
        acting = self._versions()
        found: dict[str, dict[str, float | int | None]] = {}
        for role in self._roles:
            told = self._board.learner(role)
            found[role] = {
                "rollouts": int(told["rollouts"]),
                "updates": int(told["updates"]),
                "idle_updates": int(told["idle_updates"]),
                "skipped": int(told["skipped"]),
                "rollbacks": int(told["rollbacks"]),
                "seconds": round(told["seconds"], 3),
                "loss": None if math.isnan(told["loss"]) else told["loss"],
                "version_in_use": acting.get(role),
            }
        return found

    def summary(self) -> dict[str, Any]:
        """Return all figures, in the form of summary.json."""
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
            "rollouts_filled": self._rollouts_filled(),
            "rollouts_dropped": self._board.rollouts_dropped,
            "recorder": {
                "rollouts_dropped": self._board.recorder_dropped,
                "windows_refused": self._board.recorder_refused,
            },
            "learners": self.learners(),
            "reward": metrics.reward.summary(),
            "body": dict(self._body()),
        }

    def troubles(self) -> str:
        """Return what is wrong with the body now, in words; empty if nothing is."""
        told = self._body()
        return "; ".join(
            f"{key}: {told[key]}" for key in ("invalid_reason", "motion") if told.get(key)
        )

    @property
    def alive_s(self) -> float:
        """Seconds from when the first tick was due to the end of the last, pauses excluded."""
        start = self.metrics.first_deadline
        return 0.0 if start is None else max(0.0, self.metrics.last_end - start)


class StatusDisplay:
    """One live block on a terminal; a plain line now and then where there is none.

    Args:
        source: what is shown.
        watch: called every second, whatever becomes of the terminal.
        hint: how to stop it, and what else a person can do.
    """

    def __init__(self, source: StatusSource, watch: Callable[[], None], hint: str) -> None:
        self._source, self._watch, self._hint = source, watch, hint
        self._console = Console()
        self._end, self._wake = threading.Event(), threading.Event()
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._show, name="status", daemon=True),
            threading.Thread(target=self._look_after, name="watch", daemon=True),
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
        """Print a line above the block, soon; any thread may."""
        self._said.put(text)
        self._wake.set()

    def _look_after(self) -> None:
        """Apart from what is shown, for a terminal can be gone, or a log's disk full."""
        failure = ""
        while not self._end.wait(REFRESH_S):
            try:
                self._watch()
            # Whatever it is, the next look may go well; without looks nothing is ever replaced.
            except Exception as error:
                told = f"looking after the other processes fails ({type(error).__name__}: {error})"
                if told != failure:
                    self.safe_print(told)
                failure = told

    def _show(self) -> None:
        shown = block(self._source, self._hint)
        live = Live(shown, console=self._console, auto_refresh=False)
        with live if self._console.is_terminal else nullcontext():
            for count in itertools.count(1):
                self._wake.wait(REFRESH_S)
                self._wake.clear()
                # What cannot be printed is lost, and the next line tried again. Rich ends this
                # thread where a pipe has lost its reader.
                with suppress(OSError, SystemExit):
                    self._print_said()
                    if self._console.is_terminal:
                        live.update(block(self._source, self._hint), refresh=True)
                    elif count % PLAIN_EVERY == 0:
                        self._console.print(plain_line(self._source), soft_wrap=True, markup=False)
                if self._end.is_set():
                    break

    def _print_said(self) -> None:
        while not self._said.empty():
            self._console.print(self._said.get(), soft_wrap=True, markup=False)


def _clock_time(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _headline(source: StatusSource) -> str:
    f = source.metrics
    last, mean = f.reward.last_rollout, f.reward.mean
    state = f"PAUSED ({', '.join(source.pauses.reasons)})   " if source.pauses.paused else ""
    return (
        f"{state}alive {_clock_time(source.alive_s)}   {f.ticks} ticks at "
        f"{f.rate_hz(f.last_end):.2f} Hz   missed {f.missed}   "
        f"reward {_number(last)} (all time {_number(mean)})"
    )


def plain_line(source: StatusSource) -> str:
    """Return the status on one line."""
    learners = " ".join(
        f"{role}: {told['rollouts']} rollouts {told['updates']} updates "
        f"loss {_number(told['loss'])} "
        f"v{told['version_in_use'] if told['version_in_use'] is not None else '-'};"
        for role, told in source.learners().items()
    )
    return f"{_headline(source)}   {learners} {source.troubles()}".rstrip()


def block(source: StatusSource, hint: str) -> Group:
    """Return the status as a block, with a hint on what a person can do."""
    table = Table(box=None, pad_edge=False)
    for column in ("learner", "rollouts", "updates", "seconds", "loss", "version in use"):
        table.add_column(column, justify="left" if column == "learner" else "right")
    for role, told in source.learners().items():
        version = "-" if told["version_in_use"] is None else str(told["version_in_use"])
        table.add_row(
            role,
            str(told["rollouts"]),
            str(told["updates"]),
            _number(told["seconds"], 1),
            _number(told["loss"]),
            version,
        )
    ticks = source.metrics.tick_ms
    summary = source.summary()
    foot = (
        f"tick p50 {_number(ticks.percentile(0.5), 1)} ms, p99 {_number(ticks.percentile(0.99), 1)}"
        f" ms   windows {summary['rollouts_filled']} filled, {summary['rollouts_dropped']} dropped"
    )
    lines: list[RenderableType] = [
        Text(_headline(source), style="bold yellow" if source.pauses.paused else "bold"),
        table,
        Text(foot, style="dim"),
        Text(hint, style="dim"),
    ]
    if source.troubles():
        lines.insert(1, Text(source.troubles(), style="bold red"))
    return Group(*lines)


def write_summary(path: Path, summary: dict[str, Any]) -> bool:
    """Write summary.json so that a crash leaves all of it or nothing.

    Returns:
        Whether it is written. The checkpoints are what a run is gone on from, and the figures are
        printed anyway, so that a disk that refuses is an error to be told, and not more.
    """
    try:
        replace_atomic(path, (json.dumps(summary, indent=2) + "\n").encode())
    except OSError as error:
        told = f"error: {path} cannot be written ({error.strerror}); all it would say follows"
        print(told, file=sys.stderr, flush=True)
        return False
    return True


def print_summary(summary: dict[str, Any]) -> None:
    """Print the summary; the same figures as in the file."""
    print(json.dumps(summary, indent=2))
    sys.stdout.flush()
