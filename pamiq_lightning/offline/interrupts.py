"""Signals that end a command: `fit` saves a checkpoint first, everything else ends at once."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

from pamiq_lightning.offline.datamodule import Progress, RecordingDataModule
from pamiq_lightning.utils.console import print_error, safe_print
from pamiq_lightning.utils.stop_signals import StopSignals

CHECKPOINT = "interrupted.ckpt"
_COMMAND = ("python", "-m", "pamiq_lightning")


class Interrupted(BaseException):
    """A signal ends the command.

    Args:
        number: of the signal.
        between_updates: whether the learner's state is whole.
    """

    def __init__(self, number: signal.Signals, between_updates: bool = False) -> None:
        super().__init__(number.name)
        self.exit_code, self.between_updates = 128 + number, between_updates


class Interrupts(StopSignals, L.Callback):
    """Context and callback in which a signal ends a command.

    While a learner trains, the first signal lets the update end and saves a checkpoint; a second
    one ends the command at once.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__()
        self._arguments = list(arguments)
        self._progress = Progress()
        self._skip = 0
        self._training = False
        self._signal: signal.Signals | None = None

    def take(self, number: signal.Signals) -> None:
        """End the command, or request the end of training."""
        if not self._training or self._signal is not None:
            raise Interrupted(number)
        self._signal = number
        print_error("\nStopping after this update; a second signal stops at once.")

    def _before_batch(self) -> None:
        if self._signal is not None:
            raise Interrupted(self._signal, between_updates=True)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the signals back from Lightning, whose handlers end without a checkpoint."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, RecordingDataModule)
        self._progress, self._training = data.progress, True
        self._progress.before_batch = self._before_batch
        self._progress.skip, self._skip = self._skip, 0
        self.take_back()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the next epoch at the first rollout."""
        self._progress.seen = 0

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End at once from here on: Lightning has saved its own checkpoint."""
        self._training = False

    def state_dict(self) -> dict[str, Any]:
        """Return how many rollouts of the epoch are done."""
        return {"seen": self._progress.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the rollouts that are done."""
        self._skip = int(state_dict["seen"])

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Save a checkpoint, if the learner's state is whole, and print how to go on.

        After a disk has refused to take something, print how to go on from the newest checkpoint.
        """
        self._training = False
        others = getattr(trainer.checkpoint_callback, "dirpath", None)
        path = Path(others or trainer.log_dir or trainer.default_root_dir) / CHECKPOINT
        if isinstance(exception, OSError):
            saved = sorted(path.parent.glob("*.ckpt"), key=lambda file: file.stat().st_mtime)
            if saved:
                safe_print(f"The newest checkpoint is {saved[-1]}. To go on:")
                safe_print(self._resume_command(saved[-1]))
            return
        if not isinstance(exception, Interrupted) or not exception.between_updates:
            return
        try:
            trainer.save_checkpoint(path, weights_only=False)
        except OSError as error:
            print_error(f"error: {path} cannot be written ({error.strerror or error})")
            return
        safe_print(f"Saved to {path}. To go on:\n{self._resume_command(path)}")

    def _resume_command(self, path: Path) -> str:
        arguments = list(self._arguments)
        for at in reversed(range(len(arguments))):
            flag, equals, _ = arguments[at].partition("=")
            if flag == "--ckpt_path":
                del arguments[at : at + (1 if equals else 2)]
        command = [*_COMMAND, *arguments, "--ckpt_path", str(path)]
        return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)
