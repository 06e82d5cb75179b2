"""The settings of a run: their names, types, defaults, and one sentence on each.

Nothing heavy is imported here, so that a mistake is reported at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from agent.errors import UsageError
from agent.worlds.embedded.fixed_timestep import LOCKSTEP_RATES, PHYSICS_HZ
from agent.worlds.vrchat.settings import VRChatSettings
from pamiq_lightning.recording.settings import WORST_CRF, RecordingSettings
from pamiq_lightning.shapes import Shapes
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.cpu import can_pin, usable_cores
from pamiq_lightning.utils.usage_error import unknown_name

T = TypeVar("T")
ClassSpec = dict[str, Any]
"""A class_path and its init_args."""


@dataclass
class Settings:
    """Settings of a run.

    Args:
        world: where to live; auto takes VRChat when its window is found, else the embedded world.
        scene: class_path and init_args of the embedded world's place.
        size: size of all nets and of their training rounds: debug, tiny, small, medium or large;
            default: tiny on a CPU, small on CUDA.
        clock: real, at the rate by the clock on the wall; or lockstep, as fast as all can go
            together, each window waiting for its training, so that a seed gives the same run.
        rate: actions per second (Hz).
        time_scale: how many seconds pass in the embedded world, and for the agent in it, in one on
            the wall; a tick then has that much less time.
        rollout_length: steps in a rollout, after which the learners train and new weights come.
        steps: stop after so many ticks; default: run until stopped.
        seconds: stop after so many seconds of acting; default: run until stopped.
        seed: seed of the nets, the actions and the embedded world.
        device: where the nets run; auto takes CUDA when torch has it.
        compile: compile the nets with torch.compile, those that act and those that train. Start-up
            takes minutes the first time; it needs a C++ compiler, on CUDA also Triton.
        agent_core: number of a core that the agent stays on and the trainer keeps off; default: the
            system decides.
        policy: learned, or random for uniformly random actions (the policy then does not learn).
        curiosity: class_path and init_args of the reward.
        logged_rewards: by a name of your own, class_path and init_args of rewards that are only
            written down, in each row's info and in the metrics; what they need is trained, too.
        pause: who stands still when a person pauses: agent, while what was lived is learned on; or
            all, the trainer too.
        api_port: TCP port of the live page and of `python -m agent.ctl`, for this machine alone;
            default: a free one.
        runs: folder that runs are written to; it is also the Aim repository.
        record: write what is lived to the run's recording folder.
        recording: how it is recorded: quality of the video, and how much disk it may take.
        vrchat: the body in VRChat: what it looks through, listens on, and may press.
        osc_host: address of the machine that VRChat runs on.
        osc_port: UDP port of the OSC inputs; default: 9000 for VRChat, a free one for the embedded
            world.
        shapes: shapes that learners share; the size sets them.
        learners: by role, the learners; each has a model, init_weights, freeze and round_limit_s.
        trainer: how the background trainer runs.
    """

    world: Literal["auto", "vrchat", "embedded"] = "auto"
    scene: ClassSpec = field(default_factory=dict)
    size: str = "tiny"
    clock: Literal["real", "lockstep"] = "real"
    rate: PositiveFloat = 10.0
    time_scale: PositiveFloat = 1.0
    rollout_length: PositiveInt = 128
    steps: PositiveInt | None = None
    seconds: PositiveFloat | None = None
    seed: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    agent_core: NonNegativeInt | None = None
    policy: Literal["learned", "random"] = "learned"
    curiosity: ClassSpec = field(default_factory=dict)
    logged_rewards: dict[str, ClassSpec] = field(default_factory=dict)
    pause: Literal["agent", "all"] = "agent"
    api_port: PositiveInt | None = None
    runs: str = "runs"
    record: bool = True
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    vrchat: VRChatSettings = field(default_factory=VRChatSettings)
    osc_host: str = "127.0.0.1"
    osc_port: PositiveInt | None = None
    shapes: Shapes = field(default_factory=Shapes)
    learners: dict[str, LearnerSettings] = field(default_factory=dict)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)


def parse(composed: Mapping[str, Any]) -> Settings:
    """Check names, types and combinations of composed settings, and fill in the defaults.

    Args:
        composed: as `agent.settings.compose.compose` returns.

    Raises:
        UsageError: a key, a value or a combination is not allowed; the message says what is.
    """
    settings = _section(Settings, composed, "")
    _check_ranges(settings)
    _check_combinations(settings)
    return settings


def _section(cls: type[T], given: Any, key: str) -> T:
    """Build a dataclass from the keys and values given for it."""
    hints = get_type_hints(cls)
    if not isinstance(given, Mapping):
        raise UsageError(f"{key}={given}: must hold {', '.join(hints)}")
    values = {}
    for name, value in given.items():
        full = f"{key}.{name}" if key else str(name)
        if name not in hints:
            raise UsageError(f"{full}: {unknown_name(str(name), hints)}")
        values[name] = _convert(hints[name], value, full)
    return cls(**values)


def _convert(hint: Any, value: Any, key: str) -> Any:
    """Return a value as the type it must have."""
    if dataclasses.is_dataclass(hint):
        return _section(hint, {} if value is None else value, key)  # type: ignore[arg-type]
    if get_origin(hint) is dict:
        value = {} if value is None else value
        if not isinstance(value, Mapping):
            holds = "class_path and init_args" if hint == ClassSpec else "names and their settings"
            raise UsageError(f"{key}={value}: must hold {holds}")
        if hint == ClassSpec:
            return dict(value)
        item = get_args(hint)[1]
        return {str(name): _convert(item, entry, f"{key}.{name}") for name, entry in value.items()}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    try:
        converted = parser.parse_object({"value": value}).value
    except ArgumentError as error:
        raise UsageError(f"{key}={value}: must be {_allowed(hint)}") from error
    # Restricted numbers are subclasses, which sockets and YAML do not take.
    return to_plain(converted) if isinstance(converted, int | float) else converted


_ALLOWED = {
    PositiveInt: "a whole number above 0",
    NonNegativeInt: "a whole number, 0 or above",
    PositiveFloat: "a number above 0",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
}


def _allowed(hint: Any) -> str:
    """Say which values a type has."""
    if hint in _ALLOWED:
        return _ALLOWED[hint]
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if get_origin(hint) in (list, tuple):
        return f"a list of {', '.join(map(_allowed, parts))}"
    return " or ".join(map(_allowed, parts))


def _check_ranges(settings: Settings) -> None:
    for key, least, limit in (
        ("seed", 0, 2**32),
        ("osc_port", 1, 2**16),
        ("api_port", 1, 2**16),
        ("recording.crf", 0, WORST_CRF + 1),
        ("rollout_length", 2, math.inf),
    ):
        value = attrgetter(key)(settings)
        if value is not None and not least <= value < limit:
            raise UsageError(f"{key}={value}: must be at least {least} and below {limit}")


def _check_combinations(settings: Settings) -> None:
    lockstep = settings.clock == "lockstep"
    if settings.time_scale != 1 and (lockstep or settings.world == "vrchat"):
        raise UsageError(
            f"time_scale={settings.time_scale}: only the embedded world in real time can be "
            "accelerated"
        )
    if settings.agent_core is not None:
        cores = usable_cores() if can_pin() else 0
        if not 1 < cores > settings.agent_core:
            raise UsageError(
                f"agent_core={settings.agent_core}: must be below the number of cores that can be "
                f"chosen, which is {cores} here, and leave one to the trainer"
            )
    if lockstep and settings.world == "vrchat":
        raise UsageError("clock=lockstep world=vrchat: VRChat keeps its own time; use real")
    if lockstep and settings.rate not in LOCKSTEP_RATES:
        raise UsageError(
            f"rate={settings.rate}: under lockstep it must divide {PHYSICS_HZ}: "
            f"{list(LOCKSTEP_RATES)}"
        )
    for role, learner in settings.learners.items():
        if lockstep and learner.round_limit_s is not None:
            raise UsageError(
                f"learners.{role}.round_limit_s={learner.round_limit_s}: under lockstep a round "
                "must not depend on time"
            )
        if not learner.model:
            raise UsageError(f"learners.{role}.model: is missing")


def plain_settings(settings: Settings) -> dict[str, Any]:
    """Return settings as plain dictionaries, lists, numbers and strings, for files and logs."""
    plain: dict[str, Any] = to_plain(dataclasses.asdict(settings))
    return plain
