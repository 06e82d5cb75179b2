"""The Lightning CLI for one learner and a recording."""

from __future__ import annotations

import importlib.util
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import yaml
from jsonargparse import ArgumentError, set_loader, set_parsing_settings
from jsonargparse._deprecated import JsonargparseDeprecationWarning
from jsonargparse._optionals import get_omegaconf_loader
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from pamiq_lightning.checkpoint.files import CheckpointError
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.datamodule import RecordingDataModule
from pamiq_lightning.offline.evaluate import Evaluation
from pamiq_lightning.offline.interrupts import Interrupted, Interrupts
from pamiq_lightning.offline.predict import Predictions
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.shapes import Shapes
from pamiq_lightning.utils.console import (
    open_missing_streams,
    print_error,
    print_failure,
    safe_streams,
)
from pamiq_lightning.utils.instantiate import check_numbers, find_class, user_code
from pamiq_lightning.utils.usage_error import UsageError
from pamiq_lightning.utils.yaml_files import dump_yaml, read_text, read_yaml

SHAPES = "shapes.yaml"
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
_MODE = "omegaconf+"
"""How jsonargparse reads `${shapes.latent}`."""
# Lightning puts checkpoints beside the first logger's files.
CSV_LOGGER = {
    "class_path": "pamiq_lightning.offline.csv_log.CSVLog",
    "init_args": {"save_dir": FOLDER, "name": ""},
}
AIM_LOGGER = {
    "class_path": "pamiq_lightning.offline.aim_logger.AimLogger",
    "init_args": {"repo": RUNS, "experiment": "offline"},
}
WHOLE_CHECKPOINTS = "pamiq_lightning.offline.whole_checkpoints.WholeCheckpoints"


def default_loggers() -> list[dict[str, Any]]:
    """Return the loggers: CSV files, and Aim where it is installed."""
    return [CSV_LOGGER, AIM_LOGGER] if importlib.util.find_spec("aim") else [CSV_LOGGER]


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()


class LearnerCLI(LightningCLI):
    """LightningCLI whose files may refer to `shapes`, which each size states once."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `shapes`, which `${shapes.latent}` in a learner's file refers to."""
        parser.add_class_arguments(Shapes, "shapes")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, with the shapes.yaml beside a config file read before that file."""
        assert args is None or isinstance(args, list)
        given: list[str] = []
        for argument in sys.argv[1:] if args is None else args:
            given += argument.split("=", 1) if argument.startswith("--config=") else [argument]
        files = [file for flag, file in pairwise(given) if flag in ("-c", "--config")]
        shapes = [path for file in files if (path := Path(file).with_name(SHAPES)).is_file()]
        # Before the first of them, so that what they say counts.
        given[1:1] = [f"--config={path}" for path in shapes]
        for class_path in _model_classes(files, given):
            find_class(Learner, class_path, "model")
        self.config = parser.parse_args(given)

    def instantiate_classes(self) -> None:
        """Build learner, data and trainer; what the learner's class raises becomes one line."""
        model = self.config[self.subcommand].get("model") if self.subcommand else None
        base = f"{Learner.__module__}.{Learner.__qualname__}"
        if not model or model.get("class_path", base) == base:
            raise UsageError("model: names no class; give model.class_path or --config FILE")
        arguments = model.get("init_args")
        check_numbers(arguments.as_dict() if arguments else {}, "model.init_args")
        with user_code(f"model={model.class_path}", RecordingError, CheckpointError):
            try:
                super().instantiate_classes()
            except ValueError as error:
                # jsonargparse wraps what the class raised.
                raise error.__cause__ or error from None


def _model_classes(files: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the learner's class path of every file and argument that names one.

    Raises:
        UsageError: a file cannot be used.
    """
    contents = [read_yaml(Path(file)) for file in files]
    if {} in contents:
        raise UsageError(f"{files[contents.index({})]}: is empty")
    models = [content.get("model") for content in contents]
    paths = [model["class_path"] for model in models if _has_class(model)]
    for flag, value in pairwise([*(part for each in arguments for part in each.split("=", 1)), ""]):
        if flag == "--model.class_path" or (flag == "--model" and "." in value):
            paths.append(value)
    return paths


def _has_class(model: object) -> TypeGuard[Mapping[str, str]]:
    return isinstance(model, Mapping) and isinstance(model.get("class_path"), str)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the CLI; return the exit code."""
    open_missing_streams()
    # Lightning 2.6 calls what jsonargparse 4.49 renamed.
    warnings.filterwarnings("ignore", category=JsonargparseDeprecationWarning)
    # Batches come from this process alone: see `TrainingRounds`.
    warnings.filterwarnings("ignore", "Your `IterableDataset` has `__len__` defined")
    # There is no validation while training: see `RecordingDataModule.val_dataloader`.
    warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
    warnings.filterwarnings("ignore", "You passed in a `val_dataloader` but have no")
    # A resumed fit continues after the rollouts it has seen (see `Interrupts`), in a new folder.
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before")
    warnings.filterwarnings("ignore", "The dirpath has changed from")
    # Lightning 2.6 calls what torch 2.13 deprecates, and advertises other packages.
    warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with safe_streams(), Interrupts(given) as interrupts:
            _run(arguments, interrupts)
    except ArgumentError as error:
        return print_failure(f"{error} (try --help)", 2)
    except (UsageError, MisconfigurationException) as error:
        return print_failure(error, 2)
    # Of the system: a disk that is full or read-only.
    except (RecordingError, CheckpointError, ValueError, OSError) as error:
        return print_failure(error)
    except Interrupted as end:
        print_error(f"Stopped ({end}).")
        return end.exit_code
    return 0


def _load(text: str) -> Any:
    """Load a settings file or a value of the command line as the agent does: 010 is ten."""
    load = get_omegaconf_loader(_MODE)  # type: ignore[no-untyped-call]
    # Text that is no YAML, or a path such as C:, jsonargparse takes as it is.
    with suppress(UsageError):
        content = read_text(text)
        values = content.values() if isinstance(content, dict) else content
        if isinstance(content, dict | list) and any(value is not None for value in values):
            return load(dump_yaml(content))
    return load(text)


def _run(arguments: Sequence[str] | None, interrupts: Interrupts) -> None:
    # `${shapes.latent}` in a file of a subcommand refers to that subcommand's `shapes`.
    mode = {"parser_mode": _MODE, "exit_on_error": False}
    set_loader(_MODE, _load, (yaml.YAMLError,))
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    LearnerCLI(
        Learner,
        RecordingDataModule,
        subclass_mode_model=True,
        # Learners make their own optimizers.
        auto_configure_optimizers=False,
        seed_everything_default=1,
        trainer_defaults={
            **TRAINER_DEFAULTS,
            "logger": default_loggers(),
            "plugins": [{"class_path": WHOLE_CHECKPOINTS}],
            "callbacks": [Evaluation(), Predictions(), interrupts],
        },
        save_config_kwargs={"overwrite": True},
        parser_kwargs={**mode, **dict.fromkeys(LearnerCLI.subcommands(), mode)},
        args=list(arguments) if arguments is not None else None,
    )
