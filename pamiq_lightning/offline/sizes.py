"""Checks that a learner has the sizes of the recording and of the checkpoints it trains with."""

from __future__ import annotations

from pathlib import Path

from pamiq_lightning.checkpoint.store import CheckpointError, find_checkpoints, read_settings
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.roles import Encoder
from pamiq_lightning.offline.frozen import FrozenEncoders, from_checkpoint
from pamiq_lightning.recording.schema import DatasetSpec, RecordingError


def check_sizes(recording: Path, spec: DatasetSpec, frozen: FrozenEncoders, model: Learner) -> None:
    """Check frames, actions, latents and states.

    Args:
        recording: its folder.
        spec: of the recording.
        frozen: what computes its latents and states.
        model: the learner to be trained.

    Raises:
        RecordingError: the learner has another size; the message names the file of the right one.
        CheckpointError: a checkpoint cannot be used.
    """
    own, expected = dict(model.shared_shapes), {"action_choices": tuple(spec.action_choices)}
    sources = {"action_choices": str(recording)}
    if isinstance(model, Encoder):
        own["frame"], expected["frame"] = (model.frame_size,), (spec.frame_size,)
        sources["frame"] = str(recording)
    for key, path in (("latent", frozen.encoder), ("state", frozen.dynamics)):
        if path is not None and key in model.required_keys:
            expected[key] = from_checkpoint(path, Learner).shared_shapes[key]
            sources[key] = str(path)
    for key, shape in expected.items():
        if own.get(key, shape) != shape:
            raise RecordingError(
                f"{type(model).__name__} is of another size: its {key} is {list(own[key])}, that "
                f"of {sources[key]} is {list(shape)}; {_advice(recording, model)}"
            )


def _advice(recording: Path, model: Learner) -> str:
    package, _, name = type(model).__module__.rpartition(".")
    file = f"{name}.yaml" if package == "pamiq_lightning.learners" else "the learner's file"
    for folder in find_checkpoints(recording.resolve().parent):
        try:
            size = read_settings(folder)["size"]
        except (CheckpointError, KeyError):
            continue
        return f"the run has the size {size}: --config conf/sizes/{size}/{file}"
    return f"give the size of the recording: --config conf/sizes/SIZE/{file}"
