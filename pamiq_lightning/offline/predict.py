"""`predict`: a learner's outputs for every step of a recording, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from safetensors.torch import save
from tensordict import TensorDict

from pamiq_lightning.utils.atomic_io import staged
from pamiq_lightning.utils.console import safe_print

FOLDER = "predictions"


class Predictions(L.Callback):
    """Writes what `predict_step` returns, one safetensors file per rollout, beside the metrics.

    Each has the steps' `index` and the learner's outputs, one row per step.
    """

    def __init__(self) -> None:
        self._written = 0

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: TensorDict,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write one rollout."""
        folder = self._folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        rows = {name: tensor.cpu().contiguous() for name, tensor in outputs.items()}
        rows["index"] = batch["index"].cpu().contiguous()
        # As bytes: safetensors reports a full disk as an error of its own.
        with staged(folder / f"{batch_idx:06d}.safetensors") as part:
            part.write_bytes(save(rows))
        self._written += 1
        # Lightning would hold every output to return it; the CLI has no use for it.
        outputs.clear()

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print where they are."""
        safe_print(f"{self._written} rollouts: {self._folder(trainer)}")

    @staticmethod
    def _folder(trainer: L.Trainer) -> Path:
        return Path(trainer.log_dir or trainer.default_root_dir) / FOLDER
