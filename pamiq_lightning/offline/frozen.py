"""Learners built from checkpoints that are used and not trained."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from pamiq_lightning.checkpoint.files import (
    CheckpointError,
    load_weights,
    newest_weights,
    read_learner,
    spec_of,
)
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.roles import Dynamics
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.utils.instantiate import build

R = TypeVar("R")


@dataclass(frozen=True)
class FrozenEncoders:
    """Checkpoints that latents and states are computed with; None where there is none."""

    encoder: Path | None = None
    dynamics: Path | None = None


def choose_frozen(recording: Path, given: FrozenEncoders, learner: Learner) -> FrozenEncoders:
    """Return the checkpoints for the latents and states that a learner needs of a recording.

    Those given come first, then those that the recording's own run has left beside it. The run's
    dynamics are used with the run's encoder only: they know no other latents. Dynamics in training
    need no states: they start from a blank one.

    Args:
        recording: its folder.
        given: what the user named.
        learner: the one to be trained.

    Raises:
        RecordingError: one is needed, not given, and not there.
    """
    encoder, dynamics = given.encoder, given.dynamics
    run = recording.resolve().parent
    if encoder is None and "latent" in learner.required_keys:
        encoder = newest_weights(run, "encoder")
        if encoder is None:
            raise RecordingError(_missing(recording, learner, "latents", "encoder"))
    if dynamics is None and "state" in learner.required_keys and not isinstance(learner, Dynamics):
        dynamics = newest_weights(run, "dynamics") if given.encoder is None else None
        if dynamics is None:
            raise RecordingError(_missing(recording, learner, "states", "dynamics"))
    return FrozenEncoders(encoder, dynamics)


def _missing(recording: Path, learner: Learner, what: str, role: str) -> str:
    return (
        f"{type(learner).__name__} needs {what}, which {recording} has not: they are computed from "
        f"its frames. Name a checkpoint that computes them: --data.{role} FILE"
    )


def from_checkpoint(path: Path, role: type[R], device: Any = "cpu") -> R:
    """Return the learner that a checkpoint was saved from, frozen and in eval mode.

    Args:
        path: a checkpoint that names its class.
        role: a protocol of `pamiq_lightning.learners.roles`, or `Learner` for any.
        device: where to put it.

    Raises:
        CheckpointError: the file is missing, damaged, or its learner does not have the role.
        UsageError: the class or its arguments are not a learner's.
    """
    spec, _ = read_learner(path)
    if spec is None:
        raise CheckpointError(f"{path} does not name the class of its learner")
    learner = build(Learner, spec, str(path))
    if not isinstance(learner, role):
        raise CheckpointError(
            f"{path} holds a {type(learner).__name__}, which is no "
            f"{role.__module__}.{role.__qualname__}"
        )
    load_weights(learner, path)
    return cast(R, learner.requires_grad_(False).eval().to(device))


def untrained(learner: R) -> R:
    """Return a learner of the same class and settings with new weights, in eval mode."""
    assert isinstance(learner, Learner)
    return cast(R, build(Learner, spec_of(learner)).eval())


def fingerprint(*paths: Path) -> str:
    """Return a hash of the contents of these files, 16 hex digits."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
