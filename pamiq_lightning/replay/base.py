"""The contract of a replay buffer, and the batches of one training round.

The trainer's loop and Lightning's `Trainer` (offline) both take their batches from
`training_round`, so both train a learner in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from tensordict import TensorDict
from torchrl import torchrl_logger

from pamiq_lightning.learners.base import Learner, ReplaySpec

# TorchRL logs every storage it creates. Importing it sets the level that it has by itself.
torchrl_logger.setLevel(logging.WARNING)


class ReplayBuffer(Protocol):
    """The experience of one learner."""

    def extend(self, steps: TensorDict) -> None:
        """Add a rollout [N], whose keys `training_round` has checked."""

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield the batches of one training round; none while there is too little experience."""

    def flush(self) -> None:
        """Write the rows in files to the disk.

        Raises:
            OSError: the disk refuses.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values; with the rows in the files they are the whole state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> str | None:
        """Restore the state that `state_dict` returned, over the files of this buffer.

        Returns:
            What is lost, in words, or None.

        Raises:
            KeyError, ValueError: it is the state of another buffer.
        """


def check_same_spec(state: Mapping[str, Any], spec: ReplaySpec) -> None:
    """Check that the state of a replay buffer is that of one with this spec.

    Raises:
        ValueError: the kind or the capacity differs.
    """
    if (state["kind"], state["capacity"]) != (spec.kind, spec.capacity):
        raise ValueError(
            f"it has {state['capacity']} rows ({state['kind']}), the settings say "
            f"{spec.capacity} rows ({spec.kind})"
        )


def training_round(
    learner: Learner, replay: ReplayBuffer, rollouts: Iterable[TensorDict]
) -> Iterator[TensorDict]:
    """Pass new rollouts to the learner and its replay buffer, then yield the batches of a round.

    Raises:
        KeyError: a rollout lacks a key that the learner requires.
    """
    for steps in rollouts:
        # No learner may read `info`.
        steps = _mask_nonfinite(steps.exclude("info"))
        _check_keys(learner, steps)
        learner.on_rollout(steps)
        _extend(learner, replay, steps)
    yield from replay.batches(learner)


def fill_replay(learner: Learner, replay: ReplayBuffer, steps: TensorDict) -> None:
    """Add a rollout that the learner has been trained on before to an empty replay buffer.

    Raises:
        KeyError: it lacks a key that the learner requires.
    """
    _check_keys(learner, steps)
    # On-policy rollouts are used once.
    if learner.replay.kind != "on_policy":
        _extend(learner, replay, _mask_nonfinite(steps.exclude("info")))


def _check_keys(learner: Learner, steps: TensorDict) -> None:
    # TorchRL's storages do not check keys: a missing one would leave stale rows.
    missing = set(learner.required_keys) - set(steps.keys())
    if missing:
        raise KeyError(f"{type(learner).__name__} needs {sorted(missing)}, not in these steps")


def _extend(learner: Learner, replay: ReplayBuffer, steps: TensorDict) -> None:
    replay.extend(steps.select(*{*learner.required_keys, "valid", "index"}))


def _mask_nonfinite(steps: TensorDict) -> TensorDict:
    """Mark rows [N] that hold a number which is not finite as invalid; set those numbers to 0."""
    steps, valid = steps.copy(), steps["valid"].clone()
    for key, value in steps.items():
        if value.is_floating_point():
            valid &= value.flatten(1).isfinite().all(1) if value.ndim > 1 else value.isfinite()
            steps[key] = value.nan_to_num(0.0, 0.0, 0.0)
    steps["valid"] = valid
    return steps
