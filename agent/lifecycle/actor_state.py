"""The agent's own state, which travels with every window so that a life can go on from it.

The trainer stores it in checkpoints without looking into it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from agent.actor import Actor
from agent.clock import Clock
from agent.errors import RunFailure
from agent.loop import Loop
from agent.worlds.embedded.lockstep import LockstepWorld
from pamiq_lightning.checkpoint.files import tensor_bytes
from pamiq_lightning.checkpoint.rng_state import restore_rng_state, rng_state
from pamiq_lightning.exchange.weights import tensors_of
from pamiq_lightning.step import ACTING_ROLES
from pamiq_lightning.trainer.checkpointer import Checkpoint

_CHANCE = "of_process_"


def agent_state_bytes(loop: Mapping[str, Any], actor: Actor, world: LockstepWorld | None) -> bytes:
    """Return all that the next tick depends on but the weights.

    Args:
        loop: the loop's own part.
        mind: who lives.
        world: under lockstep, where; then the process's random generators are kept as well.
    """
    tensors = actor.state()
    told: dict[str, Any] = {"loop": dict(loop), "versions": actor.modules.versions()}
    if world is not None:
        rng = rng_state()
        tensors |= {_CHANCE + "torch": rng.pop("torch")}
        tensors |= {_CHANCE + "numpy": rng["numpy"].pop("keys")}
        # A card draws nothing within a tick.
        rng.pop("cuda", None)
        told |= {"world": world.state_dict(), "chance": rng}
    else:
        told["time"] = time.time()
    return tensor_bytes(tensors, {"agent_state": json.dumps(told)})


def is_exact(checkpoint: Checkpoint, lockstep: bool) -> bool:
    """Tell whether a life under lockstep can go on as if nothing had been."""
    return lockstep and checkpoint.agent is not None and "world" in _told(checkpoint)


def first_rollout(checkpoint: Checkpoint, exact: bool, rate: float, rows: int) -> int:
    """Return the number of the first window to come.

    In real time numbers go on as if ticks had, so that none that was lived after the checkpoint was
    written is ever given twice.
    """
    if exact or checkpoint.agent is None:
        return int(checkpoint.trainer["cursor"])
    return -(-_next_index(checkpoint, rate) // rows)


def _next_index(checkpoint: Checkpoint, rate: float) -> int:
    told = _told(checkpoint)
    # Of the moment, not of the save, which may come windows later.
    passed: float = max(0.0, time.time() - told.get("time", checkpoint.manifest["time"]))
    return int(told["loop"]["index"]) + math.ceil(passed * rate) + 1


def restore(
    checkpoint: Checkpoint,
    loop: Loop,
    actor: Actor,
    world: LockstepWorld | None,
    rate: float,
    saved: Mapping[str, nn.Module],
) -> None:
    """Let the agent go on from a checkpoint: at the same moment under lockstep, else anew.

    Args:
        checkpoint: one that the trainer has gone on from already, and under lockstep has finished
            the round that it was written in.
        loop: before its first tick.
        mind: warmed up, with the newest weights.
        world: under lockstep, if the checkpoint `is_exact`.
        rate: ticks a second on the wall.
        saved: what acts, by role, with the checkpoint's weights.

    Raises:
        RunFailure: it is the checkpoint of another agent or place.
    """
    if checkpoint.agent is None:
        return
    tensors, told = checkpoint.agent[0], _told(checkpoint)
    try:
        actor.restore(tensors, same_agent_state=world is not None)
        if world is None:
            loop.restore(told["loop"], _next_index(checkpoint, rate))
            return
        world.load_state_dict(told["world"])
        _set_clock(loop.clock, told["loop"]["metrics"]["now"])
        loop.restore(told["loop"])
        versions = dict(zip(ACTING_ROLES, told["versions"], strict=True))
        _act_as_before(checkpoint, actor, versions, saved)
        _restore_rng(told["chance"], tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise RunFailure(
            f"{checkpoint.folder} is not of this agent in this place: {error}"
        ) from error


def _told(checkpoint: Checkpoint) -> dict[str, Any]:
    assert checkpoint.agent is not None
    told: dict[str, Any] = json.loads(checkpoint.agent[1]["agent_state"])
    return told


def _set_clock(clock: Clock, now: float) -> None:
    """Under lockstep a clock can be set: it is at whatever time somebody waits for."""
    clock.sleep_until(now, lambda: False)


def _act_as_before(
    checkpoint: Checkpoint,
    actor: Actor,
    versions: Mapping[str, int],
    saved: Mapping[str, nn.Module],
) -> None:
    """Take the weights that acted then, and after them the newest, as the agent did."""
    for role, version in versions.items():
        module = getattr(actor.modules, role)
        if module.version == version:
            continue
        known = {int(checkpoint.learners[role]["version"]): tensors_of(saved[role])}
        if role in checkpoint.before:
            known.setdefault(*checkpoint.before[role])
        if version not in known:
            raise ValueError(f"{role}: version {version} acted, it has {sorted(known)}")
        module.load_version(version, known[version])
    actor.poll_weights(None)


def _restore_rng(rng: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    numpy = {**rng["numpy"], "keys": tensors[_CHANCE + "numpy"]}
    restore_rng_state({**rng, "torch": tensors[_CHANCE + "torch"], "numpy": numpy})
