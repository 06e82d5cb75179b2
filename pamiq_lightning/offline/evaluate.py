"""`validate`: whether the model learned, as a table and as metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import lightning as L
from lightning.pytorch.loggers import Logger
from PIL import Image

from pamiq_lightning.learners.decoder import ConvDecoder
from pamiq_lightning.learners.dynamics import HORIZONS, SioConvDynamics
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.offline.datamodule import RecordingDataModule
from pamiq_lightning.offline.frozen import from_checkpoint
from pamiq_lightning.offline.probing import PIXELS, RANDOM, TRAINED, probe_rows, probe_table
from pamiq_lightning.offline.visualize import draw_imagined, draw_kept, held_out_moments

ERROR_LIMIT, ACTION_LIMIT, PROBE_LIMIT, RANK_LIMIT = 0.7, 1.2, 0.8, 5.0
"""What a good model reaches: error / copying the last latent, shuffled / true action, mean R2,
effective rank."""


class Evaluation(L.Callback):
    """After `validate`, prints what a learner makes of the held-out minutes beside the limits."""

    def on_test_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Print the table, and log its figures."""
        self._judge(trainer, module)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Do the same."""
        if trainer.state.fn == "validate":
            self._judge(trainer, module)

    @staticmethod
    def _judge(trainer: L.Trainer, module: L.LightningModule) -> None:
        data = cast(RecordingDataModule, trainer.datamodule)  # type: ignore[attr-defined]
        lines, metrics = [data.describe_held_out()], {}
        if isinstance(module, SioConvDynamics):
            lines += error_lines({k: float(v) for k, v in trainer.callback_metrics.items()})
        encoder = module if isinstance(module, IJEPA) else None
        frozen = {dataset.frozen for dataset in data.datasets}
        if encoder is None and len(frozen) == 1 and (path := frozen.pop().encoder):
            encoder = from_checkpoint(path, IJEPA)
        if encoder is None:
            lines.append("place and heading: name the encoder with --data.encoder to probe it")
        else:
            try:
                rows = probe_rows(data.datasets)
            except ValueError as error:
                # VRChat and films tell of no place; all else is judged all the same.
                lines.append(f"place and heading: not probed, for {error}")
            else:
                scores, rank = probe_table(encoder, rows)
                lines += probe_lines(scores, rank)
                metrics = {f"probe_r2_{name}": mean(r2) for name, r2 in scores.items()}
                metrics["rank_me"] = rank
        pictures = draw(module, data)
        if data.decoder and not pictures:
            lines.append("pictures: name the encoder with --data.encoder to have them drawn")
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        for name, picture in pictures.items():
            keep_picture(picture, name, folder, trainer.loggers)
            lines.append(f"picture: {folder / name}.png")
        print("\n".join(lines), flush=True)
        for logger in trainer.loggers:
            logger.log_metrics(metrics)


def draw(module: L.LightningModule, data: RecordingDataModule) -> dict[str, Image.Image]:
    """Return the pictures that can be made: they take an encoder and a decoder."""
    frozen = data.datasets[0].frozen
    dynamics = module if isinstance(module, SioConvDynamics) else None
    if dynamics is None and frozen.dynamics:
        dynamics = from_checkpoint(frozen.dynamics, SioConvDynamics)
    decoder = module if isinstance(module, ConvDecoder) else None
    if decoder is None and data.decoder:
        decoder = from_checkpoint(data.decoder, ConvDecoder)
    if decoder is None or frozen.encoder is None:
        return {}
    wanted = {"frame", "latent"} | ({"state"} if dynamics else set())
    moments = held_out_moments(data.datasets, wanted)
    pictures = {"kept": draw_kept(moments, decoder.net)}
    if dynamics is not None:
        pictures["imagined"] = draw_imagined(moments, decoder.net, dynamics.net)
    return pictures


def keep_picture(picture: Image.Image, name: str, folder: Path, loggers: Sequence[Logger]) -> None:
    """Write a picture as PNG, and to Aim where that logs."""
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder / f"{name}.png")
    for logger in loggers:
        if type(logger).__name__ == "AimLogger":
            import aim

            logger.experiment.track(aim.Image(picture), name=name)  # type: ignore[attr-defined]


def mean(numbers: list[float]) -> float:
    """Return the mean."""
    return math.fsum(numbers) / len(numbers)


def _verdict(good: bool) -> str:
    return "met" if good else "MISSED"


def error_lines(errors: Mapping[str, float]) -> list[str]:
    """Return the table of imagined futures, from the metrics of the validation step."""
    lines = [
        "",
        "imagined with the actions really taken",
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
        metrics = " ".join(f"{value:>7.3f}" for value in [*r2, mean(r2)])
        lines.append(f"{name:<20} {metrics}")
    best, others = mean(scores[TRAINED]), [mean(scores[name]) for name in (RANDOM, PIXELS)]
    return [
        *lines,
        f"mean R2 >= {PROBE_LIMIT}: {_verdict(best >= PROBE_LIMIT)};"
        f" above the other two: {_verdict(best > max(others))}",
        f"RankMe {rank:.1f} (below {RANK_LIMIT:.0f} is a collapse)",
    ]
