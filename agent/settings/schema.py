"""The settings of a run: their names, types, defaults, and one sentence on each.

Nothing heavy is imported here, so that a mistake is told at once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from agent.errors import UsageError
from agent.worlds.embedded.fixed_timestep import LOCKSTEP_RATES, PHYSICS_HZ
from agent.worlds.vrchat.settings import VRChatSettings
from pamiq_lightning.recording.settings import WORST_CRF, RecordingSettings
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.cpu import can_pin, usable_cores
from pamiq_lightning.utils.instantiate import plain
from pamiq_lightning.utils.suggest import unknown_name

Size = Literal["debug", "tiny", "small", "medium", "large"]
CLASS_KEYS = ("scene", "curiosity")
"""Keys that hold a class_path and init_args; each learner's `model` does too."""
LOGGED_REWARDS_KEY = "logged_rewards"
"""Holds such ones by name."""


@dataclass
class Settings:
    """Settings of a run.

    Args:
        world: where to live; auto takes VRChat when its window is found, else the embedded world.
        scene: class_path and init_args of the embedded world's place.
        size: size of all nets and of their training rounds; default: tiny on a CPU, small on CUDA.
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
        learners: by role, the learners; each has a model, init_weights, freeze and round_limit_s.
        trainer: how the background trainer runs.
    """

    world: Literal["auto", "vrchat", "embedded"] = "auto"
    scene: dict[str, Any] = field(default_factory=dict)
    size: Size = "tiny"
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
    curiosity: dict[str, Any] = field(default_factory=dict)
    logged_rewards: dict[str, Any] = field(default_factory=dict)
    pause: Literal["agent", "all"] = "agent"
    api_port: PositiveInt | None = None
    runs: str = "runs"
    record: bool = True
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    vrchat: VRChatSettings = field(default_factory=VRChatSettings)
    osc_host: str = "127.0.0.1"
    osc_port: PositiveInt | None = None
    learners: dict[str, LearnerSettings] = field(default_factory=dict)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)


def parse(composed: Mapping[str, Any], known_learners: set[str]) -> Settings:
    """Check names and types of composed settings.

    Args:
        composed: as `agent.settings.compose.compose` returns.
        known_learners: roles that the conf files define; a role on the command line that is not
            among them is a typing error.

    Raises:
        UsageError: a key, a value or a combination that cannot be; the message says what can.
    """
    _check_names(composed, Settings, "")
    _check_names(composed.get("trainer") or {}, TrainerSettings, "trainer.")
    _check_names(composed.get("recording") or {}, RecordingSettings, "recording.")
    _check_names(composed.get("vrchat") or {}, VRChatSettings, "vrchat.")
    learners = composed.get("learners") or {}
    if not isinstance(learners, Mapping):
        raise UsageError(f"learners={learners}: must hold {', '.join(sorted(known_learners))}")
    for role, entry in learners.items():
        if role not in known_learners:
            raise UsageError(f"learners.{role}: {unknown_name(role, known_learners)}")
        _check_names(entry, LearnerSettings, f"learners.{role}.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Settings, None)
    try:
        parsed = parser.instantiate(parser.parse_object(_without_classes(composed)))
        settings = Settings(**vars(parsed))
    except ArgumentError as error:
        raise UsageError(_explain(error, composed)) from error
    _put_classes_back(settings, composed)
    _unwrap(settings)
    _check_combinations(settings)
    return settings


def _without_classes(composed: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what names classes: jsonargparse would import them, which takes seconds."""
    named = (*CLASS_KEYS, LOGGED_REWARDS_KEY)
    bare = {key: value for key, value in composed.items() if key not in named}
    bare["learners"] = {
        role: {key: value for key, value in entry.items() if key != "model"}
        for role, entry in (composed.get("learners") or {}).items()
    }
    return bare


def _put_classes_back(settings: Settings, composed: Mapping[str, Any]) -> None:
    for key in CLASS_KEYS:
        setattr(settings, key, _mapping(composed.get(key), key))
    beside = composed.get(LOGGED_REWARDS_KEY) or {}
    if not isinstance(beside, Mapping):
        raise UsageError(f"{LOGGED_REWARDS_KEY}={beside}: must hold rewards by name")
    settings.logged_rewards = {
        str(name): _mapping(spec, f"{LOGGED_REWARDS_KEY}.{name}") for name, spec in beside.items()
    }
    for role, entry in (composed.get("learners") or {}).items():
        key = f"learners.{role}.model"
        settings.learners[role].model = _mapping(entry.get("model"), key)


def _mapping(value: Any, key: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise UsageError(f"{key}={value}: must hold class_path and init_args")
    return dict(value or {})


def _unwrap(section: Any) -> None:
    """Make plain numbers of jsonargparse's restricted ones, which sockets and YAML do not know."""
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        parts = value.values() if isinstance(value, dict) else [value]
        for part in parts:
            if dataclasses.is_dataclass(part):
                _unwrap(part)
        if isinstance(value, int | float):
            setattr(section, item.name, to_plain(value))


def _check_names(given: Any, cls: type, prefix: str) -> None:
    known = [f.name for f in dataclasses.fields(cls)]
    if not isinstance(given, Mapping):
        raise UsageError(f"{prefix.rstrip('.')}={given!r}: must hold {', '.join(known)}")
    for name in given:
        if name not in known:
            raise UsageError(f"{prefix}{name}: {unknown_name(str(name), known)}")


_ALLOWED = {
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number, 0 or above",
    "PositiveFloat": "a number above 0",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "NoneType": "null",
}


def _explain(error: ArgumentError, composed: Mapping[str, Any]) -> str:
    """Name the key, the value and what is allowed, from jsonargparse's longer words."""
    words = plain(error)
    key = next((k for k, _ in _leaves(composed) if f'"{k}"' in words), None)
    value = dict(_leaves(composed)).get(key or "")
    choices = re.findall(r"Literal\[(.*?)\]", words)
    types = re.findall(r"(?:Not of type |Expected a <class ')(\w+)", words)
    allowed = [f"one of {choice}" for choice in dict.fromkeys(choices)]
    allowed += [_ALLOWED[name] for name in dict.fromkeys(types) if name in _ALLOWED]
    if key is None or not allowed:
        return words
    return f"{key}={value}: must be {' or '.join(allowed)}"


def _leaves(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        found.append((prefix + key, value))
        if isinstance(value, Mapping):
            found += _leaves(value, f"{prefix}{key}.")
    return found


def _check_combinations(settings: Settings) -> None:
    if settings.size not in get_args(Size):
        raise UsageError(f"size={settings.size}: {unknown_name(settings.size, get_args(Size))}")
    if settings.seed >= 2**32:
        raise UsageError(f"seed={settings.seed}: must be below {2**32}")
    for key in ("osc_port", "api_port"):
        port = getattr(settings, key)
        if port is not None and port >= 2**16:
            raise UsageError(f"{key}={port}: must be below {2**16}")
    if settings.recording.crf > WORST_CRF:
        raise UsageError(f"recording.crf={settings.recording.crf}: must be 0 to {WORST_CRF}")
    if settings.rollout_length < 2:
        raise UsageError(f"rollout_length={settings.rollout_length}: must be at least 2 steps")
    if settings.time_scale != 1 and (settings.clock == "lockstep" or settings.world == "vrchat"):
        raise UsageError(
            f"time_scale={settings.time_scale}: only the embedded world in real time can be hurried"
        )
    if settings.agent_core is not None:
        cores = usable_cores() if can_pin() else 0
        if not 1 < cores > settings.agent_core:
            raise UsageError(
                f"agent_core={settings.agent_core}: must be below the number of cores that can be "
                f"chosen, which is {cores} here, and leave one to the trainer"
            )
    if settings.clock == "lockstep":
        if settings.world == "vrchat":
            raise UsageError("clock=lockstep world=vrchat: VRChat keeps its own time; use real")
        if settings.rate not in LOCKSTEP_RATES:
            raise UsageError(
                f"rate={settings.rate}: under lockstep it must divide {PHYSICS_HZ}: "
                f"{list(LOCKSTEP_RATES)}"
            )
    for role, learner in settings.learners.items():
        if settings.clock == "lockstep" and learner.round_limit_s is not None:
            raise UsageError(
                f"learners.{role}.round_limit_s={learner.round_limit_s}: under lockstep a round "
                "must not depend on time"
            )
        if not learner.model:
            raise UsageError(f"learners.{role}.model: is missing")


def plain_settings(settings: Settings) -> dict[str, Any]:
    """Return settings as plain dictionaries, lists, numbers and strings, for files and logs."""
    plain_ones: dict[str, Any] = to_plain(dataclasses.asdict(settings))
    return plain_ones
