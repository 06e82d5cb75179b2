"""Builds the replay buffer that a learner asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pamiq_lightning.learners.base import ReplaySpec
from pamiq_lightning.replay.base import ReplayBuffer
from pamiq_lightning.replay.memmap import MemmapRows, RowField
from pamiq_lightning.replay.on_policy import OnPolicyReplay
from pamiq_lightning.replay.sequence import SequenceReplay
from pamiq_lightning.replay.uniform import UniformReplay


def make_replay(
    spec: ReplaySpec, folder: Path | None = None, fields: Mapping[str, RowField] | None = None
) -> ReplayBuffer:
    """Build a replay buffer.

    Args:
        spec: what the learner asks for.
        folder: for the files of its rows; default: the rows are in memory alone.
        fields: shape and type of each key of a row; required with `folder`.

    Raises:
        OSError: the disk has no room for the files.
    """
    if spec.kind == "on_policy":
        return OnPolicyReplay(spec)
    rows = None
    if folder is not None:
        assert fields is not None
        stored = {key: field for key, field in fields.items() if key not in ("index", "valid")}
        if spec.kind == "sequence":
            stored |= {"trajectory": ((), np.int64), "valid": ((), np.bool_)}
        rows = MemmapRows(folder, spec.capacity, stored)
    return UniformReplay(spec, rows) if spec.kind == "uniform" else SequenceReplay(spec, rows)
