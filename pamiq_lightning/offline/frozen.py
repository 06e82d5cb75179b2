"""Learners that stand still: built from a checkpoint, to encode what others train on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

from pamiq_lightning.checkpoint.files import CheckpointError, load_weights, read_learner
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.utils.instantiate import build

T = TypeVar("T", bound=Learner)


def from_checkpoint(path: Path, kind: type[T]) -> T:
    """Return the learner a checkpoint was saved from, with its weights, ready to be used.

    Raises:
        CheckpointError: the file is missing, damaged, or of another kind of learner.
    """
    spec, _ = read_learner(path)
    if spec is None:
        raise CheckpointError(f"{path} does not say which learner it is of")
    # The spec is checked as one in a conf file is: only a Learner of this kind is built.
    learner = build(kind, spec, str(path))
    load_weights(learner, path)
    learner.requires_grad_(False)
    return learner.eval()


def fingerprint(*paths: Path) -> str:
    """Return what distinguishes the contents of these files from all others, 16 hex digits."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
