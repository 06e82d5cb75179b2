from __future__ import annotations

import types
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch.nn.functional import interpolate

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.roles import Decoder, Dynamics
from pamiq_lightning.offline.aim_logger import AimLogger
from pamiq_lightning.offline.cli import main
from pamiq_lightning.offline.evaluate import save_picture
from pamiq_lightning.offline.visualize import SEQUENCES, draw_imagined, draw_reconstructed
from pamiq_lightning.trainer.aim_log import AimLog
from pamiq_lightning.trainer.aim_process import Track
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.pamiq_lightning.offline.test_evaluate import here
from tests.synthetic import DECODER, DYNAMICS, rollout

__all__ = ["here"]
SIZE, CAPTION = 16, 12


@pytest.fixture
def models() -> tuple[Decoder, Dynamics]:
    decoder, dynamics = build(Learner, DECODER).eval(), build(Learner, DYNAMICS).eval()
    assert isinstance(decoder, Decoder) and isinstance(dynamics, Dynamics)
    return decoder, dynamics


def part(picture: Image.Image, row: int, column: int, head: int = 0) -> np.ndarray:
    top = head + row * (SIZE + CAPTION) + CAPTION
    return np.asarray(picture)[top : top + SIZE, column * SIZE : (column + 1) * SIZE]


def test_reconstructed_shows_each_frame_above_its_reconstruction(
    models: tuple[Decoder, Dynamics],
) -> None:
    sequences = [rollout(9, seed) for seed in range(SEQUENCES)]
    picture = draw_reconstructed(sequences, models[0])
    assert picture.size == (SEQUENCES * SIZE, 2 * (SIZE + CAPTION))
    for column, steps in enumerate(sequences):
        frame = interpolate(steps["frame"][:1].float(), size=SIZE, mode="area").to(torch.uint8)
        np.testing.assert_array_equal(part(picture, 0, column), frame[0].permute(1, 2, 0))
        assert part(picture, 1, column).std() > 0


def test_imagined_follows_the_actions_and_no_later_frame(models: tuple[Decoder, Dynamics]) -> None:
    with torch.no_grad():
        for model in models:
            assert isinstance(model, Learner)
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    steps = rollout(9, 0)
    other_latents = steps.clone()
    other_latents["latent"][1:] = 7.0
    other_actions = steps.clone()
    other_actions["action"][4:] = (steps["action"][4:] + 1) % 2
    pictures = [draw_imagined([s], *models) for s in (steps, other_latents, other_actions)]
    first, second, third = ([part(p, 1, c, CAPTION) for c in range(5)] for p in pictures)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    same = [np.array_equal(a, b) for a, b in zip(first, third, strict=True)]
    # now, +1, +2 and +4 come before the fifth action has an effect.
    assert same == [True, True, True, True, False]


def test_validate_saves_the_pictures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "decoder.yaml").write_text(yaml.safe_dump({"model": DECODER}))
    encoder, dynamics = checkpoint(here, "encoder"), checkpoint(here, "dynamics")
    own = checkpoint(here, "decoder")
    arguments = ["validate", "--config", "decoder.yaml", "--data.recording", "recording"]
    frozen = ["--data.encoder", str(encoder), "--data.dynamics", str(dynamics)]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]
    assert main([*arguments, *frozen, "--ckpt_path", str(own), *quiet]) == 0
    printed = capsys.readouterr().out
    assert "reconstruction_error" in printed
    for name in ("reconstructed", "imagined"):
        (line,) = [line for line in printed.splitlines() if line.endswith(f"{name}.png")]
        with Image.open(here / line.removeprefix("picture: ")) as picture:
            assert np.asarray(picture).std() > 0


def test_save_picture_writes_to_aim(tmp_path: Path) -> None:
    logger = AimLogger(str(tmp_path), "offline")
    records: list[object] = []
    logger._log = cast(AimLog, types.SimpleNamespace(put=records.append))
    picture = Image.new("RGB", (8, 8))
    save_picture(picture, "reconstructed", tmp_path, [logger])
    assert records == [Track(picture, "reconstructed")]
    assert (tmp_path / "reconstructed.png").is_file()
