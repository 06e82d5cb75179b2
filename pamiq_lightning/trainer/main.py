"""What the trainer process does from its job to its end."""

from __future__ import annotations

import copy
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
from pamiq_lightning.exchange.rollouts import RolloutReader
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.exchange.weights import WeightsReader, WeightsWriter, tensors_of
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.run_files import AIM_RUN
from pamiq_lightning.trainer.checkpointer import Checkpoint, Checkpointer, read_checkpoint
from pamiq_lightning.trainer.config import TrainerConfig
from pamiq_lightning.trainer.loop import TrainerLoop
from pamiq_lightning.trainer.previews import PreviewRenderer
from pamiq_lightning.trainer.run_log import AimThread, RunLog
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.step_log import StepLog
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.warm_up import warm_up
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.cpu import keep_off, usable_cores
from pamiq_lightning.utils.file_lock import FileLock
from pamiq_lightning.utils.instantiate import instantiate
from pamiq_lightning.utils.safe_print import safe_print

_LOCK_LIMIT_S = 30.0
"""How long a trainer before this one may still hold the run's memories."""


def train(job: TrainerConfig, wait: Callable[[bool], bool], on_round: Callable[[], object]) -> None:
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
    board, reader = StatusBoard(job.board), RolloutReader(job.rollouts)
    log = _make_log(job)
    workers = [_make_worker(role, settings, job) for role, settings in job.learners.items()]
    checkpointer = Checkpointer(
        job.run_folder,
        workers,
        reader,
        job.trainer,
        job.settings,
        job.lockstep,
        board.set_save_error,
    )
    if job.resume:
        _replace_dead_trainer(workers, checkpointer, reader, board, job)
    elif job.checkpoint is not None:
        _go_on(workers, checkpointer, reader, read_checkpoint(job.checkpoint), job)
    else:
        for worker in workers:
            worker.publish()
    preview_renderer = PreviewRenderer(
        {t.role: t.learner for t in workers}, log, job.trainer.preview_every
    )
    loop = TrainerLoop(
        workers,
        reader,
        board,
        log,
        wait,
        checkpointer.try_to_save,
        [preview_renderer, checkpointer],
        [StepLog(job.run_folder, job.rollouts.shape)] if job.trainer.step_log else [],
        # Under lockstep nothing may depend on how long something took.
        fair=not job.lockstep,
        replay_ratio=job.trainer.replay_ratio
        if job.trainer.replay_when_idle and not job.lockstep
        else 0.0,
    )
    loop.begin()
    safe_print(f"ready at {time.strftime('%H:%M:%S')}")
    loop.run(on_round)
    checkpointer.save()
    try:
        checkpointer.save_for_lightning()
    except OSError as error:
        # All that a life goes on from is saved; these can be had from it.
        safe_print(f"not written for Lightning: {error}")
    log.close()
    lock.release()


def _make_worker(role: str, settings: LearnerSettings, job: TrainerConfig) -> LearnerWorker:
    """Build a learner with its driver and its memory, and warm its code up."""
    learner = instantiate(Learner, settings.model, f"learners.{role}.model")
    # Made before the real one is compiled and moved.
    warm_up_copy = None if settings.freeze else copy.deepcopy(learner)
    if settings.init_weights and not job.resume and job.checkpoint is None:
        load_weights(learner, Path(settings.init_weights))
    updater = Updater(learner, job.device, job.trainer.precision, job.compile)
    acting = learner.acting_module
    writer = WeightsWriter(job.weights[role], acting) if acting is not None else None
    fields = {key: (field.shape, field.dtype) for key, field in job.rollouts.shape.fields().items()}
    replay = make_replay(
        learner.replay,
        rows_folder(job.run_folder, role),
        {key: fields[key] for key in learner.required_keys},
    )
    if warm_up_copy is not None:
        with torch.random.fork_rng():
            warm_up(
                warm_up_copy,
                job.rollouts.shape,
                job.device,
                job.trainer.precision,
                job.compile,
            )
    return LearnerWorker(role, learner, updater, writer, settings, replay)


def _go_on(
    workers: list[LearnerWorker],
    checkpointer: Checkpointer,
    reader: RolloutReader,
    checkpoint: Checkpoint,
    job: TrainerConfig,
) -> None:
    """Go on with a run from a checkpoint, and publish the weights that are in it.

    Raises:
        CheckpointError: it is of other learners.
    """
    checkpointer.restore_learners(checkpoint)
    checkpointer.restore_rollouts(checkpoint)
    for worker in workers:
        version = worker.learner.latest_version
        if worker.writer and job.lockstep:
            if before := checkpoint.before.get(worker.role):
                worker.writer.version = before[0] - 1
                worker.writer.publish(before[1])
            # The very weights of that version.
            worker.writer.version = version - 1
        elif worker.writer:
            # What was rehearsed since then is in them too.
            worker.writer.version = version
        worker.publish()
        safe_print(f"{worker.role}: ready where {checkpoint.folder} was saved")


def _replace_dead_trainer(
    workers: list[LearnerWorker],
    checkpointer: Checkpointer,
    reader: RolloutReader,
    board: StatusBoard,
    job: TrainerConfig,
) -> None:
    """Go on in the place of a trainer that died, from the newest checkpoint that is sound."""
    reader.cursor, reader.dropped = board.rounds, board.rollouts_dropped
    restored = None
    for folder in find_checkpoints(job.run_folder):
        try:
            restored = read_checkpoint(folder)
            checkpointer.restore_learners(restored)
            break
        except CheckpointError as error:
            safe_print(f"{error}; going back to the checkpoint before")
            restored = None
    # What the checkpoint knows of the agent is older than what the agent has lived since.
    reader.read_latest_state()
    for worker in workers:
        acting = worker.learner.acting_module
        if restored is None and acting is not None:
            # Died before its first save: what it had published is all there is.
            published = WeightsReader(job.weights[worker.role], acting, names=False)
            published.begin()
            published.copy(tensors_of(acting))
            worker.learner.on_acting_restored()
        # What the dead one did is counted on, so that figures never go back.
        worker.restore_counters(board.learner(worker.role))
        worker.publish()
        where = f" where {restored.folder} was saved" if restored else ""
        safe_print(f"{worker.role}: ready{where}")


def _make_log(job: TrainerConfig) -> RunLog:
    """Open metrics.jsonl, and Aim beside it; its repository is the folder of all runs."""
    aim = None
    if job.trainer.aim:
        aim = AimThread(
            hash_file=job.run_folder / AIM_RUN,
            repo=job.run_folder.parent.parent,
            experiment=job.run_folder.parent.name,
            settings=job.settings,
            notify=safe_print,
        )
    return RunLog(job.run_folder, aim)
