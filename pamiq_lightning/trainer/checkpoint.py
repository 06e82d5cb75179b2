"""Weights of one learner on disk, in the form Lightning reads and writes too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch.optim import Optimizer

from pamiq_lightning.exchange.windows import Window
from pamiq_lightning.learners.base import Learner

if TYPE_CHECKING:
    from pamiq_lightning.trainer.trainee import Trainee


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


def load_optimizer(optimizer: Optimizer, path: Path) -> None:
    """Load the optimizer's state that `save` wrote beside the weights.

    Raises:
        CheckpointError: it does not fit.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    try:
        optimizer.load_state_dict(content["optimizer_states"][0])
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"{path} has no state for this optimizer: {error}") from error


def save(learner: Learner, optimizer: Optimizer, path: Path) -> None:
    """Write a learner and its optimizer so that a crash leaves the old file or the new one, whole.

    Lightning reads it too.
    """
    content: dict[str, Any] = {
        "state_dict": learner.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {
            # As Lightning's CLI writes it: from this file alone the learner can be built.
            "_class_path": f"{type(learner).__module__}.{type(learner).__qualname__}",
            "_instantiator": "lightning.pytorch.cli.instantiate_module",
            **learner.hparams,
        },
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
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder outlast a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoint_file(run_folder: Path, role: str) -> Path:
    """Return where a run keeps a learner."""
    return run_folder / "checkpoints" / f"{role}.ckpt"


class Keeper:
    """Saves all learners every so many windows.

    Args:
        run_folder: of the run.
        trainees: the learners and their drivers.
        every: windows between two saves.
    """

    def __init__(self, run_folder: Path, trainees: Sequence[Trainee], every: int) -> None:
        self._run_folder, self._trainees, self._every = run_folder, trainees, every
        # The first at once: what a young encoder has learned is not all in what acts.
        self._next = 1

    def __call__(self, window: Window) -> None:
        """Save if it is time; a disk that refuses is tried again at the next window."""
        if window.number + 1 >= self._next and self.try_to_save():
            self._next = window.number + 1 + self._every

    def try_to_save(self) -> bool:
        """Save every learner; say so in the log and return False where the disk refuses."""
        try:
            self.save()
        except OSError as error:
            print(f"not saved: {error}", flush=True)
            return False
        return True

    def save(self) -> None:
        """Save every learner and its optimizer.

        Raises:
            OSError: the disk refuses; the files before are still whole.
        """
        for trainee in self._trainees:
            path = checkpoint_file(self._run_folder, trainee.role)
            save(trainee.learner, trainee.driver.optimizer, path)
