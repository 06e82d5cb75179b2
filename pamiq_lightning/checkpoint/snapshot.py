"""The content of one checkpoint of a run: its files, written, read and checked against learners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pamiq_lightning.checkpoint.files import (
    WEIGHTS,
    CheckpointError,
    fit_weights,
    read_tensors,
    read_values,
    tensor_bytes,
    value_bytes,
    weights_bytes,
)
from pamiq_lightning.checkpoint.store import SETTINGS, read_settings, verify
from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.optimizers import configure_optimizer
from pamiq_lightning.replay.base import check_same_spec
from pamiq_lightning.utils.finite import check_finite

TRAINER, AGENT, STATE, PREVIOUS = "trainer.pt", "agent.safetensors", ".pt", "_previous.safetensors"
_LEARNER_KEYS = {"updater", "learner", "version", "replay", "metrics"}
_TRAINER_KEYS = {"cursor", "dropped", "rollouts", "pending", "rng"}


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint that was read.

    Attributes:
        folder: where it was read from.
        manifest: its manifest.
        settings: the run's settings when it was written.
        weights: each learner's state_dict, by role.
        learners: the rest of each learner's state, by role.
        trainer: the trainer's position: cursor, dropped and pending rollouts, RNG state.
        agent: the agent's own state, tensors and texts; None before the first full rollout.
        previous: under lockstep, version and tensors published before the latest, by role.
    """

    folder: Path
    manifest: dict[str, Any]
    settings: dict[str, Any]
    weights: dict[str, dict[str, Tensor]]
    learners: dict[str, dict[str, Any]]
    trainer: dict[str, Any]
    agent: tuple[dict[str, Tensor], dict[str, str]] | None
    previous: dict[str, tuple[int, list[Tensor]]]


def learner_files(
    role: str,
    learner: Learner,
    state: Mapping[str, Any],
    previous: tuple[int, Sequence[Tensor]] | None,
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each of a learner's files, one at a time to save memory.

    Args:
        role: its key in settings.
        learner: the module.
        state: its worker's state_dict.
        previous: version and tensors published before the latest, or None to leave them out.
    """
    yield role + WEIGHTS, weights_bytes(learner)
    yield role + STATE, value_bytes(state)
    if previous:
        version, tensors = previous
        numbered = {str(number): tensor for number, tensor in enumerate(tensors)}
        yield role + PREVIOUS, tensor_bytes(numbered, {"version": str(version)})


def pack_rollouts(rollouts: Iterable[Rollout]) -> dict[int, Any]:
    """Return rollouts as plain values and tensors, by number."""
    return {
        rollout.number: {"steps": rollout.to_tensordict().to_dict(), "metrics": rollout.metrics}
        for rollout in rollouts
    }


def unpack_rollouts(packed: Mapping[int, Any]) -> dict[int, Rollout]:
    """Return the rollouts that `pack_rollouts` packed, by number."""
    return {
        number: Rollout(
            number,
            {key: tensor.numpy() for key, tensor in rollout["steps"].items()},
            rollout["metrics"],
        )
        for number, rollout in packed.items()
    }


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint and check every file; no content of a file is executed.

    Raises:
        CheckpointError: a file is missing, damaged, unsafe, or of a newer version.
    """
    manifest = verify(folder)
    names, roles = set(manifest["files"]), manifest["roles"]
    required = {TRAINER, SETTINGS, *(r + WEIGHTS for r in roles), *(r + STATE for r in roles)}
    if not required <= names:
        raise CheckpointError(f"{folder} has no {', no '.join(sorted(required - names))}")
    previous = {}
    for role in roles:
        if role + PREVIOUS in names:
            tensors, texts = read_tensors(folder / (role + PREVIOUS))
            previous[role] = int(texts["version"]), [tensors[str(i)] for i in range(len(tensors))]
    return Checkpoint(
        folder,
        manifest,
        read_settings(folder),
        {role: read_tensors(folder / (role + WEIGHTS))[0] for role in roles},
        {role: _read_dictionary(folder / (role + STATE), _LEARNER_KEYS) for role in roles},
        _read_dictionary(folder / TRAINER, _TRAINER_KEYS),
        read_tensors(folder / AGENT) if AGENT in names else None,
        previous,
    )


def _read_dictionary(path: Path, keys: set[str]) -> dict[str, Any]:
    """Read plain values by name, which must include `keys`."""
    values = read_values(path)
    if not isinstance(values, dict) or not keys <= set(values):
        raise CheckpointError(f"{path} does not hold {', '.join(sorted(keys))}")
    return values


def check_fit(checkpoint: Checkpoint, learners: Mapping[str, Learner]) -> None:
    """Load a checkpoint's weights into learners and check that all its other state fits them.

    Raises:
        CheckpointError: it is a checkpoint of other learners; the message names the file.
    """
    check_roles(checkpoint, list(learners))
    for role, learner in learners.items():
        fit_weights(learner, checkpoint.weights[role], checkpoint.folder / (role + WEIGHTS))
        state = checkpoint.learners[role]
        try:
            optimizer, _ = configure_optimizer(learner)
            optimizer.load_state_dict(state["updater"]["optimizer"])
            check_same_spec(state["replay"], learner.replay)
            check_finite(state["updater"]["optimizer"], "optimizer")
            check_finite(state["replay"], "replay")
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise misfit(checkpoint, role, error) from error


def check_roles(checkpoint: Checkpoint, roles: list[str]) -> None:
    """Check that a checkpoint has exactly these learners.

    Raises:
        CheckpointError: it has others.
    """
    had = checkpoint.manifest["roles"]
    if sorted(roles) != sorted(had):
        raise CheckpointError(
            f"{checkpoint.folder} has the learners {', '.join(had)}; the settings have "
            f"{', '.join(roles)}"
        )


def misfit(checkpoint: Checkpoint, role: str, error: Exception) -> CheckpointError:
    """Return the error that a learner's state in the checkpoint does not fit its settings."""
    path = checkpoint.folder / (role + STATE)
    return CheckpointError(f"{path} does not fit learners.{role} as it is set: {error}")
