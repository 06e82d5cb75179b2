"""What the trainer process does from its job to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from pamiq_lightning.checkpoint.files import CheckpointError, load_weights
from pamiq_lightning.checkpoint.store import (
    checkpoints_folder,
    find_checkpoints,
    rows_folder,
    trainer_lock,
)
from pamiq_lightning.exchange.rollouts import WindowsReader
from pamiq_lightning.exchange.status_board import Board
from pamiq_lightning.exchange.weights import WeightsReader, WeightsWriter, tensors_of
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.sampling import make_replay
from pamiq_lightning.trainer.checkpointer import Checkpoint, Keeper, read_checkpoint
from pamiq_lightning.trainer.config import TrainerJob
from pamiq_lightning.trainer.loop import TrainerLoop
from pamiq_lightning.trainer.previews import Artist
from pamiq_lightning.trainer.run_log import AimThread, RunLog
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.step_log import Track
from pamiq_lightning.trainer.update import Driver
from pamiq_lightning.trainer.warm_up import warm_up
from pamiq_lightning.trainer.worker import Trainee
from pamiq_lightning.utils.cpu import keep_off, usable_cores
from pamiq_lightning.utils.file_lock import FileLock
from pamiq_lightning.utils.instantiate import build
from pamiq_lightning.utils.safe_print import say

_LOCK_LIMIT_S = 30.0
"""How long a trainer before this one may still hold the run's memories."""


def train(job: TrainerJob, wait: Callable[[bool], bool], on_round: Callable[[], object]) -> None:
    """Build the learners, publish their first weights, and train until the board says stop.

    Args:
        job: all there is to know.
        wait: returns when something may be to do, or after a while (at once if given False); False
            if the agent is gone.
        on_round: called whenever all learners are done with one more window.
    """
    if job.agent_core is not None:
        keep_off(job.agent_core)
    cores = usable_cores()
    torch.set_num_threads(job.trainer.threads or (1 if job.lockstep else max(1, cores - 1)))
    torch.manual_seed(job.seed)
    checkpoints_folder(job.run_folder).mkdir(exist_ok=True)
    lock = FileLock(trainer_lock(job.run_folder))
    lock.wait(_LOCK_LIMIT_S)
    board, reader = Board(job.board), WindowsReader(job.windows)
    log = _make_log(job)
    trainees = [_make_trainee(role, settings, job) for role, settings in job.learners.items()]
    keeper = Keeper(
        job.run_folder,
        trainees,
        reader,
        job.trainer,
        job.settings,
        job.lockstep,
        board.set_save_error,
    )
    if job.resume:
        _replace_dead_trainer(trainees, keeper, reader, board, job)
    elif job.checkpoint is not None:
        _go_on(trainees, keeper, reader, read_checkpoint(job.checkpoint), job)
    else:
        for trainee in trainees:
            trainee.publish()
    artist = Artist({t.role: t.learner for t in trainees}, log, job.trainer.pictures_every)
    loop = TrainerLoop(
        trainees,
        reader,
        board,
        log,
        wait,
        keeper.try_to_save,
        [artist, keeper],
        [Track(job.run_folder, job.windows.shape)] if job.trainer.track else [],
        # Under lockstep nothing may depend on how long something took.
        fair=not job.lockstep,
        idle_ratio=job.trainer.idle_ratio if job.trainer.idle and not job.lockstep else 0.0,
    )
    loop.begin()
    say(f"ready at {time.strftime('%H:%M:%S')}")
    loop.run(on_round)
    keeper.save()
    try:
        keeper.save_for_lightning()
    except OSError as error:
        # All that a life goes on from is saved; these can be had from it.
        say(f"not written for Lightning: {error}")
    log.close()
    lock.release()


def _make_trainee(role: str, settings: LearnerSettings, job: TrainerJob) -> Trainee:
    """Build a learner with its driver and its memory, and warm its code up."""
    learner = build(Learner, settings.model)
    if settings.start_from and not job.resume and job.checkpoint is None:
        load_weights(learner, Path(settings.start_from))
    driver = Driver(learner, job.device, job.trainer.precision, job.compile)
    acting = learner.acting
    writer = WeightsWriter(job.weights[role], acting) if acting is not None else None
    fields = {key: (field.shape, field.dtype) for key, field in job.windows.shape.fields().items()}
    replay = make_replay(
        learner.memory,
        rows_folder(job.run_folder, role),
        {key: fields[key] for key in learner.needs},
    )
    if not settings.freeze:
        with torch.random.fork_rng():
            warm_up(
                build(Learner, settings.model),
                job.windows.shape,
                job.device,
                job.trainer.precision,
                job.compile,
            )
    return Trainee(role, learner, driver, writer, settings, replay)


def _go_on(
    trainees: list[Trainee],
    keeper: Keeper,
    reader: WindowsReader,
    checkpoint: Checkpoint,
    job: TrainerJob,
) -> None:
    """Go on with a run from a checkpoint, and publish the weights that are in it.

    Raises:
        CheckpointError: it is of other learners.
    """
    keeper.restore_learners(checkpoint)
    keeper.restore_windows(checkpoint)
    for trainee in trainees:
        version = trainee.learner.latest_version
        if trainee.writer and job.lockstep:
            if before := checkpoint.before.get(trainee.role):
                trainee.writer.version = before[0] - 1
                trainee.writer.publish(before[1])
            # The very weights of that version.
            trainee.writer.version = version - 1
        elif trainee.writer:
            # What was rehearsed since then is in them too.
            trainee.writer.version = version
        trainee.publish()
        say(f"{trainee.role}: ready where {checkpoint.folder} was saved")


def _replace_dead_trainer(
    trainees: list[Trainee],
    keeper: Keeper,
    reader: WindowsReader,
    board: Board,
    job: TrainerJob,
) -> None:
    """Go on in the place of a trainer that died, from the newest checkpoint that is sound."""
    reader.cursor, reader.dropped = board.rounds, board.windows_dropped
    restored = None
    for folder in find_checkpoints(job.run_folder):
        try:
            restored = read_checkpoint(folder)
            keeper.restore_learners(restored)
            break
        except CheckpointError as error:
            say(f"{error}; going back to the checkpoint before")
            restored = None
    # What the checkpoint knows of the agent is older than what the agent has lived since.
    reader.catch_up_with_moment()
    for trainee in trainees:
        acting = trainee.learner.acting
        if restored is None and acting is not None:
            # Died before its first save: what it had published is all there is.
            published = WeightsReader(job.weights[trainee.role], acting, names=False)
            published.begin()
            published.copy(tensors_of(acting))
            trainee.learner.on_acting_restored()
        # What the dead one did is counted on, so that figures never go back.
        trainee.go_on_from(board.learner(trainee.role))
        trainee.publish()
        where = f" where {restored.folder} was saved" if restored else ""
        say(f"{trainee.role}: ready{where}")


def _make_log(job: TrainerJob) -> RunLog:
    """Open metrics.jsonl, and Aim beside it; its repository is the folder of all runs."""
    aim = None
    if job.trainer.aim:
        aim = AimThread(
            hash_file=job.run_folder / "aim_run",
            repo=job.run_folder.parent.parent,
            experiment=job.run_folder.parent.name,
            settings=job.settings,
            tell=say,
        )
    return RunLog(job.run_folder, aim)
