"""`validate`: tables, metrics and pictures of what a learner makes of held-out minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import cast

import lightning as L
from lightning.pytorch.loggers import Logger
from PIL import Image

from pamiq_lightning.learners.imagination import HORIZONS
from pamiq_lightning.learners.roles import Decoder, Dynamics, Encoder
from pamiq_lightning.offline.aim_logger import AimLogger
from pamiq_lightning.offline.datamodule import RecordingDataModule
from pamiq_lightning.offline.frozen import from_checkpoint
from pamiq_lightning.offline.probe import PIXELS, RANDOM, TRAINED, probe_rows, probe_table
from pamiq_lightning.offline.visualize import draw_imagined, draw_reconstructed, held_out_sequences
from pamiq_lightning.utils.atomic_io import staged
from pamiq_lightning.utils.console import safe_print

ERROR_LIMIT, ACTION_LIMIT, PROBE_LIMIT, RANK_LIMIT = 0.7, 1.2, 0.8, 5.0
"""Limits of a good model: error / error of copying, shuffled / true actions, mean R2, RankMe."""


class Evaluation(L.Callback):
    """After `validate` and `test`, prints the tables that a learner's role has."""

    def on_test_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Print the tables and log their metrics."""
        self._evaluate(trainer, module)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Do the same."""
        if trainer.state.fn == "validate":
            self._evaluate(trainer, module)

    @staticmethod
    def _evaluate(trainer: L.Trainer, module: L.LightningModule) -> None:
        data = cast(RecordingDataModule, trainer.datamodule)  # type: ignore[attr-defined]
        lines, metrics = [data.describe_held_out()], {}
        if isinstance(module, Dynamics):
            lines += error_lines({k: float(v) for k, v in trainer.callback_metrics.items()})
        encoder = find_encoder(module, data)
        if encoder is None:
            lines.append("position and heading: name the encoder with --data.encoder to probe it")
        else:
            try:
                rows = probe_rows(data.datasets)
            except ValueError as error:
                # VRChat and videos have no ground truth; all else is evaluated nevertheless.
                lines.append(f"position and heading: not probed, for {error}")
            else:
                scores, rank = probe_table(encoder, rows)
                lines += probe_lines(scores, rank)
                metrics = {f"probe_r2_{name}": fmean(r2) for name, r2 in scores.items()}
                metrics["rank_me"] = rank
        pictures = draw(module, data)
        if data.decoder and not pictures:
            lines.append("pictures: name the encoder with --data.encoder to have them drawn")
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        for name, picture in pictures.items():
            save_picture(picture, name, folder, trainer.loggers)
            lines.append(f"picture: {folder / name}.png")
        safe_print("\n".join(lines))
        for logger in trainer.loggers:
            logger.log_metrics(metrics)


def find_encoder(module: L.LightningModule, data: RecordingDataModule) -> Encoder | None:
    """Return the encoder to probe: the learner itself, or the one that made all latents."""
    if isinstance(module, Encoder):
        return module
    paths = {dataset.frozen for dataset in data.datasets}
    path = paths.pop().encoder if len(paths) == 1 else None
    return from_checkpoint(path, Encoder, module.device) if path else None


def draw(module: L.LightningModule, data: RecordingDataModule) -> dict[str, Image.Image]:
    """Return the pictures that an encoder, a decoder and, for the second, dynamics allow."""
    frozen = data.datasets[0].frozen
    dynamics: Dynamics | None = module if isinstance(module, Dynamics) else None
    if dynamics is None and frozen.dynamics:
        dynamics = from_checkpoint(frozen.dynamics, Dynamics, module.device)
    decoder: Decoder | None = module if isinstance(module, Decoder) else None
    if decoder is None and data.decoder:
        decoder = from_checkpoint(data.decoder, Decoder, module.device)
    if decoder is None or frozen.encoder is None:
        return {}
    wanted = {"frame", "latent"} | ({"state"} if dynamics else set())
    sequences = held_out_sequences(data.datasets, wanted)
    pictures = {"reconstructed": draw_reconstructed(sequences, decoder)}
    if dynamics is not None:
        pictures["imagined"] = draw_imagined(sequences, decoder, dynamics)
    return pictures


def save_picture(picture: Image.Image, name: str, folder: Path, loggers: Sequence[Logger]) -> None:
    """Write a picture as PNG, and to Aim if that is among the loggers."""
    folder.mkdir(parents=True, exist_ok=True)
    with staged(folder / f"{name}.png") as part:
        picture.save(part, "PNG")
    for logger in loggers:
        if isinstance(logger, AimLogger):
            logger.log_picture(name, picture)


def _verdict(good: bool) -> str:
    return "met" if good else "MISSED"


def error_lines(errors: Mapping[str, float]) -> list[str]:
    """Return the table of imagined steps from the metrics of `imagination_errors`."""
    lines = [
        "",
        "imagined with the actions taken",
        f"{'steps ahead':>11} {'error':>8} {'copy-last':>10} {'ratio':>7} {f'<= {ERROR_LIMIT}':>8}"
        f" {'shuffled/true':>14} {f'>= {ACTION_LIMIT}':>8}",
    ]
    if "true_error_1" not in errors:
        return [*lines, "no held-out stretch is long enough"]
    for steps in HORIZONS:
        true, shuffled, copied = (
            errors[f"{name}_error_{steps}"] for name in ("true", "shuffled", "copied")
        )
        ratio, action = true / copied, shuffled / true
        lines.append(
            f"{steps:>11} {true:>8.4f} {copied:>10.4f} {ratio:>7.3f}"
            f" {_verdict(ratio <= ERROR_LIMIT):>8} {action:>14.3f}"
            f" {_verdict(action >= ACTION_LIMIT):>8}"
        )
    return lines


def probe_lines(scores: Mapping[str, list[float]], rank: float) -> list[str]:
    """Return the table of probes."""
    lines = [
        "",
        f"{'R2 of a linear probe':<20} {'x':>7} {'y':>7} {'sin':>7} {'cos':>7} {'mean':>7}",
    ]
    for name, r2 in scores.items():
        metrics = " ".join(f"{value:>7.3f}" for value in [*r2, fmean(r2)])
        lines.append(f"{name:<20} {metrics}")
    best, others = fmean(scores[TRAINED]), [fmean(scores[name]) for name in (RANDOM, PIXELS)]
    return [
        *lines,
        f"mean R2 >= {PROBE_LIMIT}: {_verdict(best >= PROBE_LIMIT)};"
        f" above the other two: {_verdict(best > max(others))}",
        f"RankMe {rank:.1f} (below {RANK_LIMIT:.0f} is a collapse)",
    ]
