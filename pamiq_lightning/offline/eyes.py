"""Which checkpoints make the latents and states that a recording has not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pamiq_lightning.checkpoint.files import newest_weights
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.recording.schema import RecordingError


@dataclass(frozen=True)
class FrozenEncoders:
    """Checkpoints that latents and states are made with; None where there is none."""

    encoder: Path | None = None
    dynamics: Path | None = None


def choose_frozen(recording: Path, given: FrozenEncoders, learner: Learner) -> FrozenEncoders:
    """Return what makes the latents and states that a learner needs of a recording.

    What is given comes first, then what the recording's own run has left beside it. Its dynamics
    only go with its encoder: they know no other latents. Dynamics that are to be trained need none:
    they make their states themselves, from a blank one on.

    Args:
        recording: its folder.
        given: what the user named.
        learner: who is to learn from it.

    Raises:
        RecordingError: something is needed, not given, and not there.
    """
    encoder, dynamics = given.encoder, given.dynamics
    run = recording.resolve().parent
    if encoder is None and "latent" in learner.required_keys:
        encoder = newest_weights(run, "encoder")
        if encoder is None:
            raise RecordingError(_missing(recording, learner, "latents", "encoder"))
    if (
        dynamics is None
        and "state" in learner.required_keys
        and not isinstance(learner, SioConvDynamics)
    ):
        dynamics = newest_weights(run, "dynamics") if given.encoder is None else None
        if dynamics is None:
            raise RecordingError(_missing(recording, learner, "states", "dynamics"))
    return FrozenEncoders(encoder, dynamics)


def _missing(recording: Path, learner: Learner, what: str, role: str) -> str:
    return (
        f"{type(learner).__name__} needs {what}, which {recording} has not: they are made from its "
        f"frames. Name a checkpoint that makes them: --data.{role} FILE"
    )
