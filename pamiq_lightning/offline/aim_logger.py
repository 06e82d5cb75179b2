"""Lightning's metrics in Aim, through a process that a full disk cannot make wait."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from PIL import Image

from pamiq_lightning.trainer.aim_log import AimLog
from pamiq_lightning.trainer.aim_process import AimTarget, Parameters, Track
from pamiq_lightning.utils.console import print_error

CLOSE_LIMIT_S = 30.0
_SUBSETS = ("train", "val", "test")


class AimLogger(Logger):
    """Logs to Aim; where that fails, a line is printed and training goes on.

    Aim's own logger writes in the training process, which then waits for the disk.

    Args:
        repo: folder of the Aim repository.
        experiment: name of the experiment in Aim.
    """

    def __init__(self, repo: str, experiment: str) -> None:
        super().__init__()
        self._target = AimTarget(Path(repo), experiment)
        self._log: AimLog | None = None

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return self._target.experiment

    @property
    def version(self) -> None:
        """None: Aim names its runs itself."""
        return None

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers; `train_`, `val_` and `test_` before a name become Aim's context."""
        epoch = metrics.get("epoch")
        for key, value in metrics.items():
            if key == "epoch":
                continue
            subset, _, name = key.partition("_")
            named = (name, {"subset": subset}) if subset in _SUBSETS else (key, {})
            self._put(
                Track(float(value), named[0], step, None if epoch is None else int(epoch), named[1])
            )

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Log the learner's settings; what Aim has no type for is logged as text."""
        values = vars(params) if isinstance(params, Namespace) else params
        self._put(Parameters("hparams", json.loads(json.dumps(values, default=str))))

    def log_picture(self, name: str, picture: Image.Image) -> None:
        """Log a picture."""
        self._put(Track(picture, name))

    def finalize(self, status: str) -> None:
        """Write what is queued, or give up after a while."""
        if self._log is not None:
            self._log.close(CLOSE_LIMIT_S)
            self._log = None

    def _put(self, record: Track | Parameters) -> None:
        if self._log is None:
            self._log = AimLog(self._target, print_error, quiet=True)
        self._log.put(record)
