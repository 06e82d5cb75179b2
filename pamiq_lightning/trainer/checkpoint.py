"""Weights of one learner on disk, in the form Lightning reads and writes too."""

from __future__ import annotations

import os
from pathlib import Path

import lightning as L
import torch

from pamiq_lightning.learners.base import Learner


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message says which and why."""


def load_weights(learner: Learner, path: Path) -> None:
    """Load a learner's weights from a Lightning checkpoint, executing nothing that is in it.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or of another model.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # Damaged bytes make the unpickler raise nearly anything.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is not a checkpoint of plain tensors: {reason}") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise CheckpointError(f"{path} has no state_dict: it is not a Lightning checkpoint")
    try:
        learner.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise CheckpointError(
            f"{path} does not fit {type(learner).__name__} as it is set: {reason}"
        ) from error


def save_weights(learner: Learner, path: Path) -> None:
    """Write a learner's weights so that a crash leaves the old file or the new one, whole."""
    content = {
        "state_dict": learner.state_dict(),
        "hyper_parameters": dict(learner.hparams),
        "pytorch-lightning_version": L.__version__,
        "epoch": 0,
        "global_step": int(learner.n_updates),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".part")
    with staged.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
