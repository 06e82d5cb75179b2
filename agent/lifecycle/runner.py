"""One run from start to summary: builds every part, runs the loop, ends everything in order."""

from __future__ import annotations

import shutil
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

from agent import run_dir
from agent.actor import Actor
from agent.clock import make_clock
from agent.errors import RunFailure, StoppedEarly, cannot_start
from agent.lifecycle import build
from agent.lifecycle.actor_state import agent_state_bytes, first_rollout, is_exact, load_agent_state
from agent.lifecycle.recorder import Recorder
from agent.lifecycle.resume import print_config_diff
from agent.lifecycle.signals import ForceQuit, StopRequest
from agent.lifecycle.watch import FOLDER_GONE, ProcessWatch
from agent.loop import WEIGHT_CHUNK_BYTES, Loop
from agent.pause import Pauses
from agent.settings.schema import Settings
from agent.ui.commands import Commands
from agent.ui.keyboard import HINT, HINT_WITHOUT_KEYS, KeyCommands, Keys, can_read_keys
from agent.ui.server import Api
from agent.ui.terminal import StatusDisplay, StatusSource, page_to_show, write_summary
from agent.ui.views import Views
from agent.worlds.base import World
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.factory import build_world, resolve_scene
from pamiq_lightning.checkpoint.snapshot import Checkpoint
from pamiq_lightning.curiosity.base import Curiosity
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.recording.schema import DatasetSpec
from pamiq_lightning.step import ACTING_ROLES, StepShape
from pamiq_lightning.trainer.process import REFUSED, START_LIMIT_S, TrainerProcess
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.console import print_error, print_failure, safe_print
from pamiq_lightning.utils.instantiate import user_code
from pamiq_lightning.utils.json_text import json_text

POLL_S = 0.05


class Runner:
    """Builds all parts, runs the loop, and writes the summary.

    Args:
        settings: of the run; defaults of classes are filled in.
        experiment: folder name of the experiment.
        trainer: the process that is already importing; it has no configuration yet.
        stop: what ends the run.
        listening: the socket on which the API will answer.
        start: the checkpoint to resume from; default: a new run.
    """

    def __init__(
        self,
        settings: Settings,
        experiment: str,
        trainer: TrainerProcess,
        stop: StopRequest,
        listening: socket.socket,
        start: Path | None = None,
    ) -> None:
        self.settings, self.experiment, self.trainer = settings, experiment, trainer
        self.stop, self._listening, self._start = stop, listening, start
        self.pauses = Pauses()
        self.recorder: Recorder | None = None
        self._checkpoint: Checkpoint | None = None
        self._exact = False
        self._lockstep = settings.clock == "lockstep"

    def run(self) -> int:
        """Run until stopped; return the exit code.

        Raises:
            UsageError: the settings are wrong.
            RunFailure: the run cannot start, or failed.
        """
        with ExitStack() as end:
            try:
                loop, status = self.build(end)
            except OSError as error:
                raise cannot_start(error, self.settings.runs) from error
            code, failure = self._run_loop(loop, status)
            code = self.summarise(code, failure)
            if failure:
                raise failure
            return code

    def build(self, end: ExitStack) -> tuple[Loop, StatusSource]:
        """Build everything up to the first tick; `end` undoes it."""
        settings = self.settings
        device = build.choose_device(settings.device, safe_print)
        build.configure_process(settings, safe_print)
        rewards = [build.build_curiosity(settings), *build.build_logged_rewards(settings)]
        build.enable_aux_heads(settings, rewards)
        learners = build.build_learners(settings, resuming=self._start is not None)
        frame_size = build.frame_size(learners)
        if self._start is not None:
            self._open_checkpoint(self._start, learners)
        world = self._enter_world(frame_size, end)
        self._open_folder(end)
        build.check_info_keys(rewards, world.info_names)
        shape = build.step_shape(learners, world.info_names, tuple(settings.logged_rewards))
        dataset = build.dataset_spec(settings, shape)
        if settings.record:
            build.require_recordable(self.folder / run_dir.RECORDING, dataset)
        acting = {
            role: module
            for role, learner in learners.items()
            if (module := learner.acting_module) is not None
        }
        self._open_exchange(shape, acting, tuple(learners), rewards, end)
        self._start_trainer(device)
        self._open_ui(shape.info_names, end)
        if settings.record:
            self._start_recorder(dataset, end)
        actor = build.build_actor(settings, acting, self.exchange, rewards[0], device, rewards[1:])
        loop = self._build_loop(world, actor)
        self._wait_for_trainer()
        actor.poll_weights(None)
        self._warm_up(actor, frame_size)
        if self._checkpoint is not None:
            self._resume(self._checkpoint, loop, actor, acting)
        return loop, self._status(loop, actor, tuple(learners))

    def _open_checkpoint(self, start: Path, learners: dict[str, Learner]) -> None:
        """Load the checkpoint into the learners, and print which settings differ."""
        resolve_scene(self.settings)
        self._checkpoint = build.open_checkpoint(start, learners, safe_print)
        print_config_diff(self._checkpoint.settings, self.settings, safe_print)
        self._exact = is_exact(self._checkpoint, self._lockstep)

    def _enter_world(self, frame_size: int, end: ExitStack) -> World:
        try:
            world = build_world(self.settings, frame_size)
        except (RuntimeError, OSError) as error:
            raise RunFailure(str(error)) from error
        end.callback(world.close)
        return world

    def _open_folder(self, end: ExitStack) -> None:
        """Make the run's folder, or take that of the resumed run, and lock it."""
        self._undo_folder = end.enter_context(ExitStack())
        if self._start is not None:
            self.folder = self._start.parent.parent
        else:
            self.folder = run_dir.make_run_dir(Path(self.settings.runs), self.experiment)
            self._undo_folder.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._lock = run_dir.RunLock(self.folder)
        self._lock.take()
        end.callback(self._lock.release)
        # Registered last, so undone first: nobody may write into a folder that is being removed.
        end.callback(self.trainer.kill)

    def _keep_folder(self) -> None:
        """Leave the folder in place, whatever follows."""
        self._undo_folder.pop_all()

    def _open_exchange(
        self,
        shape: StepShape,
        acting: dict[str, nn.Module],
        roles: tuple[str, ...],
        rewards: list[Curiosity],
        end: ExitStack,
    ) -> None:
        """Allocate the shared memory of agent, trainer and recorder."""
        rows, first = self.settings.rollout_length, 0
        if self._checkpoint is not None:
            first = first_rollout(self._checkpoint, self._exact, self._wall_rate, rows)
        try:
            self.exchange = build.open_exchange(shape, rows, acting, roles, first, rewards)
        except OSError as error:
            raise RunFailure(f"rollout_length={rows}: {error.strerror}") from error
        end.callback(self.exchange.remove)
        end.callback(self.exchange.board.request_stop)

    def _start_trainer(self, device: torch.device) -> None:
        checkpoint = self._checkpoint.folder if self._checkpoint else None
        self.trainer.begin(
            build.make_trainer_config(self.settings, self.exchange, self.folder, device, checkpoint)
        )
        run_dir.write_settings(self.folder, to_plain(self.settings))

    def _open_ui(self, info_names: tuple[str, ...], end: ExitStack) -> None:
        """Serve the API and the live page, and print their address."""
        self.commands = Commands(
            self.folder,
            self.stop,
            self.pauses,
            self.exchange.board,
            self.trainer,
            pause_trainer=self.settings.pause == "all",
        )
        views = Views(self.folder, self.exchange.writer, info_names)
        api = Api(self._listening, self.commands, views)
        end.callback(api.close)
        end.callback(run_dir.remove_address, self.folder)
        run_dir.write_address(self.folder, api.address)
        safe_print(f"Live page: {page_to_show(api.address, self.folder)}")

    def _start_recorder(self, dataset: DatasetSpec, end: ExitStack) -> None:
        self.recorder = Recorder(
            self.exchange.rollouts,
            self.exchange.board_spec,
            self.folder / run_dir.RECORDING,
            dataset,
            self.settings.recording,
        )
        end.callback(self.recorder.kill)

    def _build_loop(self, world: World, actor: Actor) -> Loop:
        settings, lockstep_world = self.settings, self._lockstep_world(world)
        return Loop(
            world,
            actor,
            self.exchange.writer,
            make_clock(settings.clock, settings.rate, settings.time_scale),
            settings.rate,
            self.on_rollout,
            None if self._lockstep else WEIGHT_CHUNK_BYTES,
            self.pauses,
            lambda state: agent_state_bytes(state, actor, lockstep_world),
        )

    def _lockstep_world(self, world: World) -> LockstepWorld | None:
        """Return the world if its state belongs into checkpoints: under lockstep."""
        return world if isinstance(world, LockstepWorld) else None

    def _wait_for_trainer(self) -> None:
        """Return when the first weights are published and the trainer's code is warm."""
        limit = time.monotonic() + START_LIMIT_S
        while not self.exchange.board.ready:
            if not self.trainer.alive:
                if self.trainer.process.exitcode == REFUSED:
                    reasons = "; ".join(self.exchange.board.new_messages())
                    raise RunFailure(f"the run cannot start: {self.folder}: {reasons}")
                self._keep_folder()
                raise RunFailure(self.trainer.describe_end())
            if self.stop():
                raise StoppedEarly
            if time.monotonic() > limit:
                self._keep_folder()
                raise RunFailure(f"the trainer was not ready after {START_LIMIT_S:.0f} s")
            time.sleep(POLL_S)

    def _warm_up(self, actor: Actor, frame_size: int) -> None:
        compiler_failed = torch._dynamo.exc.BackendCompilerFailed
        try:
            # A reward of the user's may raise anything.
            with user_code("the agent's first step failed", compiler_failed):
                actor.warm_up(np.zeros((3, frame_size, frame_size), np.uint8))
        except compiler_failed as error:
            self._keep_folder()
            raise RunFailure(
                f"compile=true: {str(error).splitlines()[0]} (it needs a C++ compiler, "
                "on CUDA also Triton; compile=false runs without)"
            ) from error

    def _resume(
        self, checkpoint: Checkpoint, loop: Loop, actor: Actor, saved: dict[str, nn.Module]
    ) -> None:
        """Continue where the checkpoint was written."""
        # Under lockstep, learners that had not trained on the last rollout do so now.
        self._wait_for_round()
        world = self._lockstep_world(loop.world) if self._exact else None
        load_agent_state(checkpoint, loop, actor, world, self._wall_rate, saved)
        if self._lockstep:
            actor.poll_weights(None)

    @property
    def _wall_rate(self) -> float:
        """Ticks per second on the wall."""
        return float(self.settings.rate * self.settings.time_scale)

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

    def on_rollout(self) -> None:
        """Wake the trainer for a new rollout; under lockstep, wait for it."""
        self.trainer.wake()
        self._wait_for_round()

    def _wait_for_round(self) -> None:
        """Under lockstep, return when every learner has trained on all rollouts."""
        while self._lockstep and self.exchange.board.rounds < self.exchange.writer.filled:
            self.trainer.wait_for_round()
            if not self.trainer.alive:
                raise RunFailure(self.trainer.describe_end())
            if self.stop():
                return

    def _run_loop(self, loop: Loop, status: StatusSource) -> tuple[int, RunFailure | None]:
        """Run the loop, then release every input; return the exit code and what failed."""
        self._keep_folder()
        self.commands.source = status
        safe_print(f"Run folder: {self.folder}")
        code, failure = 0, None
        try:
            with self._attach_terminal(status):
                self._count_down(loop)
                loop.run(self.stop, self.settings.steps, self.settings.seconds)
        except ForceQuit:
            code = 130
        except RunFailure as error:
            failure = error
        # A reward of the user's may raise anything.
        except (Exception, SystemExit) as error:
            failure = run_dir.write_error(self.folder, error)
        if not self._lock.in_place:
            failure = failure or RunFailure(
                f"{self.folder}: {FOLDER_GONE} during the run. What was learned since its last "
                "checkpoint is lost; resume= continues from that, wherever the folder is now"
            )
        # Before anything slow. A world that has ended cannot release, and must not stop this.
        with suppress(RuntimeError, OSError):
            loop.world.release_inputs()
        return code, failure

    def _attach_terminal(self, status: StatusSource) -> ExitStack:
        """Show the status, and read keys where somebody can press them."""
        keys = can_read_keys()
        self._watch = ProcessWatch(
            self.trainer,
            self.recorder,
            self.exchange.board,
            self.commands,
            self._lockstep,
            lambda: self._lock.in_place,
        )
        display = StatusDisplay(status, self._watch, HINT if keys else HINT_WITHOUT_KEYS)
        with ExitStack() as attached:
            # Entered first, so that the terminal is restored even if what follows fails at its end.
            if keys:
                attached.enter_context(Keys(KeyCommands(self.commands)))
            attached.enter_context(display)
            attached.callback(setattr, self.commands, "on_message", print_error)
            self.commands.on_message = display.safe_print
            return attached.pop_all()

    def _count_down(self, loop: Loop) -> None:
        """Give a person time to stop the agent before its first input in VRChat."""
        if self.settings.world == "vrchat" and self.settings.vrchat.countdown_s > 0:
            wait = self.settings.vrchat.countdown_s
            safe_print(f"The avatar will move in {wait:.0f} s. Ctrl-C stops it.")
            loop.clock.sleep_until(loop.clock.now() + wait, self.stop)

    def summarise(self, code: int, failure: RunFailure | None) -> int:
        """Stop the other processes and write the summary; return the exit code."""
        self.exchange.board.request_stop()
        self.trainer.wake()
        if code == 0:
            try:
                lost = self._join_others()
            except ForceQuit:
                code, lost = 130, None
            if lost and not failure:
                code, failure = print_failure(lost), RunFailure(lost)
        ended = str(failure) if failure else self.stop.reason or "as set"
        summary = self.commands.summary(ended, 1 if failure else code)
        if self._lock.in_place:
            if not write_summary(self.folder / run_dir.SUMMARY, summary):
                code = code or 1
            run_dir.remove_address(self.folder)
        safe_print(json_text(summary, indent=2))
        return code

    def _join_others(self) -> str | None:
        """Wait until trainer and recorder have saved and ended; return what was lost, if any."""
        lost = []
        saved = self.trainer.join()
        self._watch.pass_messages()
        if not saved:
            lost.append(f"the last updates are not saved: {self.trainer.describe_end()}")
        # A dead recorder would be started once more, and begin a second folder.
        if self.recorder and self._lock.in_place and not self.recorder.join():
            lost.append(self.recorder.describe_loss())
        return "; ".join(lost) or None
