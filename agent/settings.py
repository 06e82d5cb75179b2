"""The settings of a run: their names, types, defaults, and one sentence on each.

Nothing heavy is imported here, so that a mistake is told at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from agent.compose import UsageError
from pamiq_lightning.class_spec import plain
from pamiq_lightning.names import unknown_name
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings

Size = Literal["debug", "tiny", "small", "medium", "large"]
PHYSICS_HZ = 30


@dataclass
class Settings:
    """Settings of a run.

    Args:
        world: where to live; auto takes VRChat when its window is found, else the embedded world.
        place: class_path and init_args of the embedded world's place.
        size: size of all nets and of their training rounds; default: tiny on a CPU, small on CUDA.
        clock: real, at the rate by the clock on the wall; or lockstep, as fast as all can go
            together, each window waiting for its training, so that a seed gives the same run.
        rate: actions per second (Hz).
        window: steps in a window, after which the learners train and new weights come.
        steps: stop after so many ticks; default: run until stopped.
        seconds: stop after so many seconds of acting; default: run until stopped.
        seed: seed of the nets, the actions and the embedded world.
        device: where the nets run; auto takes CUDA when torch has it.
        policy: learned, or random for uniformly random actions (the policy then does not learn).
        curiosity: class_path and init_args of the reward.
        runs: folder that runs are written to; it is also the Aim repository.
        record: write what is lived to the run's recording folder.
        osc_host: address of the machine that VRChat runs on.
        osc_port: UDP port of the OSC inputs; default: 9000 for VRChat, a free one for the embedded
            world.
        learners: by role, the learners; each has a model, start_from, freeze and budget_s.
        trainer: how the background trainer runs.
    """

    world: Literal["auto", "vrchat", "embedded"] = "auto"
    place: dict[str, Any] = field(default_factory=dict)
    size: Size = "tiny"
    clock: Literal["real", "lockstep"] = "real"
    rate: PositiveFloat = 10.0
    window: PositiveInt = 128
    steps: PositiveInt | None = None
    seconds: PositiveFloat | None = None
    seed: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    policy: Literal["learned", "random"] = "learned"
    curiosity: dict[str, Any] = field(default_factory=dict)
    runs: str = "runs"
    record: bool = True
    osc_host: str = "127.0.0.1"
    osc_port: PositiveInt | None = None
    learners: dict[str, LearnerSettings] = field(default_factory=dict)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)


def parse(composed: Mapping[str, Any], known_learners: set[str]) -> Settings:
    """Check names and types of composed settings.

    Args:
        composed: as `agent.compose.compose` returns.
        known_learners: roles that the conf files define; a role on the command line that is not
            among them is a typing error.

    Raises:
        UsageError: a key, a value or a combination that cannot be; the message says what can.
    """
    _check_names(composed, Settings, "")
    _check_names(composed.get("trainer") or {}, TrainerSettings, "trainer.")
    for role, entry in (composed.get("learners") or {}).items():
        if role not in known_learners:
            raise UsageError(f"learners.{role}: {unknown_name(role, known_learners)}")
        _check_names(entry, LearnerSettings, f"learners.{role}.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Settings, None)
    try:
        settings: Settings = Settings(**vars(parser.instantiate(parser.parse_object(composed))))
    except ArgumentError as error:
        raise UsageError(_explain(error, composed)) from error
    _check_combinations(settings)
    return settings


def _check_names(given: Any, cls: type, prefix: str) -> None:
    known = [f.name for f in dataclasses.fields(cls)]
    if not isinstance(given, Mapping):
        raise UsageError(f"{prefix.rstrip('.')}={given!r}: must hold {', '.join(known)}")
    for name in given:
        if name not in known:
            raise UsageError(f"{prefix}{name}: {unknown_name(str(name), known)}")


def _explain(error: ArgumentError, composed: Mapping[str, Any]) -> str:
    """Name the key and the value; jsonargparse's own words say what is allowed."""
    words = plain(error)
    for key, value in _leaves(composed):
        if f'"{key}"' in words:
            detail = words.split(":", 1)[-1].strip()
            return f"{key}={value}: {detail}"
    return words


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
    if settings.window < 2:
        raise UsageError(f"window={settings.window}: must be at least 2 steps")
    if settings.clock == "lockstep":
        if settings.world == "vrchat":
            raise UsageError("clock=lockstep world=vrchat: VRChat keeps its own time; use real")
        if PHYSICS_HZ % settings.rate:
            allowed = [hz for hz in range(1, PHYSICS_HZ + 1) if PHYSICS_HZ % hz == 0]
            raise UsageError(
                f"rate={settings.rate}: under lockstep it must divide {PHYSICS_HZ}: {allowed}"
            )
    for role, learner in settings.learners.items():
        if not learner.model:
            raise UsageError(f"learners.{role}.model: is missing")


def to_plain(settings: Settings) -> dict[str, Any]:
    """Return settings as plain dictionaries, lists, numbers and strings, for files and logs."""
    plain_settings = _to_plain(dataclasses.asdict(settings))
    assert isinstance(plain_settings, dict)
    return plain_settings


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    # jsonargparse's restricted numbers are subclasses that YAML does not know.
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value
