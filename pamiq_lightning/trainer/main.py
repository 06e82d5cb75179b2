"""The trainer process from its config to its end."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pamiq_lightning.checkpoint.files import CheckpointError, load_weights
from pamiq_lightning.checkpoint.snapshot import Checkpoint, read_checkpoint
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
from pamiq_lightning.trainer.aim_log import AimLog
from pamiq_lightning.trainer.aim_process import AimTarget, Parameters
from pamiq_lightning.trainer.checkpointer import Checkpointer
from pamiq_lightning.trainer.config import TrainerConfig
from pamiq_lightning.trainer.loop import RolloutCallback, TrainerLoop
from pamiq_lightning.trainer.previews import PreviewRenderer
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.step_log import StepLog
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.warm_up import warm_up
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.cpu import keep_off, usable_cores
from pamiq_lightning.utils.file_lock import FileLock
from pamiq_lightning.utils.instantiate import instantiate

Notify = Callable[[str], object]
"""Takes messages for the person."""
_LOCK_LIMIT_S = 30.0
"""How long an earlier trainer may still hold the run's replay files."""


def train(
    config: TrainerConfig, wait: Callable[[bool], bool], notify_agent: Callable[[], object]
) -> None:
    """Build the learners, publish their first weights, and train until the board says stop.

    Args:
        config: of the run.
        wait: returns when there may be work, or after a while (at once if given False); returns
            False if the agent is gone.
        notify_agent: called when all learners have finished one more rollout.
    """
    _configure_process(config)
    checkpoints_folder(config.run_folder).mkdir(exist_ok=True)
    lock = FileLock(trainer_lock(config.run_folder))
    lock.wait(_LOCK_LIMIT_S)
    board, reader = StatusBoard(config.board), RolloutReader(config.rollouts)

    def notify(text: str) -> None:
        """Write a message to the log, and have the agent show it to the person."""
        safe_print(text)
        board.post(text)

    log = _open_log(config, notify)
    workers = [_build_worker(role, settings, config) for role, settings in config.learners.items()]
    checkpointer = Checkpointer(
        config.run_folder, workers, reader, config.trainer, config.settings, config.lockstep, notify
    )
    if config.resume:
        _replace_dead_trainer(workers, checkpointer, reader, board, config, notify)
    elif config.checkpoint is not None:
        _resume(workers, checkpointer, read_checkpoint(config.checkpoint), config.lockstep)
    else:
        for worker in workers:
            worker.publish()
    loop = _build_loop(config, workers, reader, board, log, wait, checkpointer, lock, notify)
    loop.begin()
    safe_print(f"ready at {time.strftime('%H:%M:%S')}")
    loop.run(notify_agent)
    if not lock.in_place:
        safe_print("the run's folder was removed or renamed: nothing is saved")
        sys.exit(1)
    checkpointer.save()
    try:
        checkpointer.save_for_lightning()
    except OSError as error:
        # The run can be resumed without them, and they can be made from its checkpoint.
        notify(f"Lightning checkpoints not written: {error}")
    log.close()
    lock.release()


def _configure_process(config: TrainerConfig) -> None:
    """Set this process's cores, threads and random seed."""
    if config.agent_core is not None:
        keep_off(config.agent_core)
    others = 1 if config.lockstep else max(1, usable_cores() - 1)
    torch.set_num_threads(config.trainer.threads or others)
    torch.manual_seed(config.seed)


def _build_worker(role: str, settings: LearnerSettings, config: TrainerConfig) -> LearnerWorker:
    """Build a learner with its updater and replay buffer, and warm its code up."""
    learner = instantiate(Learner, settings.model, f"learners.{role}.model")
    # Copied before the learner is compiled and moved.
    warm_up_copy = None if settings.freeze else copy.deepcopy(learner)
    if settings.init_weights and not config.resume and config.checkpoint is None:
        load_weights(learner, Path(settings.init_weights))
    updater = Updater(learner, config.device, config.trainer.precision, config.compile)
    acting = learner.acting_module
    writer = WeightsWriter(config.weights[role], acting) if acting is not None else None
    shape = config.rollouts.shape
    fields = {key: (field.shape, field.dtype) for key, field in shape.fields().items()}
    replay = make_replay(
        learner.replay,
        rows_folder(config.run_folder, role),
        {key: fields[key] for key in learner.required_keys},
    )
    if warm_up_copy is not None:
        with torch.random.fork_rng():
            warm_up(warm_up_copy, shape, config.device, config.trainer.precision, config.compile)
    return LearnerWorker(role, learner, updater, writer, settings, replay)


def _build_loop(
    config: TrainerConfig,
    workers: list[LearnerWorker],
    reader: RolloutReader,
    board: StatusBoard,
    log: RunLog,
    wait: Callable[[bool], bool],
    checkpointer: Checkpointer,
    lock: FileLock,
    notify: Notify,
) -> TrainerLoop:
    """Build the loop with its callbacks."""

    def in_place(callback: RolloutCallback) -> RolloutCallback:
        """Never write into another folder that has the name of the run's."""
        return lambda rollout: callback(rollout) if lock.in_place else None

    settings, learners = config.trainer, {worker.role: worker.learner for worker in workers}
    previews = PreviewRenderer(learners, log, settings.preview_every)
    shape = config.rollouts.shape
    step_log = StepLog(config.run_folder, shape, notify) if settings.step_log else None
    # Under lockstep nothing may depend on how long something took.
    use_replay = settings.replay_when_idle and not config.lockstep
    return TrainerLoop(
        workers,
        reader,
        board,
        log,
        wait,
        lambda: lock.in_place and checkpointer.try_to_save(),
        on_round=[in_place(previews), in_place(checkpointer)],
        on_rollout=[in_place(step_log)] if step_log else [],
        fair=not config.lockstep,
        replay_ratio=settings.replay_ratio if use_replay else 0.0,
    )


def _resume(
    workers: list[LearnerWorker], checkpointer: Checkpointer, checkpoint: Checkpoint, lockstep: bool
) -> None:
    """Load all state from a checkpoint and publish its weights."""
    checkpointer.load_learners(checkpoint)
    checkpointer.load_rollouts(checkpoint)
    for worker in workers:
        version = worker.learner.latest_version
        if worker.writer and lockstep:
            if previous := checkpoint.previous.get(worker.role):
                worker.writer.version = previous[0] - 1
                worker.writer.publish(previous[1])
            # The weights are exactly those of this version.
            worker.writer.version = version - 1
        elif worker.writer:
            # The weights include replay updates made after this version was published.
            worker.writer.version = version
        worker.publish()
        safe_print(f"{worker.role}: resumed from {checkpoint.folder}")


def _replace_dead_trainer(
    workers: list[LearnerWorker],
    checkpointer: Checkpointer,
    reader: RolloutReader,
    board: StatusBoard,
    config: TrainerConfig,
    notify: Notify,
) -> None:
    """Continue for a trainer that died, from the newest valid checkpoint."""
    reader.cursor, reader.dropped = board.rounds, board.rollouts_dropped
    checkpoint = _load_newest_valid(checkpointer, config.run_folder, notify)
    # The agent's state in the checkpoint is older than its state in the ring.
    reader.read_latest_state()
    for worker in workers:
        acting = worker.learner.acting_module
        if checkpoint is None and acting is not None:
            # Without a checkpoint, only the published weights are left.
            published = WeightsReader(config.weights[worker.role], acting, reserve=False)
            published.begin()
            published.copy(tensors_of(acting))
            worker.learner.on_acting_restored()
        # Counts continue from the dead trainer's, so metrics never go back.
        worker.restore_counters(board.learner(worker.role))
        worker.publish()
        weights = "published weights" if acting is not None else "new weights"
        source = checkpoint.folder if checkpoint else weights
        safe_print(f"{worker.role}: resumed from {source}")


def _load_newest_valid(
    checkpointer: Checkpointer, run_folder: Path, notify: Notify
) -> Checkpoint | None:
    """Load the learners from the newest checkpoint that is valid; return None if none is."""
    for folder in find_checkpoints(run_folder):
        try:
            checkpoint = read_checkpoint(folder)
            checkpointer.load_learners(checkpoint)
            return checkpoint
        except CheckpointError as error:
            notify(f"{error}; trying the checkpoint before")
    return None


def _open_log(config: TrainerConfig, notify: Notify) -> RunLog:
    """Open metrics.jsonl, and Aim in the folder of all runs."""
    aim = None
    if config.trainer.aim:
        runs, experiment = config.run_folder.parent.parent, config.run_folder.parent.name
        aim = AimLog(AimTarget(runs, experiment, config.run_folder), notify)
        aim.put(Parameters("settings", config.settings))
    return RunLog(config.run_folder, aim, notify)
