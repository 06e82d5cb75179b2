"""F1-all: trainer, agent, recorder or all of them are killed while checkpoints are being written.

Whatever dies, the run goes on in the same folder: by itself where the agent lives, else by
`resume=`. What was recorded is read before anybody goes on with it.
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
from pamiq_lightning.checkpoint.store import (
    CheckpointError,
    find_checkpoints,
    trainer_lock,
)
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.trainer.checkpointer import Checkpoint, check_fit, read_checkpoint
from pamiq_lightning.utils.file_lock import FileLock
from tools.faults.outcome import Outcome
from tools.faults.run import Runner
from tools.faults.trainer import debug_learners

VICTIMS = ("trainer", "agent", "recorder", "all")
# A save after every window, a window a second: many kills fall into a save.
_WINDOW = 32
_SETTINGS = (
    f"rollout_length={_WINDOW}",
    "rate=30",
    "trainer.save_every=1",
    "trainer.replay_when_idle=false",
)
_BACK_S, _ORPHAN_S = 60.0, 60.0
_LOST_WINDOWS = 6.0
"""Of a recording: 90 steps of the video (docs/recordings.md), the window being written, one that
was full since the recorder looked, and the one that was not full yet."""


def run(trials: int) -> list[Outcome]:
    """Kill so many times, each victim in turn."""
    broken = Outcome("F1-all newest checkpoints", "0 that cannot be used", 0, "")
    anew = Outcome("F1-all starts from scratch", "0", 0, "")
    lost = Outcome("F1-all lost", "0 saves: what came after the last alone", 0, "saves")
    film = Outcome("F1-all recordings", "0 that cannot be read, or have a step twice", 0, "")
    tail = Outcome("F1-all not recorded", "the newest windows alone", _LOST_WINDOWS, "rollouts")
    back = Outcome("F1-all goes on", "in the same folder", _BACK_S, "s")
    rng = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        run = Runner(Path(folder), *_SETTINGS)
        born = _newest_step(run)
        try:
            _wait_for_checkpoint(run)
            for trial in range(trials):
                victim = VICTIMS[trial % len(VICTIMS)]
                time.sleep(rng.uniform(0.2, 4.0))
                began, starts = time.monotonic(), run.starts()
                newest_step = _newest_step(run)
                others = _kill(run, victim, rng)
                saved = _last_saved(run.folder)
                newest = _newest(run.folder, broken)
                if victim in ("agent", "all"):
                    _wait_for_orphans(run.folder)
                    psutil.wait_procs(others, _ORPHAN_S)
                    newest = _newest(run.folder, broken)
                if victim != "trainer":
                    _read_recording(run.folder, born, newest_step, film, tail)
                if victim in ("agent", "all"):
                    run = Runner(Path(folder), f"resume={run.folder}", *_SETTINGS)
                    born = _newest_step(run)
                    anew.values.append(float(newest is None or not _goes_on(run, newest)))
                elif victim == "trainer":
                    _wait_for_trainer(run, starts)
                else:
                    _wait_for_recorder(run)
                back.values.append(time.monotonic() - began)
                if newest is not None:
                    lost.values.append(max(0.0, saved - int(newest.folder.name)))
                print(f"F1-all {victim}: back after {back.values[-1]:.1f} s", flush=True)
                _wait_for_checkpoint(run)
        finally:
            run.kill()
    return [broken, anew, lost, film, tail, back]


def _kill(run: Runner, victim: str, rng: random.Random) -> list[psutil.Process]:
    """Kill; return all processes that were below the agent.

    An agent whose recorder was killed stands still, so that no new one touches what that left.
    """
    agent = psutil.Process(run.process.pid)
    others = agent.children(recursive=True)
    if victim == "agent":
        chosen = [agent]
    elif victim == "all":
        chosen = [agent, *others]
        rng.shuffle(chosen)
    else:
        chosen = [p for p in others if p.nice() == _nice_of(agent)[victim]]
        if victim == "recorder":
            agent.suspend()
    for process in chosen:
        process.kill()
    if agent in chosen:
        run.process.wait()
    return others


def _nice_of(agent: psutil.Process) -> dict[str, int]:
    """Return how far each steps back for others, which tells who it is."""
    return {"trainer": 19, "recorder": agent.nice() + 10}


def _newest_step(run: Runner) -> int:
    """Return the number of the newest step, as soon as there is one."""
    limit = time.monotonic() + _BACK_S
    while time.monotonic() < limit:
        row = ask(run.folder, "status")["row"]
        if row is not None:
            return int(row["index"])
        time.sleep(0.02)
    raise RuntimeError(f"no step within {_BACK_S:.0f} s: see {run.folder}")


def _read_recording(folder: Path, born: int, step: int, film: Outcome, tail: Outcome) -> None:
    """Read all that is recorded, and the newest frames, and see how much is missing at its end.

    Args:
        folder: of the run.
        born: an early step of this life; between the life before and this one nothing was lived.
        step: the newest one before the kill.
        film: where it is told whether all can be read.
        tail: where it is told how much is missing.
    """
    try:
        reader = RecordingReader(folder)
        index = reader.column("index")
        reader.read(max(0, len(reader) - 64), len(reader))
        reader.close()
    except RecordingError as error:
        print(error, flush=True)
        film.values.append(1.0)
        return
    film.values.append(float(len(np.unique(index)) < len(index)))
    tail.values.append((step - max(born, int(index[-1]))) / _WINDOW)
    print(f"F1-all recording: lacks the last {tail.values[-1]:.1f} windows", flush=True)


def _last_saved(folder: Path) -> int:
    """Return the number of the checkpoint that a trainer said last that it had written."""
    told = re.findall(r"^saved (\d+) in", (folder / TRAINER_LOG).read_text(), re.MULTILINE)
    return int(told[-1])


def _newest(folder: Path, broken: Outcome) -> Checkpoint | None:
    """Return the newest checkpoint, and count it if it cannot be used."""
    newest = find_checkpoints(folder)[0]
    try:
        checkpoint = read_checkpoint(newest)
        check_fit(checkpoint, debug_learners())
    except CheckpointError as error:
        if not newest.exists():
            # Pruned by a trainer that lives on, while it was read.
            return _newest(folder, broken)
        print(error, flush=True)
        broken.values.append(1.0)
        return None
    broken.values.append(0.0)
    return checkpoint


def _goes_on(run: Runner, newest: Checkpoint) -> bool:
    """Tell whether a life says that it goes on from there, and its trainer too."""
    told = any(f"Goes on from {newest.folder}" in line for line in run.said)
    log = (run.folder / TRAINER_LOG).read_text().splitlines()
    return told and all(f"ready where {newest.folder} was saved" in line for line in log[-5:-1])


def _wait_for_orphans(folder: Path) -> None:
    """Return when a trainer whose agent was killed has saved and ended."""
    lock = FileLock(trainer_lock(folder))
    lock.wait(_ORPHAN_S)
    lock.release()


def _wait_for_trainer(run: Runner, starts: int) -> None:
    limit = time.monotonic() + _BACK_S
    while run.starts() == starts and time.monotonic() < limit:
        time.sleep(0.02)


def _wait_for_recorder(run: Runner) -> None:
    """Let an agent that stands still go on, and return when it has a recorder again."""
    agent = psutil.Process(run.process.pid)
    agent.resume()
    limit = time.monotonic() + _BACK_S
    while time.monotonic() < limit:
        if any(p.nice() == _nice_of(agent)["recorder"] for p in agent.children(recursive=True)):
            return
        time.sleep(0.02)


def _wait_for_checkpoint(run: Runner) -> None:
    """Return when one more was written, so that every trial begins with something to lose."""
    before, limit = _newest_number(run.folder), time.monotonic() + _BACK_S
    while _newest_number(run.folder) == before:
        if time.monotonic() > limit:
            raise RuntimeError(f"no checkpoint within {_BACK_S:.0f} s: see {run.folder}")
        time.sleep(0.02)


def _newest_number(folder: Path) -> int:
    return next((int(found.name) for found in find_checkpoints(folder)), 0)
