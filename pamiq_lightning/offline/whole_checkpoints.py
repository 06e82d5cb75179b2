"""Lightning's checkpoints, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from pamiq_lightning.utils.atomic_io import replace_atomic


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's own way to save and load, except that a full disk leaves no part of a file.

    Lightning writes into the system's temporary folder and copies from there, which may be
    another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save a checkpoint.

        Raises:
            OSError: the disk refuses; a file that is there stays as it was.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        replace_atomic(Path(path), content.getvalue())
