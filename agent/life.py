"""One life from birth to summary: who is started when, and how everything is ended."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from agent import assembly
from agent.clock import make_clock
from agent.ctl import PID_FILE
from agent.dwelling import build_world
from agent.errors import RunFailure, StoppedEarly
from agent.loop import WEIGHT_BYTES_PER_TICK, Loop
from agent.mind import Mind
from agent.recorder import Recorder
from agent.settings import Settings, plain_settings
from agent.status import StatusDisplay, StatusSource, print_summary, write_summary
from agent.stopping import SecondInterrupt, StopRequest
from agent.worlds.base import World
from pamiq_lightning.cores import stay_on
from pamiq_lightning.step import ACTING_ROLES, StepShape
from pamiq_lightning.trainer.process import START_LIMIT_S, TrainerProcess

LOOK_S = 0.05


def make_run_folder(runs: Path, conf: str) -> Path:
    """Make `runs/<experiment>/<date-time>`.

    Raises:
        RunFailure: it cannot be written.
    """
    name = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = runs / conf / name
    try:
        for attempt in range(1, 100):
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                folder = runs / conf / f"{name}-{attempt}"
    except OSError as error:
        raise RunFailure(f"runs={runs}: cannot be written to ({error.strerror})") from error
    raise RunFailure(f"runs={runs}: a hundred runs were started in this second")


class Life:
    """Builds all parts, lives, and leaves a summary.

    Args:
        settings: of the run; defaults of classes are filled in.
        conf: name of the experiment.
        trainer: the process that is already importing; it has no job yet.
        stop: what ends it.
    """

    def __init__(
        self, settings: Settings, conf: str, trainer: TrainerProcess, stop: StopRequest
    ) -> None:
        self.settings, self.conf, self.trainer, self.stop = settings, conf, trainer, stop
        self._lockstep = settings.clock == "lockstep"
        self.recorder: Recorder | None = None
        self._recorder_lost = False

    def live(self) -> int:
        """Live until stopped; return the exit code.

        Raises:
            UsageError: the settings cannot be.
            RunFailure: the run cannot begin.
        """
        with ExitStack() as end:
            loop, status = self._prepare(end)
            return self._run(loop, status)

    def _prepare(self, end: ExitStack) -> tuple[Loop, StatusSource]:
        """Build everything up to the first tick; what is begun is undone if that fails."""
        settings = self.settings
        device = assembly.choose_device(settings.device, print)
        if settings.trainer.aim and importlib.util.find_spec("aim") is None:
            print("Aim is not installed here: figures go to metrics.jsonl alone.", flush=True)
        # One thread: a barrier among more loses the deadline while the trainer computes.
        torch.set_num_threads(1)
        if settings.agent_core is not None:
            stay_on(settings.agent_core)
        torch.manual_seed(settings.seed)
        learners = assembly.build_learners(settings)
        curiosity = assembly.build_curiosity(settings)
        frame_size = assembly.frame_size(learners)
        world = self._enter_world(frame_size)
        end.callback(world.close)
        self.folder = make_run_folder(Path(settings.runs), self.conf)
        self._undo_folder = end.enter_context(ExitStack())
        self._undo_folder.callback(shutil.rmtree, self.folder, ignore_errors=True)
        # After this in time, so before it at the end: nobody writes into a folder being removed.
        end.callback(self.trainer.kill)

        shape = assembly.step_shape(learners, world.info_names)
        acting = {
            role: module
            for role, learner in learners.items()
            if (module := learner.acting) is not None
        }
        self.hallway = self._open_hallway(shape, acting, tuple(learners))
        end.callback(self.hallway.remove)
        end.callback(self.hallway.board.ask_to_stop)
        self.trainer.begin(assembly.make_job(settings, self.hallway, self.folder, device))
        self._write_settings()
        if settings.record:
            self.recorder = Recorder(
                self.hallway.windows, self.hallway.board_spec, self.folder / "recording"
            )
            end.callback(self.recorder.kill)
        mind = assembly.build_mind(settings, acting, self.hallway, curiosity, device)
        clock = make_clock(settings.clock, settings.rate, settings.time_scale)
        loop = Loop(
            world,
            mind,
            self.hallway.writer,
            clock,
            settings.rate,
            self._on_window,
            None if self._lockstep else WEIGHT_BYTES_PER_TICK,
        )
        self._wait_for_trainer()
        mind.take_weights(None)
        self._warm_up(mind, frame_size)
        return loop, self._status(loop, mind, tuple(learners))

    def _open_hallway(
        self, shape: StepShape, acting: dict[str, nn.Module], roles: tuple[str, ...]
    ) -> assembly.Hallway:
        try:
            return assembly.open_hallway(shape, self.settings.window, acting, roles)
        except OSError as error:
            raise RunFailure(f"window={self.settings.window}: {error.strerror}") from error

    def _enter_world(self, frame_size: int) -> World:
        try:
            return build_world(self.settings, frame_size)
        except (RuntimeError, OSError) as error:
            raise RunFailure(str(error)) from error

    def _write_settings(self) -> None:
        """Write all that is needed to repeat the run."""
        text = yaml.safe_dump(plain_settings(self.settings), sort_keys=False)
        (self.folder / "settings.yaml").write_text(text, encoding="utf-8")

    def _wait_for_trainer(self) -> None:
        """Return when the first weights are out and the trainer's code is warm."""
        limit = time.monotonic() + START_LIMIT_S
        while not self.hallway.board.ready:
            if not self.trainer.alive:
                self._keep_folder()
                raise RunFailure(self.trainer.describe_end())
            if self.stop():
                raise StoppedEarly
            if time.monotonic() > limit:
                raise RunFailure(f"the trainer was not ready after {START_LIMIT_S:.0f} s")
            time.sleep(LOOK_S)

    @staticmethod
    def _warm_up(mind: Mind, frame_size: int) -> None:
        """Make the first, slow calls before the clock starts."""
        for _ in range(3):
            mind.act(np.zeros((3, frame_size, frame_size), np.uint8))
            mind.reflect()
        mind.reset()

    def _status(self, loop: Loop, mind: Mind, roles: tuple[str, ...]) -> StatusSource:
        return StatusSource(
            loop.figures,
            self.hallway.board,
            roles,
            lambda: dict(zip(ACTING_ROLES, mind.modules.versions(), strict=True)),
            lambda: self.hallway.writer.filled,
            loop.clock.now,
            loop.world.status,
        )

    def _on_window(self) -> None:
        """A window is full: wake the trainer; under lockstep, wait for it."""
        self.trainer.wake()
        while self._lockstep and self.hallway.board.rounds < self.hallway.writer.filled:
            self.trainer.wait_for_round()
            if not self.trainer.alive:
                raise RunFailure(self.trainer.describe_end())
            if self.stop():
                return

    def _run(self, loop: Loop, status: StatusSource) -> int:
        """Live, then end everything in order: inputs, trainer, recorder, summary."""
        self._keep_folder()
        (self.folder / PID_FILE).write_text(str(os.getpid()), encoding="ascii")
        print(f"Run folder: {self.folder}", flush=True)
        code, failure = 0, None
        try:
            with StatusDisplay(status, self._watch):
                self._count_down(loop)
                loop.run(self.stop, self.settings.steps, self.settings.seconds)
        except SecondInterrupt:
            code = 130
        except RunFailure as error:
            failure = error
        except Exception as error:
            failure = self._describe(error)
        # Before all that takes time; a world that is gone cannot be told, and must not stop this.
        with suppress(RuntimeError, OSError):
            loop.world.rest()
        code = self._end(status, code, failure)
        if failure:
            raise failure
        return code

    def _describe(self, error: Exception) -> RunFailure:
        """Keep the whole story in a file, and tell it in one line."""
        path = self.folder / "error.log"
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return RunFailure(f"{type(error).__name__}: {error} (see {path})")

    def _count_down(self, loop: Loop) -> None:
        """Give a person time to stop the agent before its first input in VRChat."""
        if self.settings.world == "vrchat" and self.settings.vrchat.countdown_s > 0:
            wait = self.settings.vrchat.countdown_s
            print(f"The avatar will move in {wait:.0f} s. Ctrl-C stops it.", flush=True)
            loop.clock.sleep_until(loop.clock.now() + wait, self.stop)

    def _end(self, status: StatusSource, code: int, failure: RunFailure | None) -> int:
        """Stop the other processes and write the summary; return the exit code."""
        self.hallway.board.ask_to_stop()
        self.trainer.wake()
        if code == 0:
            try:
                lost = self._join_others()
            except SecondInterrupt:
                code, lost = 130, None
            if lost and not failure:
                print(f"error: {lost}", file=sys.stderr, flush=True)
                code, failure = 1, RunFailure(lost)
        summary = status.summary() | {
            "trainer_restarts": self.trainer.restarts,
            "ended": str(failure) if failure else self.stop.reason or "as set",
            "exit_code": 1 if failure else code,
        }
        write_summary(self.folder / "summary.json", summary)
        (self.folder / PID_FILE).unlink(missing_ok=True)
        print_summary(summary)
        return code

    def _join_others(self) -> str | None:
        """Wait until trainer and recorder have written what they have; say what was lost, if so."""
        saved = self.trainer.join()
        if self.recorder:
            self.recorder.join()
        return (
            None if saved else f"what was learned last is not saved: {self.trainer.describe_end()}"
        )

    def _watch(self) -> str | None:
        """Look after the other processes; return what a person should read.

        In real time a trainer that died is replaced. Under lockstep its end is the run's.
        """
        if self.recorder and not self.recorder.alive and not self._recorder_lost:
            self._recorder_lost = True
            return "the recorder ended: what is lived from now on is not recorded"
        if self._lockstep:
            return None
        return self.trainer.watch(self.hallway.board, time.monotonic())

    def _keep_folder(self) -> None:
        self._undo_folder.pop_all()
