"""The agent state: what a run needs beside the weights to continue.

It travels with every rollout. The trainer stores it in checkpoints and does not read it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from torch import nn

from agent.actor import Actor, saved_rewards
from agent.errors import RunFailure
from agent.loop import Loop
from agent.worlds.embedded.lockstep import LockstepWorld
from pamiq_lightning.checkpoint.files import CheckpointError, tensor_bytes
from pamiq_lightning.checkpoint.rng_state import load_rng_state_dict, rng_state_dict
from pamiq_lightning.checkpoint.snapshot import AGENT, Checkpoint
from pamiq_lightning.exchange.weights import tensors_of
from pamiq_lightning.step import ACTING_ROLES
from pamiq_lightning.utils.finite import check_finite

_RNG = "process_rng_"


def agent_state_bytes(loop: Mapping[str, Any], actor: Actor, world: LockstepWorld | None) -> bytes:
    """Return all that the next tick depends on but the weights.

    Args:
        loop: `state_dict` of the loop.
        actor: the actor.
        world: under lockstep; then the states of the process's random generators are in it too.
    """
    tensors = actor.state_dict()
    values: dict[str, Any] = {"loop": dict(loop), "versions": actor.modules.versions()}
    if world is not None:
        rng = rng_state_dict()
        tensors |= {_RNG + "torch": rng.pop("torch")}
        tensors |= {_RNG + "numpy": rng["numpy"].pop("keys")}
        # Nothing is sampled on a CUDA device within a tick.
        rng.pop("cuda", None)
        values |= {"world": world.state_dict(), "rng": rng}
    else:
        values["time"] = time.time()
    return tensor_bytes(tensors, {"agent_state": json.dumps(values)})


def check_agent_state(checkpoint: Checkpoint) -> None:
    """Check that the agent state is finite.

    Raises:
        CheckpointError: it is not; the message names the number.
    """
    if checkpoint.agent is None:
        return
    tensors = checkpoint.agent[0]
    # The world's ground truth may lack numbers.
    own = {name: tensor for name, tensor in tensors.items() if name != "last_info"}
    try:
        check_finite({**own, "rewards": saved_rewards(tensors)}, "")
    except ValueError as error:
        raise CheckpointError(f"{checkpoint.folder / AGENT}: {error}") from error


def is_exact(checkpoint: Checkpoint, lockstep: bool) -> bool:
    """Return whether a run under lockstep can continue as if it had never stopped."""
    return lockstep and checkpoint.agent is not None and "world" in _values(checkpoint)


def first_rollout(checkpoint: Checkpoint, exact: bool, rate: float, rows: int) -> int:
    """Return the number of the first rollout of the resumed run.

    In real time numbers advance as if ticks had gone on, so that no number is used twice: the run
    went on after the checkpoint was written.
    """
    if exact or checkpoint.agent is None:
        return int(checkpoint.trainer["cursor"])
    return -(-_next_index(checkpoint, rate) // rows)


def load_agent_state(
    checkpoint: Checkpoint,
    loop: Loop,
    actor: Actor,
    world: LockstepWorld | None,
    rate: float,
    saved: Mapping[str, nn.Module],
) -> None:
    """Continue from a checkpoint: at the same tick under lockstep, else after a reset.

    Args:
        checkpoint: one that the trainer has resumed from already. Under lockstep the trainer has
            also finished the round in which it was written.
        loop: before its first tick.
        actor: warmed up, with the newest weights.
        world: under lockstep, if the checkpoint `is_exact`.
        rate: ticks per second on the wall.
        saved: the acting modules by role, with the checkpoint's weights.

    Raises:
        RunFailure: the checkpoint is of another agent or scene, or has newer weights.
    """
    _check_versions(checkpoint, actor)
    if checkpoint.agent is None:
        return
    tensors, values = checkpoint.agent[0], _values(checkpoint)
    try:
        actor.load_state_dict(tensors, same_tick=world is not None)
        if world is None:
            loop.load_state_dict(values["loop"], _next_index(checkpoint, rate))
            return
        world.load_state_dict(values["world"])
        # Under lockstep a wait sets the clock to its deadline.
        loop.clock.sleep_until(values["loop"]["metrics"]["now"], lambda: False)
        loop.load_state_dict(values["loop"])
        versions = dict(zip(ACTING_ROLES, values["versions"], strict=True))
        _load_versions(checkpoint, actor, versions, saved)
        numpy = {**values["rng"]["numpy"], "keys": tensors[_RNG + "numpy"]}
        load_rng_state_dict({**values["rng"], "torch": tensors[_RNG + "torch"], "numpy": numpy})
    except (KeyError, ValueError, RuntimeError) as error:
        raise RunFailure(
            f"{checkpoint.folder} is not of this agent in this scene: {error}"
        ) from error


def _check_versions(checkpoint: Checkpoint, actor: Actor) -> None:
    """Check that the actor has the weights of the trainer that resumed from the checkpoint."""
    for role, module in zip(ACTING_ROLES, actor.modules, strict=True):
        saved = int(checkpoint.learners[role]["version"])
        if module.version < saved:
            raise RunFailure(
                f"{role}: version {module.version} would act, though {checkpoint.folder} has "
                f"version {saved}"
            )


def _values(checkpoint: Checkpoint) -> dict[str, Any]:
    assert checkpoint.agent is not None
    values: dict[str, Any] = json.loads(checkpoint.agent[1]["agent_state"])
    return values


def _next_index(checkpoint: Checkpoint, rate: float) -> int:
    values = _values(checkpoint)
    # Since the agent state was taken, not since the save, which may come rollouts later.
    passed: float = max(0.0, time.time() - values.get("time", checkpoint.manifest["time"]))
    return int(values["loop"]["index"]) + math.ceil(passed * rate) + 1


def _load_versions(
    checkpoint: Checkpoint,
    actor: Actor,
    versions: Mapping[str, int],
    saved: Mapping[str, nn.Module],
) -> None:
    """Act with the versions that acted then, and take the newest after them, as the agent did."""
    for role, version in versions.items():
        module = getattr(actor.modules, role)
        if module.version == version:
            continue
        known = {int(checkpoint.learners[role]["version"]): tensors_of(saved[role])}
        if role in checkpoint.previous:
            known.setdefault(*checkpoint.previous[role])
        if version not in known:
            raise ValueError(f"{role}: version {version} acted, it has {sorted(known)}")
        module.load_version(version, known[version])
    actor.poll_weights(None)
