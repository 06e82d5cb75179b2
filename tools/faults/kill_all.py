"""F1-all: trainer, agent, recorder or all of them are killed while checkpoints are being written.

Whatever is killed, the run continues in the same folder: by itself if the agent is alive, else by
`resume=`. The recording is read before anything appends to it.
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from agent.ctl import ask
from agent.run_dir import TRAINER_LOG
from pamiq_lightning.checkpoint.snapshot import Checkpoint
from pamiq_lightning.checkpoint.store import find_checkpoints, trainer_lock
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.file_lock import FileLock
from tools.agent_process import AgentProcess, wait_until
from tools.faults.outcome import Outcome
from tools.faults.subject import start_debug_agent, usable

VICTIMS = ("trainer", "agent", "recorder", "all")
# A save after every rollout, a rollout a second: many kills hit a save.
_ROLLOUT = 32
_SETTINGS = (f"rollout_length={_ROLLOUT}", "rate=30", "trainer.replay_when_idle=false")
_BACK_S, _ORPHAN_S = 60.0, 60.0
_LOST_ROLLOUTS = 6.0
"""Of a recording: 90 steps of the video (docs/recordings.md), the rollout being written, one that
was full since the recorder looked, and the one that was not full yet."""


def run(trials: int) -> list[Outcome]:
    """Kill in every trial, each victim in turn."""
    broken = Outcome("F1-all newest checkpoints", "0 unusable", 0, "")
    scratch = Outcome("F1-all starts from scratch", "0", 0, "")
    lost = Outcome("F1-all lost", "0 saves: only what came after the last", 0, "saves")
    readable = Outcome("F1-all recordings", "0 unreadable or with a step twice", 0, "")
    tail = Outcome("F1-all not recorded", "the newest rollouts only", _LOST_ROLLOUTS, "rollouts")
    back = Outcome("F1-all continues", "in the same folder", _BACK_S, "s")
    rng = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as runs:
        agent = start_debug_agent(Path(runs), *_SETTINGS)
        try:
            first_step = _newest_step(agent)
            agent.wait_for_checkpoint()
            for trial in range(trials):
                victim = VICTIMS[trial % len(VICTIMS)]
                time.sleep(rng.uniform(0.2, 4.0))
                began, starts = time.monotonic(), agent.trainer_starts()
                newest_step, folder = _newest_step(agent), agent.folder
                others = _kill(agent, victim, rng)
                saved = _last_saved(folder)
                newest = _newest(folder, broken)
                if victim in ("agent", "all"):
                    _wait_for_orphans(folder)
                    psutil.wait_procs(others, _ORPHAN_S)
                    newest = _newest(folder, broken)
                if victim != "trainer":
                    _read_recording(folder, first_step, newest_step, readable, tail)
                if victim in ("agent", "all"):
                    agent = start_debug_agent(Path(runs), f"resume={folder}", *_SETTINGS)
                    first_step = _newest_step(agent)
                    scratch.values.append(float(newest is None or not _resumes(agent, newest)))
                elif victim == "trainer":
                    agent.wait_for_new_trainer(starts, _BACK_S)
                else:
                    _wait_for_recorder(agent)
                back.values.append(time.monotonic() - began)
                if newest is not None:
                    lost.values.append(max(0.0, saved - int(newest.folder.name)))
                safe_print(f"F1-all {victim}: back after {back.values[-1]:.1f} s")
                # Every trial begins with something to lose.
                agent.wait_for_checkpoint()
        finally:
            agent.kill()
    return [broken, scratch, lost, readable, tail, back]


def _kill(agent: AgentProcess, victim: str, rng: random.Random) -> list[psutil.Process]:
    """Kill; return all processes that were below the agent.

    An agent whose recorder is killed is suspended, so that no new recorder touches what that left.
    """
    root = psutil.Process(agent.process.pid)
    others = root.children(recursive=True)
    if victim == "agent":
        chosen = [root]
    elif victim == "all":
        chosen = [root, *others]
        rng.shuffle(chosen)
    else:
        found = agent.trainer() if victim == "trainer" else agent.recorder()
        chosen = [] if found is None else [found]
        if victim == "recorder":
            root.suspend()
    for process in chosen:
        process.kill()
    if root in chosen:
        agent.process.wait()
    return others


def _newest_step(agent: AgentProcess) -> int:
    """Return the number of the newest step, as soon as there is one."""
    limit = time.monotonic() + _BACK_S
    while time.monotonic() < limit:
        row = ask(agent.folder, "status")["row"]
        if row is not None:
            return int(row["index"])
        time.sleep(0.02)
    raise RuntimeError(f"no step within {_BACK_S:.0f} s: see {agent.folder}")


def _read_recording(
    folder: Path, first_step: int, newest_step: int, readable: Outcome, tail: Outcome
) -> None:
    """Read the whole recording but its frames, and its newest frames; measure what is missing.

    Steps count from `first_step`, an early one since the last resume, to `newest_step`.
    """
    try:
        reader = RecordingReader(folder)
        index = reader.column("index")
        reader.read(max(0, len(reader) - 64), len(reader))
        reader.close()
    except RecordingError as error:
        safe_print(error)
        readable.values.append(1.0)
        return
    readable.values.append(float(len(np.unique(index)) < len(index)))
    tail.values.append((newest_step - max(first_step, int(index[-1]))) / _ROLLOUT)
    safe_print(f"F1-all recording: lacks the last {tail.values[-1]:.1f} rollouts")


def _last_saved(folder: Path) -> int:
    """Return the number of the checkpoint that the trainer's log names last."""
    log = (folder / TRAINER_LOG).read_text()
    return int(re.findall(r"^saved (\d+) in", log, re.MULTILINE)[-1])


def _newest(folder: Path, broken: Outcome) -> Checkpoint | None:
    """Return the newest checkpoint, and count it if it cannot be used."""
    newest = find_checkpoints(folder)[0]
    checkpoint = usable(newest)
    if checkpoint is None and not newest.exists():
        # Pruned while it was read, by a trainer that still runs.
        return _newest(folder, broken)
    broken.values.append(float(checkpoint is None))
    return checkpoint


def _resumes(agent: AgentProcess, newest: Checkpoint) -> bool:
    """Return whether agent and trainer both say that they resume from a checkpoint."""
    named = f"Resuming from {newest.folder}" in agent.output
    log = (agent.folder / TRAINER_LOG).read_text().splitlines()
    return named and all(f"resumed from {newest.folder}" in line for line in log[-5:-1])


def _wait_for_orphans(folder: Path) -> None:
    """Return when a trainer whose agent was killed has saved and ended."""
    lock = FileLock(trainer_lock(folder))
    lock.wait(_ORPHAN_S)
    lock.release()


def _wait_for_recorder(agent: AgentProcess) -> None:
    """Let a suspended agent continue, and return when it has a recorder again."""
    psutil.Process(agent.process.pid).resume()
    wait_until(agent.recorder, _BACK_S)
