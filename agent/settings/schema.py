"""The settings of a run: their names, types, defaults, and one sentence on each.

Nothing heavy is imported here: a mistake is reported at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser

from agent.errors import UsageError
from agent.worlds.embedded.fixed_timestep import LOCKSTEP_RATES, PHYSICS_HZ
from agent.worlds.vrchat.settings import VRChatSettings
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.shapes import Shapes
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings
from pamiq_lightning.utils.cpu import allowed_cores, can_pin
from pamiq_lightning.utils.ranges import Count, Factor, Port, Range, Rate, Seconds, Seed, find_range
from pamiq_lightning.utils.usage_error import check_names

_NOWHERE: Mapping[str, str] = {}
ClassSpec = dict[str, Any]
"""A class_path and its init_args."""


@dataclass
class Settings:
    """Settings of a run.

    Args:
        world: vrchat, embedded, or auto: VRChat when its window is found, else the embedded world.
        scene: class_path and init_args of the embedded world's scene.
        size: size of all nets and training rounds: debug, tiny, small, medium or large; default:
            tiny on a CPU, small on CUDA.
        clock: real: the rate holds in real time; or lockstep: as fast as possible, each rollout
            waits for its training, and a seed gives the same run.
        rate: actions per second (Hz).
        time_scale: seconds that pass in the embedded world, for agent and physics, per real second.
        rollout_length: steps in a rollout, after which the learners train.
        steps: stop after so many ticks; default: run until stopped.
        seconds: stop after so many seconds of acting; default: run until stopped.
        seed: seed of the nets, the actions and the embedded world.
        device: where the nets run; auto takes CUDA when torch has it.
        compile: compile the nets with torch.compile. The first start takes minutes; it needs a C++
            compiler, on CUDA also Triton.
        agent_core: number of the core that the agent alone uses; default: the system decides.
        policy: learned, or random for a gait (the policy then does not learn).
        gait: of policy=random: sticky keeps each choice for a second on average, jitter draws every
            choice anew at every tick, forward is sticky and mostly walks forward.
        curiosity: class_path and init_args of the reward.
        logged_rewards: by a name of your own, class_path and init_args of rewards that are only
            logged, in each row's info and in the metrics; what they need is trained too.
        pause: what a pause stops: agent, while the trainer learns on; or all, the trainer too.
        api_port: TCP port of the live page and of `python -m agent.ctl`, for this machine alone;
            default: a free one.
        runs: folder that runs are written to; it is also the Aim repository.
        record: write every step to the run's recording folder.
        recording: how it is recorded: quality of the video, and how much disk it may take.
        vrchat: the body in VRChat: its capture source, its OSC port, and the actions it may use.
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
    rate: Rate = 10.0
    time_scale: Factor = 1.0
    rollout_length: Annotated[int, Range(2, 10**5)] = 128
    steps: Count | None = None
    seconds: Seconds | None = None
    seed: Seed = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    agent_core: Annotated[int, Range(0, 10**4)] | None = None
    policy: Literal["learned", "random"] = "learned"
    gait: Literal["sticky", "jitter", "forward"] = "sticky"
    curiosity: ClassSpec = field(default_factory=dict)
    logged_rewards: dict[str, ClassSpec] = field(default_factory=dict)
    pause: Literal["agent", "all"] = "agent"
    api_port: Port | None = None
    runs: str = "runs"
    record: bool = True
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    vrchat: VRChatSettings = field(default_factory=VRChatSettings)
    osc_host: str = "127.0.0.1"
    osc_port: Port | None = None
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
    settings: Settings = convert(Settings, composed, places=getattr(composed, "places", {}))
    for problem, found in _problems(settings):
        if found:
            raise UsageError(problem)
    return settings


def convert(hint: Any, value: Any, key: str = "", places: Mapping[str, str] = _NOWHERE) -> Any:
    """Return a value as the type it must have; sections and dictionaries part by part.

    Args:
        hint: the type, a dataclass for a section.
        value: what is given.
        key: its dotted key, for messages.
        places: FILE:LINE of keys, for messages.

    Raises:
        UsageError: an unknown name, a value of a wrong type, or a number out of its range.
    """
    if hint is Any:
        return value
    problem = f"{key}={'null' if value is None else value}{place_of(key, places)}: must"
    if not is_dataclass(hint) and get_origin(hint) is not dict:
        return _convert_value(hint, value, problem)
    hints = get_type_hints(hint, include_extras=True) if is_dataclass(hint) else {}
    if not isinstance(value, Mapping):
        names = ", ".join(hints) or "names"
        needed = "keys and values, such as class_path" if hint == ClassSpec else names
        raise UsageError(f"{problem} hold {needed}")
    prefix = f"{key}." if key else ""
    hints = hints or dict.fromkeys(value, get_args(hint)[1])
    check_names(prefix, value, hints)
    parts = {name: convert(hints[name], value[name], f"{prefix}{name}", places) for name in value}
    return hint(**parts) if isinstance(hint, type) else parts


def _convert_value(hint: Any, value: Any, problem: str) -> Any:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    problem = f"{problem} be {_allowed(hint)}"
    # The parser takes null for anything, and "010" for a number.
    if (value is None and type(None) not in get_args(hint)) or (
        isinstance(value, str) and {str, Literal}.isdisjoint(_kinds(hint))
    ):
        raise UsageError(problem)
    try:
        converted = parser.parse_object({"value": value}).value
    except ArgumentError as error:
        raise UsageError(problem) from error
    allowed = find_range(hint)
    numbers = converted if isinstance(converted, list | tuple) else [converted]
    if allowed and any(isinstance(n, int | float) and n not in allowed for n in numbers):
        raise UsageError(problem)
    return converted


def place_of(key: str, places: Mapping[str, str]) -> str:
    """Return where a key stands, for a message; nothing where no file sets it."""
    return f" ({places[key]})" if key in places else ""


def takes_text(key: str) -> bool:
    """Return whether a setting takes a text, by its dotted key."""
    hint: Any = Settings
    for name in key.split("."):
        if is_dataclass(hint):
            hint = get_type_hints(hint).get(name)
        else:
            hint = get_args(hint)[1] if get_origin(hint) is dict else None
    return str in ((hint,) if get_origin(hint) in (dict, list) else (hint, *get_args(hint)))


_PLAIN: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text (in a file, put quotes round a number)",
    type(None): "null",
}


def _kinds(hint: Any) -> set[Any]:
    """Return the plain types, and Literal, that a type is made of."""
    if get_origin(hint) in (Literal, None):
        return {get_origin(hint) or hint}
    inner = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
    return set().union(*map(_kinds, inner))


def _allowed(hint: Any) -> str:
    """Say which values a type has."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, parts))}" if len(parts) > 1 else str(parts[0])
    if get_origin(hint) is Annotated:
        return f"{_PLAIN[parts[0]]} {find_range(hint)}"
    if get_origin(hint) in (list, tuple):
        return f"a list of {', '.join(map(_allowed, parts))}"
    return _PLAIN.get(hint) or " or ".join(map(_allowed, parts))


def _problems(settings: Settings) -> Iterator[tuple[str, bool]]:
    """Yield what settings may not be, each with whether they are."""
    lockstep, vrchat = settings.clock == "lockstep", settings.world == "vrchat"
    yield (
        f"time_scale={settings.time_scale}: only the embedded world in real time can be scaled",
        settings.time_scale != 1 and (lockstep or vrchat),
    )
    core, cores = settings.agent_core, allowed_cores() if can_pin() else []
    yield (
        f"agent_core={core}: must be one of the cores that this process may use "
        f"({', '.join(map(str, cores)) or 'none can be chosen on this system'}), and leave one to "
        "the trainer",
        core is not None and (core not in cores or len(cores) == 1),
    )
    yield "clock=lockstep world=vrchat: VRChat keeps its own time; use real", lockstep and vrchat
    yield (
        f"rate={settings.rate}: under lockstep it must divide {PHYSICS_HZ}: {[*LOCKSTEP_RATES]}",
        lockstep and settings.rate not in LOCKSTEP_RATES,
    )
    for role, learner in settings.learners.items():
        limit_s, key = learner.round_limit_s, f"learners.{role}"
        problem = f"{key}.round_limit_s={limit_s}: under lockstep no round may depend on time"
        yield problem, lockstep and limit_s is not None
        yield f"{key}.model: is missing", not learner.model
