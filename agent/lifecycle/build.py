"""Builds the parts of a run from its settings: learners, rewards, exchange and actor."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from agent.actions import ACTIONS, CHOICES
from agent.actor import ActingModules, Actor
from agent.errors import UsageError
from agent.gaits import make_gait
from agent.hot_swap import DoubleBufferedModule
from agent.lifecycle.actor_state import check_agent_state
from agent.lifecycle.resume import no_valid_checkpoint
from agent.run_dir import METRICS
from agent.settings.schema import Settings
from pamiq_lightning.checkpoint.files import CheckpointError, load_weights
from pamiq_lightning.checkpoint.snapshot import Checkpoint, check_fit, read_checkpoint
from pamiq_lightning.checkpoint.store import find_checkpoints
from pamiq_lightning.curiosity.base import Curiosity
from pamiq_lightning.exchange import weights
from pamiq_lightning.exchange.rollouts import RolloutsSpec, RolloutWriter
from pamiq_lightning.exchange.shared_memory import SharedFolder
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.exchange.weights import WeightsSpec, flat_size
from pamiq_lightning.learners.base import Learner, check_shared_shapes
from pamiq_lightning.learners.roles import Encoder, check_role
from pamiq_lightning.recording.schema import DatasetSpec, RecordingError
from pamiq_lightning.recording.writer import check_recording
from pamiq_lightning.step import ACTING_ROLES, LOGGED_REWARD_PREFIX, StepShape
from pamiq_lightning.trainer.config import TrainerConfig
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.cpu import describe_quota, stay_on
from pamiq_lightning.utils.instantiate import instantiate, resolve

Notify = Callable[[str], None]
SWITCH_S = 0.001
"""How long another thread may keep the interpreter from a tick that wants it."""


def configure_process(settings: Settings, notify: Notify) -> None:
    """Set this process's threads, core and random seed; say what the run does without."""
    if settings.trainer.aim and importlib.util.find_spec("aim") is None:
        notify(f"Aim is not installed: metrics go to {METRICS} alone.")
    if quota := describe_quota():
        notify(quota)
    # One thread: a barrier among more misses the deadline while the trainer computes.
    torch.set_num_threads(1)
    sys.setswitchinterval(SWITCH_S)
    if settings.agent_core is not None:
        stay_on(settings.agent_core)
    torch.manual_seed(settings.seed)


def choose_device(wanted: str, notify: Notify) -> torch.device:
    """Return where nets run.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device=cuda: torch finds no CUDA device; use cpu or auto")
    if not torch.cuda.is_available() and shutil.which("nvidia-smi"):
        notify(
            "There is an NVIDIA card, but this torch has no CUDA: nets run on the CPU. "
            "See https://pytorch.org/get-started/locally/ for a CUDA build."
        )
    use_cuda = wanted != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_cuda else "cpu")


def build_learners(settings: Settings, resuming: bool = False) -> dict[str, Learner]:
    """Build every learner once; this checks all its settings and fills in the defaults.

    Args:
        settings: of the run.
        resuming: their weights come from a checkpoint of the run, not from `init_weights`.

    Raises:
        UsageError: a learner's settings are wrong, or two do not fit each other.
    """
    learners = {}
    try:
        for role, learner in settings.learners.items():
            key = f"learners.{role}.model"
            learner.model = resolve(Learner, learner.model, key)
            learners[role] = instantiate(Learner, learner.model, key)
            check_role(role, learners[role])
            if learner.init_weights and not resuming:
                load_weights(learners[role], Path(learner.init_weights))
        check_shared_shapes(learners)
        _check_stated_shapes(settings, learners)
    except CheckpointError as error:
        raise UsageError(f"learners.{role}.init_weights: {error}") from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    for role in ACTING_ROLES:
        if role not in learners or learners[role].acting_module is None:
            raise UsageError(f"learners.{role}: there must be one, and it must act")
    return learners


def _check_stated_shapes(settings: Settings, learners: dict[str, Learner]) -> None:
    """Check that learners have the shapes that `shapes` states.

    Raises:
        UsageError: one has another.
    """
    for role, learner in learners.items():
        for name, shape in learner.shared_shapes.items():
            stated = getattr(settings.shapes, name, None)
            if stated is not None and stated != shape:
                raise UsageError(
                    f"shapes.{name}={list(stated)}: but learners.{role}.model.init_args.{name} is "
                    f"{list(shape)}: they must be equal"
                )


def open_checkpoint(start: Path, learners: dict[str, Learner], notify: Notify) -> Checkpoint:
    """Read the checkpoint that a run resumes from, or the newest valid one before it.

    Its weights are in the learners then.

    Raises:
        RunFailure: none can be used.
    """
    run, problems = start.parent.parent, []
    for folder in find_checkpoints(run):
        if int(folder.name) > int(start.name):
            continue
        try:
            checkpoint = read_checkpoint(folder)
            check_fit(checkpoint, learners)
            check_agent_state(checkpoint)
        except CheckpointError as error:
            problems.append(str(error))
            notify(f"Not used: {error}")
            continue
        return checkpoint
    raise no_valid_checkpoint(run, problems)


def frame_size(learners: dict[str, Learner]) -> int:
    """Return the side of the frames, which the encoder decides."""
    encoder = learners["encoder"]
    assert isinstance(encoder, Encoder)
    return encoder.frame_size


def step_shape(
    learners: dict[str, Learner], info_names: tuple[str, ...], logged_rewards: Collection[str] = ()
) -> StepShape:
    """Return the layout of a step, from the learners that make its parts.

    Args:
        learners: by role.
        info_names: of the world's ground truth.
        logged_rewards: names of the rewards that are only logged.

    Raises:
        UsageError: the policy's actions are not the body's.
    """
    policy = learners["policy"].shared_shapes
    if policy["action_choices"] != CHOICES:
        raise UsageError(
            f"learners.policy.model.init_args.action_choices is {list(policy['action_choices'])}, "
            f"but the body has {list(CHOICES)}"
        )
    tokens, features = policy["latent"]
    depth, dim = policy["state"]
    names = (*info_names, *(LOGGED_REWARD_PREFIX + name for name in logged_rewards))
    return StepShape(frame_size(learners), (tokens, features), (depth, dim), CHOICES, names)


def dataset_spec(settings: Settings, shape: StepShape) -> DatasetSpec:
    """Return what all episodes of the run's recording have in common."""
    return DatasetSpec(
        fps=settings.rate,
        frame_size=shape.frame_size,
        action_choices=shape.action_choices,
        action_names=tuple(axis.name for axis in ACTIONS),
        info_names=shape.info_names,
        rollout_length=settings.rollout_length,
        lossless=settings.recording.lossless,
    )


def require_recordable(folder: Path, plan: DatasetSpec) -> None:
    """Check that a run's recording, if it has one, can be continued.

    Raises:
        UsageError: it was recorded with other settings, or is damaged.
    """
    try:
        check_recording(folder, plan)
    except RecordingError as error:
        raise UsageError(f"{error} (use record=false, or move it away)") from error


def build_curiosity(settings: Settings) -> Curiosity:
    """Build the reward.

    Raises:
        UsageError: its settings are wrong.
    """
    settings.curiosity = resolve(Curiosity, settings.curiosity, "curiosity")
    return instantiate(Curiosity, settings.curiosity, "curiosity")


def build_logged_rewards(settings: Settings) -> list[Curiosity]:
    """Build the rewards that are only logged.

    Raises:
        UsageError: the settings of one are wrong.
    """
    rewards = []
    for name, spec in settings.logged_rewards.items():
        key = f"logged_rewards.{name}"
        settings.logged_rewards[name] = resolve(Curiosity, spec, key)
        rewards.append(instantiate(Curiosity, settings.logged_rewards[name], key))
    return rewards


def enable_aux_heads(settings: Settings, rewards: Sequence[Curiosity]) -> None:
    """Add the auxiliary heads that these rewards need to those in the dynamics' settings."""
    needed = {extra for reward in rewards for extra in reward.aux_heads}
    if needed and "dynamics" in settings.learners:
        model = settings.learners["dynamics"].model
        arguments = dict(model.get("init_args") or {})
        arguments["aux_heads"] = sorted(needed | set(arguments.get("aux_heads") or ()))
        settings.learners["dynamics"].model = {**model, "init_args": arguments}


def check_info_keys(rewards: Sequence[Curiosity], info_names: tuple[str, ...]) -> None:
    """Check that the world has the ground truth that rewards need.

    Raises:
        UsageError: it does not.
    """
    for reward in rewards:
        missing = [name for name in reward.info_keys if name not in info_names]
        if missing:
            raise UsageError(
                f"curiosity: {type(reward).__name__} needs the ground truth of an embedded world "
                f"({', '.join(missing)}); use world=embedded or another reward"
            )


@dataclass
class Exchange:
    """The exchange of one run: created by the agent, opened by every process."""

    folder: SharedFolder
    rollouts: RolloutsSpec
    weights: dict[str, WeightsSpec]
    board_spec: StatusBoardSpec
    board: StatusBoard
    writer: RolloutWriter

    def remove(self) -> None:
        """Remove the files; a process that has them mapped keeps them until it ends."""
        self.folder.remove()


def open_exchange(
    shape: StepShape,
    rows: int,
    acting: dict[str, nn.Module],
    roles: tuple[str, ...],
    first_rollout: int = 0,
    rewards: Sequence[Curiosity] = (),
) -> Exchange:
    """Allocate everything that agent and trainer share.

    Raises:
        OSError: there is no room.
    """
    sizes = {role: flat_size(module) for role, module in acting.items()}
    rollouts = RolloutsSpec(
        Path(),
        shape,
        rows,
        # The present, and for each imagination its prediction with variance and ensemble means.
        agent_states=4 + 8 * max((reward.horizon for reward in rewards), default=0),
        reward_state_bytes=sum(reward.state_bytes for reward in rewards),
    )
    with SharedFolder.create(rollouts.size + 3 * sum(sizes.values())) as folder:
        path = folder.path
        rollouts = replace(rollouts, path=path / "rollouts")
        specs = {role: WeightsSpec(path / f"weights_{role}", size) for role, size in sizes.items()}
        for spec in specs.values():
            weights.create(spec)
        board_spec = StatusBoardSpec(path / "board", roles)
        board = StatusBoard(board_spec, create=True)
        writer = RolloutWriter(rollouts, first_rollout)
    return Exchange(folder, rollouts, specs, board_spec, board, writer)


def make_trainer_config(
    settings: Settings,
    exchange: Exchange,
    run_folder: Path,
    device: torch.device,
    checkpoint: Path | None = None,
) -> TrainerConfig:
    """Return the configuration of the trainer process."""
    learners = dict(settings.learners)
    if settings.policy == "random":
        # A learned policy cannot improve on-policy from a random policy's actions.
        learners["policy"] = replace(learners["policy"], freeze=True)
    return TrainerConfig(
        trainer=settings.trainer,
        learners=learners,
        rollouts=exchange.rollouts,
        weights=exchange.weights,
        board=exchange.board_spec,
        run_folder=run_folder.resolve(),
        device=device.type,
        seed=settings.seed,
        lockstep=settings.clock == "lockstep",
        settings=to_plain(settings),
        checkpoint=checkpoint,
        agent_core=settings.agent_core,
        compile=settings.compile,
    )


def build_actor(
    settings: Settings,
    acting: dict[str, nn.Module],
    exchange: Exchange,
    curiosity: Curiosity,
    device: torch.device,
    logged_rewards: Sequence[Curiosity] = (),
) -> Actor:
    """Build the actor around copies of the acting modules."""
    hot = {
        role: DoubleBufferedModule[nn.Module](
            acting[role], exchange.weights[role], device, settings.compile
        )
        for role in ACTING_ROLES
    }
    return Actor(
        ActingModules(**hot),  # type: ignore[arg-type]
        curiosity,
        exchange.rollouts.shape,
        seed=settings.seed,
        device=device,
        gait=make_gait(settings.gait) if settings.policy == "random" else None,
        logged_rewards=logged_rewards,
    )
