"""What the trainer process does from its job to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from pamiq_lightning.class_spec import build
from pamiq_lightning.cores import keep_off, usable_cores
from pamiq_lightning.exchange.board import Board
from pamiq_lightning.exchange.weights import WeightsReader, WeightsWriter, tensors_of
from pamiq_lightning.exchange.windows import WindowsReader
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.trainer.checkpoint import (
    Keeper,
    checkpoint_file,
    load_optimizer,
    load_weights,
)
from pamiq_lightning.trainer.driver import Driver
from pamiq_lightning.trainer.job import TrainerJob
from pamiq_lightning.trainer.logs import AimThread, RunLog
from pamiq_lightning.trainer.loop import TrainerLoop
from pamiq_lightning.trainer.pictures import Artist
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.trainee import Trainee
from pamiq_lightning.trainer.warm_up import warm_up


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
    board, reader = Board(job.board), WindowsReader(job.windows)
    log = _make_log(job)
    trainees = [_make_trainee(role, settings, job) for role, settings in job.learners.items()]
    if job.resume:
        reader.cursor, reader.dropped = board.rounds, board.windows_dropped
        for trainee in trainees:
            trainee.go_on_from(board.learner(trainee.role))
    keeper = Keeper(job.run_folder, trainees, job.trainer.save_every)
    artist = Artist({t.role: t.learner for t in trainees}, log, job.trainer.pictures_every)
    loop = TrainerLoop(
        trainees,
        reader,
        board,
        log,
        wait,
        keeper.try_to_save,
        [artist, keeper],
        # Under lockstep nothing may depend on how long something took.
        fair=not job.lockstep,
        idle_ratio=job.trainer.idle_ratio if job.trainer.idle and not job.lockstep else 0.0,
    )
    board.set_ready()
    print(f"ready at {time.strftime('%H:%M:%S')}", flush=True)
    loop.run(on_round)
    keeper.save()
    log.close()


def _make_trainee(role: str, settings: LearnerSettings, job: TrainerJob) -> Trainee:
    """Build a learner with its driver, warm its code up, and publish its first weights."""
    learner = build(Learner, settings.model)
    saved = checkpoint_file(job.run_folder, role)
    resumed = job.resume and saved.is_file()
    if resumed:
        load_weights(learner, saved)
    elif settings.start_from:
        load_weights(learner, Path(settings.start_from))
    driver = Driver(learner, job.device, job.trainer.precision, job.compile)
    if resumed:
        load_optimizer(driver.optimizer, saved)
    acting = learner.acting
    writer = WeightsWriter(job.weights[role], acting) if acting is not None else None
    if job.resume and not resumed and acting is not None:
        # Died before its first save: what it had published is all there is.
        reader = WeightsReader(job.weights[role], acting, names=False)
        reader.begin()
        reader.copy(tensors_of(acting))
        learner.on_acting_restored()
    if not settings.freeze:
        with torch.random.fork_rng():
            warm_up(
                build(Learner, settings.model),
                job.windows.shape,
                job.device,
                job.trainer.precision,
                job.compile,
            )
    trainee = Trainee(role, learner, driver, writer, settings)
    trainee.publish()
    print(f"{role}: ready{' where it was saved' if resumed else ''}", flush=True)
    return trainee


def _make_log(job: TrainerJob) -> RunLog:
    """Open metrics.jsonl, and Aim beside it; its repository is the folder of all runs."""
    aim = None
    if job.trainer.aim:
        aim = AimThread(
            hash_file=job.run_folder / "aim_run",
            repo=job.run_folder.parent.parent,
            experiment=job.run_folder.parent.name,
            settings=job.settings,
            tell=lambda line: print(line, flush=True),
        )
    return RunLog(job.run_folder, aim)
