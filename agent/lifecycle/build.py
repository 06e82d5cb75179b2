"""Builds the parts of a life from its settings: sizes, exchange, trainer's job, mind, world."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from agent.actions import CHOICES, LIMBS
from agent.actor import ActingModules, Mind
from agent.errors import UsageError
from agent.hot_swap import HotModule
from agent.lifecycle.resume import none_is_sound
from agent.settings.schema import Settings, plain_settings
from pamiq_lightning.checkpoint.files import CheckpointError, load_weights
from pamiq_lightning.checkpoint.store import find_checkpoints
from pamiq_lightning.curiosity.base import Curiosity
from pamiq_lightning.exchange import weights
from pamiq_lightning.exchange.rollouts import WindowsSpec, WindowsWriter
from pamiq_lightning.exchange.shared_memory import exchange_folder
from pamiq_lightning.exchange.status_board import Board, BoardSpec
from pamiq_lightning.exchange.weights import WeightsSpec, vector_bytes
from pamiq_lightning.learners.base import Learner, check_dimensions
from pamiq_lightning.recording.schema import Plan, RecordingError, check_plan
from pamiq_lightning.step import ACTING_ROLES, REWARD_BESIDE, StepShape
from pamiq_lightning.trainer.checkpointer import Checkpoint, check_fit, read_checkpoint
from pamiq_lightning.trainer.config import TrainerJob
from pamiq_lightning.utils.instantiate import SpecError, build, resolve

Tell = Callable[[str], None]


def choose_device(wanted: str, tell: Tell) -> torch.device:
    """Return where nets run.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device=cuda: torch finds no CUDA device; use cpu or auto")
    if not torch.cuda.is_available() and shutil.which("nvidia-smi"):
        tell(
            "There is an NVIDIA card, but this torch has no CUDA: nets run on the CPU. "
            "See https://pytorch.org/get-started/locally/ for a CUDA build."
        )
    use_cuda = wanted != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_cuda else "cpu")


def build_learners(settings: Settings, goes_on: bool = False) -> dict[str, Learner]:
    """Build every learner once, which checks all its settings, and fill in their defaults.

    Args:
        settings: of the run.
        goes_on: their weights come from a checkpoint of the run, not from `start_from`.

    Raises:
        UsageError: a learner's settings are wrong, or two do not fit each other.
    """
    learners = {}
    try:
        for role, learner in settings.learners.items():
            key = f"learners.{role}.model"
            learner.model = resolve(Learner, learner.model, key)
            learners[role] = build(Learner, learner.model, key)
            if learner.start_from and not goes_on:
                load_weights(learners[role], Path(learner.start_from))
        check_dimensions(learners)
    except CheckpointError as error:
        raise UsageError(f"learners.{role}.start_from: {error}") from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    for role in ACTING_ROLES:
        if role not in learners or learners[role].acting is None:
            raise UsageError(f"learners.{role}: there must be one, and it must act")
    return learners


def open_checkpoint(start: Path, learners: dict[str, Learner], tell: Tell) -> Checkpoint:
    """Read the checkpoint that a life goes on from, or the newest before it that can be used.

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
        except CheckpointError as error:
            problems.append(str(error))
            tell(f"Not used: {error}")
            continue
        return checkpoint
    raise none_is_sound(run, problems)


def frame_size(learners: dict[str, Learner]) -> int:
    """Return the side of the frames, which the encoder decides.

    Raises:
        UsageError: it does not say.
    """
    size = learners["encoder"].frame_size
    if size is None:
        raise UsageError("learners.encoder.model: this learner takes no frames, it cannot encode")
    return size


def step_shape(
    learners: dict[str, Learner], info_names: tuple[str, ...], beside: Collection[str] = ()
) -> StepShape:
    """Return the layout of a step, from the learners that make its parts.

    Args:
        learners: by role.
        info_names: of the world's ground truth.
        beside: names of the rewards that are only written down.

    Raises:
        UsageError: the policy's actions are not the body's.
    """
    policy = learners["policy"].dimensions()
    if policy["action_choices"] != CHOICES:
        raise UsageError(
            f"learners.policy.model.init_args.action_choices is {list(policy['action_choices'])}, "
            f"but the body has {list(CHOICES)}"
        )
    tokens, features = policy["latent"]
    depth, dim = policy["state"]
    names = (*info_names, *(REWARD_BESIDE + name for name in beside))
    return StepShape(frame_size(learners), (tokens, features), (depth, dim), CHOICES, names)


def recording_plan(settings: Settings, shape: StepShape) -> Plan:
    """Return what all episodes of the run's recording have in common."""
    return Plan(
        fps=settings.rate,
        frame_size=shape.frame_size,
        action_choices=shape.action_choices,
        action_names=tuple(limb.name for limb in LIMBS),
        info_names=shape.info_names,
        window=settings.window,
        lossless=settings.recording.lossless,
    )


def check_recording(folder: Path, plan: Plan) -> None:
    """See that a run's recording, if it has one, can be gone on with.

    Raises:
        UsageError: it was recorded otherwise.
    """
    try:
        check_plan(folder, plan)
    except RecordingError as error:
        raise UsageError(f"{error} (record=false lives on without; or move it away)") from error


def build_curiosity(settings: Settings) -> Curiosity:
    """Build the reward.

    Raises:
        UsageError: its settings are wrong.
    """
    try:
        settings.curiosity = resolve(Curiosity, settings.curiosity, "curiosity")
        return build(Curiosity, settings.curiosity, "curiosity")
    except SpecError as error:
        raise UsageError(str(error)) from error


def build_beside(settings: Settings) -> list[Curiosity]:
    """Build the rewards that are only written down.

    Raises:
        UsageError: the settings of one are wrong.
    """
    rewards = []
    for name, spec in settings.curiosity_beside.items():
        key = f"curiosity_beside.{name}"
        try:
            settings.curiosity_beside[name] = resolve(Curiosity, spec, key)
            rewards.append(build(Curiosity, settings.curiosity_beside[name], key))
        except SpecError as error:
            raise UsageError(str(error)) from error
    return rewards


def equip_dynamics(settings: Settings, rewards: Sequence[Curiosity]) -> None:
    """Have the dynamics train what these rewards need, beside what the settings say."""
    needed = {extra for reward in rewards for extra in reward.extras}
    if needed and "dynamics" in settings.learners:
        model = settings.learners["dynamics"].model
        arguments = dict(model.get("init_args") or {})
        arguments["extras"] = sorted(needed | set(arguments.get("extras") or ()))
        settings.learners["dynamics"].model = {**model, "init_args": arguments}


def check_truths(rewards: Sequence[Curiosity], info_names: tuple[str, ...]) -> None:
    """Check that the world tells what controls want to know.

    Raises:
        UsageError: it does not.
    """
    for reward in rewards:
        missing = [name for name in reward.truths if name not in info_names]
        if missing:
            raise UsageError(
                f"curiosity: {type(reward).__name__} needs the ground truth of an embedded world "
                f"({', '.join(missing)}); use world=embedded or another reward"
            )


@dataclass
class Hallway:
    """The exchange of one run: made by the agent, opened by all."""

    folder: Path
    windows: WindowsSpec
    weights: dict[str, WeightsSpec]
    board_spec: BoardSpec
    board: Board
    writer: WindowsWriter

    def remove(self) -> None:
        """Take the files away; who has them mapped keeps them until it ends."""
        shutil.rmtree(self.folder, ignore_errors=True)


def open_hallway(
    shape: StepShape,
    rows: int,
    acting: dict[str, nn.Module],
    roles: tuple[str, ...],
    first_window: int = 0,
    rewards: Sequence[Curiosity] = (),
) -> Hallway:
    """Allocate all that agent and trainer share."""
    sizes = {role: vector_bytes(module) for role, module in acting.items()}
    windows = WindowsSpec(
        Path(),
        shape,
        rows,
        # The moment, and for each imagination what is expected, with what certainty and opinions.
        moments=4 + 8 * max((reward.horizon for reward in rewards), default=0),
        remembered_bytes=sum(reward.state_bytes for reward in rewards),
    )
    folder = exchange_folder(windows.size + 3 * sum(sizes.values()))
    windows = replace(windows, path=folder / "windows")
    specs = {role: WeightsSpec(folder / f"weights_{role}", size) for role, size in sizes.items()}
    for spec in specs.values():
        weights.create(spec)
    board_spec = BoardSpec(folder / "board", roles)
    board = Board(board_spec, create=True)
    return Hallway(folder, windows, specs, board_spec, board, WindowsWriter(windows, first_window))


def make_job(
    settings: Settings,
    hallway: Hallway,
    run_folder: Path,
    device: torch.device,
    checkpoint: Path | None = None,
) -> TrainerJob:
    """Write down what the trainer has to do."""
    learners = dict(settings.learners)
    if settings.policy == "random":
        # What a uniform policy did is nothing to improve a learned one by.
        learners["policy"] = replace(learners["policy"], freeze=True)
    return TrainerJob(
        trainer=settings.trainer,
        learners=learners,
        windows=hallway.windows,
        weights=hallway.weights,
        board=hallway.board_spec,
        run_folder=run_folder.resolve(),
        device=device.type,
        seed=settings.seed,
        lockstep=settings.clock == "lockstep",
        settings=plain_settings(settings),
        checkpoint=checkpoint,
        agent_core=settings.agent_core,
        compile=settings.compile,
    )


def build_mind(
    settings: Settings,
    acting: dict[str, nn.Module],
    hallway: Hallway,
    curiosity: Curiosity,
    device: torch.device,
    beside: Sequence[Curiosity] = (),
) -> Mind:
    """Build the mind around copies of the acting modules."""
    hot = {
        role: HotModule[nn.Module](acting[role], hallway.weights[role], device, settings.compile)
        for role in ACTING_ROLES
    }
    return Mind(
        ActingModules(**hot),  # type: ignore[arg-type]
        curiosity,
        hallway.windows.shape,
        random_policy=settings.policy == "random",
        seed=settings.seed,
        device=device,
        beside=beside,
    )
