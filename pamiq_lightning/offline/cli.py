"""The Lightning CLI for one learner and a recording."""

from __future__ import annotations

import importlib.util
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from jsonargparse._deprecated import JsonargparseDeprecationWarning
from lightning.pytorch.cli import LightningCLI

from pamiq_lightning.checkpoint.files import CheckpointError
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.datamodule import RecordingDataModule
from pamiq_lightning.offline.evaluate import Evaluation
from pamiq_lightning.offline.predict import Predictions
from pamiq_lightning.recording.schema import RecordingError

RUNS = "runs"
"""Also the Aim repository of the agent's runs."""
FOLDER = f"{RUNS}/offline"
TRAINER_DEFAULTS = {
    "accelerator": "auto",
    "devices": 1,
    "max_epochs": 1,
    "default_root_dir": FOLDER,
    "log_every_n_steps": 1,
    "enable_model_summary": False,
}
# Lightning puts checkpoints beside the first logger's files.
CSV_LOGGER = {
    "class_path": "lightning.pytorch.loggers.CSVLogger",
    "init_args": {"save_dir": FOLDER, "name": ""},
}
AIM_LOGGER = {
    "class_path": "aim.pytorch_lightning.AimLogger",
    "init_args": {
        "repo": RUNS,
        "experiment": "offline",
        # These would log every environment variable.
        "log_system_params": False,
        "capture_terminal_logs": False,
        "system_tracking_interval": None,
    },
}


def default_loggers() -> list[dict[str, Any]]:
    """Return the loggers: CSV files, and Aim where it is installed."""
    return [CSV_LOGGER, AIM_LOGGER] if importlib.util.find_spec("aim") else [CSV_LOGGER]


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the CLI; return the exit code."""
    # Lightning 2.6 calls what jsonargparse 4.49 renamed.
    warnings.filterwarnings("ignore", category=JsonargparseDeprecationWarning)
    # Batches come from this process alone: see `TrainingRounds`.
    warnings.filterwarnings("ignore", "Your `IterableDataset` has `__len__` defined")
    # There is no validation while training: see `RecordingDataModule.val_dataloader`.
    warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
    warnings.filterwarnings("ignore", "You passed in a `val_dataloader` but have no")
    # Lightning 2.6 calls what torch 2.13 deprecates, and advertises other packages.
    warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    try:
        LightningCLI(
            Learner,
            RecordingDataModule,
            subclass_mode_model=True,
            # Learners make their own optimizers.
            auto_configure_optimizers=False,
            seed_everything_default=1,
            trainer_defaults={
                **TRAINER_DEFAULTS,
                "logger": default_loggers(),
                "callbacks": [Evaluation(), Predictions()],
            },
            save_config_kwargs={"overwrite": True},
            args=list(arguments) if arguments is not None else None,
        )
    except (RecordingError, CheckpointError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
