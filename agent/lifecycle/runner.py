"""One life from birth to summary: who is started when, and how everything is ended."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

from agent import run_dir
from agent.actor import Actor
from agent.clock import make_clock
from agent.errors import RunFailure, StoppedEarly
from agent.lifecycle import build
from agent.lifecycle.actor_state import agent_state_bytes, first_rollout, is_exact, load_agent_state
from agent.lifecycle.recorder import Recorder
from agent.lifecycle.resume import print_config_diff
from agent.lifecycle.signals import ForceQuit, StopRequest
from agent.loop import WEIGHT_CHUNK_BYTES, Loop
from agent.pause import Pauses
from agent.settings.schema import Settings, plain_settings
from agent.ui.commands import Controls
from agent.ui.keyboard import HINT, HINT_WITHOUT_KEYS, Keys, can_read_keys, press
from agent.ui.server import Api
from agent.ui.terminal import StatusDisplay, StatusSource, print_summary, write_summary
from agent.ui.views import Views
from agent.worlds.base import World
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.factory import build_world, resolve_scene
from pamiq_lightning.curiosity.base import Curiosity
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.step import ACTING_ROLES, StepShape
from pamiq_lightning.trainer.checkpointer import Checkpoint
from pamiq_lightning.trainer.process import START_LIMIT_S, TrainerProcess
from pamiq_lightning.utils.cpu import stay_on

LOOK_S = 0.05
TELL_EVERY_S = 60.0
SWITCH_S = 0.001
"""How long another thread may keep the interpreter from a tick that wants it."""


class Runner:
    """Builds all parts, lives, and leaves a summary.

    Args:
        settings: of the run; defaults of classes are filled in.
        conf: name of the experiment.
        trainer: the process that is already importing; it has no job yet.
        stop: what ends it.
        listening: where the API will answer.
        start: checkpoint that a life before goes on from; default: a new life.
    """

    def __init__(
        self,
        settings: Settings,
        conf: str,
        trainer: TrainerProcess,
        stop: StopRequest,
        listening: socket.socket,
        start: Path | None = None,
    ) -> None:
        self.settings, self.conf, self.trainer, self.stop = settings, conf, trainer, stop
        self._listening, self.pauses = listening, Pauses()
        self._start = start
        self._checkpoint: Checkpoint | None = None
        self._exact = False
        self._told_of_save_at = -math.inf
        self._lockstep = settings.clock == "lockstep"
        self.recorder: Recorder | None = None

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
        device = build.choose_device(settings.device, print)
        if settings.trainer.aim and importlib.util.find_spec("aim") is None:
            print("Aim is not installed here: figures go to metrics.jsonl alone.", flush=True)
        # One thread: a barrier among more loses the deadline while the trainer computes.
        torch.set_num_threads(1)
        sys.setswitchinterval(SWITCH_S)
        if settings.agent_core is not None:
            stay_on(settings.agent_core)
        torch.manual_seed(settings.seed)
        curiosity, logged_rewards = (
            build.build_curiosity(settings),
            build.build_logged_rewards(settings),
        )
        build.enable_aux_heads(settings, [curiosity, *logged_rewards])
        learners = build.build_learners(settings, resuming=self._start is not None)
        frame_size = build.frame_size(learners)
        if self._start is not None:
            self._open_checkpoint(self._start, learners)
        world = self._enter_world(frame_size)
        end.callback(world.close)
        self._undo_folder = end.enter_context(ExitStack())
        if self._start is not None:
            self.folder = self._start.parent.parent
        else:
            self.folder = run_dir.make_run_dir(Path(settings.runs), self.conf)
            self._undo_folder.callback(shutil.rmtree, self.folder, ignore_errors=True)
        lock = run_dir.RunLock(self.folder)
        lock.take()
        end.callback(lock.release)
        # After this in time, so before it at the end: nobody writes into a folder being removed.
        end.callback(self.trainer.kill)

        build.check_info_keys([curiosity, *logged_rewards], world.info_names)
        shape = build.step_shape(learners, world.info_names, tuple(settings.logged_rewards))
        acting = {
            role: module
            for role, learner in learners.items()
            if (module := learner.acting_module) is not None
        }
        recording, plan = self.folder / run_dir.RECORDING, build.dataset_spec(settings, shape)
        if settings.record:
            build.check_recording(recording, plan)
        self.exchange = self._open_exchange(
            shape, acting, tuple(learners), [curiosity, *logged_rewards]
        )
        end.callback(self.exchange.remove)
        end.callback(self.exchange.board.request_stop)
        checkpoint = self._checkpoint.folder if self._checkpoint else None
        self.trainer.begin(
            build.make_trainer_config(settings, self.exchange, self.folder, device, checkpoint)
        )
        run_dir.write_settings(self.folder, plain_settings(settings))
        self._open_to_people(shape.info_names, end)
        if settings.record:
            self.recorder = Recorder(
                self.exchange.rollouts,
                self.exchange.board_spec,
                recording,
                plan,
                settings.recording,
            )
            end.callback(self.recorder.kill)
        actor = build.build_actor(
            settings, acting, self.exchange, curiosity, device, logged_rewards
        )
        clock = make_clock(settings.clock, settings.rate, settings.time_scale)
        loop = Loop(
            world,
            actor,
            self.exchange.writer,
            clock,
            settings.rate,
            self._on_rollout,
            None if self._lockstep else WEIGHT_CHUNK_BYTES,
            self.pauses,
            lambda state: agent_state_bytes(state, actor, self._own_world(world)),
        )
        self._wait_for_trainer()
        actor.poll_weights(None)
        self._warm_up(actor, frame_size)
        if self._checkpoint is not None:
            self._go_on(self._checkpoint, loop, actor, acting)
        return loop, self._status(loop, actor, tuple(learners))

    def _open_checkpoint(self, start: Path, learners: dict[str, Learner]) -> None:
        """Read what this life goes on from, and say what is set otherwise, before it begins."""
        resolve_scene(self.settings)
        self._checkpoint = build.open_checkpoint(start, learners, print)
        print_config_diff(self._checkpoint.settings, self.settings, print)
        self._exact = is_exact(self._checkpoint, self._lockstep)

    def _own_world(self, world: World) -> LockstepWorld | None:
        """Return a world whose state is ours to keep, for it waits for us."""
        return world if isinstance(world, LockstepWorld) else None

    def _go_on(
        self, checkpoint: Checkpoint, loop: Loop, actor: Actor, saved: dict[str, nn.Module]
    ) -> None:
        """Take up where the checkpoint was written."""
        for role, module in zip(ACTING_ROLES, actor.modules, strict=True):
            had = int(checkpoint.learners[role]["version"])
            # The exchange is new: whatever is in it comes from the trainer that goes on.
            if module.version < had:
                raise RunFailure(
                    f"{role}: version {module.version} would act, though {checkpoint.folder} has "
                    f"version {had}"
                )
        # Under lockstep, whoever had not trained on the last window yet does now.
        self._wait_for_round()
        world = self._own_world(loop.world) if self._exact else None
        load_agent_state(checkpoint, loop, actor, world, self._wall_rate, saved)
        if self._lockstep:
            actor.poll_weights(None)

    @property
    def _wall_rate(self) -> float:
        """Ticks a second on the wall."""
        return float(self.settings.rate * self.settings.time_scale)

    def _open_exchange(
        self,
        shape: StepShape,
        acting: dict[str, nn.Module],
        roles: tuple[str, ...],
        rewards: list[Curiosity],
    ) -> build.Exchange:
        rows, first = self.settings.rollout_length, 0
        if self._checkpoint is not None:
            first = first_rollout(self._checkpoint, self._exact, self._wall_rate, rows)
        try:
            return build.open_exchange(shape, rows, acting, roles, first, rewards)
        except OSError as error:
            raise RunFailure(
                f"rollout_length={self.settings.rollout_length}: {error.strerror}"
            ) from error

    def _enter_world(self, frame_size: int) -> World:
        try:
            return build_world(self.settings, frame_size)
        except (RuntimeError, OSError) as error:
            raise RunFailure(str(error)) from error

    def _open_to_people(self, info_names: tuple[str, ...], end: ExitStack) -> None:
        """Answer on the API, and say where."""
        self.controls = Controls(
            self.folder,
            self.stop,
            self.pauses,
            self.exchange.board,
            self.trainer,
            pause_trainer=self.settings.pause == "all",
        )
        views = Views(self.folder, self.exchange.writer, info_names)
        api = Api(self._listening, self.controls, views)
        end.callback(api.close)
        end.callback(run_dir.remove_address, self.folder)
        run_dir.write_address(self.folder, api.address)
        run_dir.write_pid(self.folder)
        print(f"Live page: {api.address.page}", flush=True)

    def _wait_for_trainer(self) -> None:
        """Return when the first weights are out and the trainer's code is warm."""
        limit = time.monotonic() + START_LIMIT_S
        while not self.exchange.board.ready:
            if not self.trainer.alive:
                self._keep_folder()
                raise RunFailure(self.trainer.describe_end())
            if self.stop():
                raise StoppedEarly
            if time.monotonic() > limit:
                self._keep_folder()
                raise RunFailure(f"the trainer was not ready after {START_LIMIT_S:.0f} s")
            time.sleep(LOOK_S)

    def _warm_up(self, actor: Actor, frame_size: int) -> None:
        try:
            actor.warm_up(np.zeros((3, frame_size, frame_size), np.uint8))
        except torch._dynamo.exc.BackendCompilerFailed as error:
            self._keep_folder()
            raise RunFailure(
                f"compile=true: {str(error).splitlines()[0]} (it needs a C++ compiler, "
                "on CUDA also Triton; compile=false runs without)"
            ) from error

    def _status(self, loop: Loop, actor: Actor, roles: tuple[str, ...]) -> StatusSource:
        return StatusSource(
            loop.metrics,
            self.exchange.board,
            roles,
            lambda: dict(zip(ACTING_ROLES, actor.modules.versions(), strict=True)),
            lambda: self.exchange.writer.filled,
            self.pauses,
            loop.world.status,
        )

    def _on_rollout(self) -> None:
        """A window is full: wake the trainer; under lockstep, wait for it."""
        self.trainer.wake()
        self._wait_for_round()

    def _wait_for_round(self) -> None:
        """Under lockstep, return when every learner is done with all windows."""
        while self._lockstep and self.exchange.board.rounds < self.exchange.writer.filled:
            self.trainer.wait_for_round()
            if not self.trainer.alive:
                raise RunFailure(self.trainer.describe_end())
            if self.stop():
                return

    def _run(self, loop: Loop, status: StatusSource) -> int:
        """Live, then end everything in order: inputs, trainer, recorder, summary."""
        self._keep_folder()
        self.controls.source = status
        print(f"Run folder: {self.folder}", flush=True)
        code, failure = 0, None
        try:
            with self._people(status):
                self._count_down(loop)
                loop.run(self.stop, self.settings.steps, self.settings.seconds)
        except ForceQuit:
            code = 130
        except RunFailure as error:
            failure = error
        except Exception as error:
            failure = run_dir.write_error(self.folder, error)
        # Before all that takes time; a world that is gone cannot be told, and must not stop this.
        with suppress(RuntimeError, OSError):
            loop.world.release_inputs()
        code = self._end(code, failure)
        if failure:
            raise failure
        return code

    def _people(self, status: StatusSource) -> ExitStack:
        """Show the status, and take keys where somebody can press them."""
        keys = can_read_keys()
        display = StatusDisplay(status, self._watch, HINT if keys else HINT_WITHOUT_KEYS)
        with ExitStack() as people:
            # First, so that the terminal is as it was before anything else can fail at the end.
            if keys:
                people.enter_context(Keys(lambda key: press(key, self.controls)))
            people.enter_context(display)
            self.controls.on_told = display.safe_print
            return people.pop_all()

    def _count_down(self, loop: Loop) -> None:
        """Give a person time to stop the agent before its first input in VRChat."""
        if self.settings.world == "vrchat" and self.settings.vrchat.countdown_s > 0:
            wait = self.settings.vrchat.countdown_s
            print(f"The avatar will move in {wait:.0f} s. Ctrl-C stops it.", flush=True)
            loop.clock.sleep_until(loop.clock.now() + wait, self.stop)

    def _end(self, code: int, failure: RunFailure | None) -> int:
        """Stop the other processes and write the summary; return the exit code."""
        self.exchange.board.request_stop()
        self.trainer.wake()
        if code == 0:
            try:
                lost = self._join_others()
            except ForceQuit:
                code, lost = 130, None
            if lost and not failure:
                print(f"error: {lost}", file=sys.stderr, flush=True)
                code, failure = 1, RunFailure(lost)
        ended = str(failure) if failure else self.stop.reason or "as set"
        summary = self.controls.summary(ended, 1 if failure else code)
        if not write_summary(self.folder / run_dir.SUMMARY, summary):
            code = code or 1
        run_dir.remove_address(self.folder)
        run_dir.remove_pid(self.folder)
        print_summary(summary)
        return code

    def _join_others(self) -> str | None:
        """Wait until trainer and recorder have written what they have; say what was lost, if so."""
        lost = []
        if not self.trainer.join():
            lost.append(f"what was learned last is not saved: {self.trainer.describe_end()}")
        if self.recorder and not self.recorder.join():
            lost.append("what was lived last is not recorded: the recorder did not end well")
        return "; ".join(lost) or None

    def _watch(self) -> None:
        """Look after the other processes, and tell what a person should read.

        In real time a trainer that died is replaced. Under lockstep its end is the run's.
        """
        self.controls.trainer_lives = self.trainer.alive
        board, now = self.exchange.board, time.monotonic()
        if self.recorder and (told := self.recorder.watch(board, now)):
            self.controls.notify(told)
        self._tell_of_failed_saves()
        if not self._lockstep and (told := self.trainer.watch(board, now)):
            self.controls.notify(told)

    def _tell_of_failed_saves(self) -> None:
        """Say once a minute that the disk refuses checkpoints, and once that it does no more."""
        number, now = self.exchange.board.save_error, time.monotonic()
        if number and now - self._told_of_save_at >= TELL_EVERY_S:
            self._told_of_save_at = now
            self.controls.notify(
                f"nothing is saved ({os.strerror(number)}): agent and trainer go on, and it is "
                "tried again after every window"
            )
        elif not number and self._told_of_save_at > -math.inf:
            self._told_of_save_at = -math.inf
            self.controls.notify("it is saved again")

    def _keep_folder(self) -> None:
        self._undo_folder.pop_all()
