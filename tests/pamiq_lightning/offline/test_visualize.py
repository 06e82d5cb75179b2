from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch.nn.functional import interpolate

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.decoder import ConvDecoder
from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.offline.cli import main
from pamiq_lightning.offline.evaluate import keep_picture
from pamiq_lightning.offline.visualize import MOMENTS, draw_imagined, draw_kept
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.pamiq_lightning.offline.test_evaluate import here
from tests.synthetic import DECODER, DYNAMICS, rollout

__all__ = ["here"]
SIZE, CAPTION = 16, 12


@pytest.fixture
def nets() -> tuple[ConvDecoder, SioConvDynamics]:
    decoder, dynamics = build(Learner, DECODER), build(Learner, DYNAMICS)
    assert isinstance(decoder, ConvDecoder)
    assert isinstance(dynamics, SioConvDynamics)
    return decoder.eval(), dynamics.eval()


def part(picture: Image.Image, row: int, column: int, head: int = 0) -> np.ndarray:
    top = head + row * (SIZE + CAPTION) + CAPTION
    return np.asarray(picture)[top : top + SIZE, column * SIZE : (column + 1) * SIZE]


def test_kept_shows_each_frame_above_its_reconstruction(
    nets: tuple[ConvDecoder, SioConvDynamics],
) -> None:
    moments = [rollout(9, seed) for seed in range(MOMENTS)]
    picture = draw_kept(moments, nets[0].net)
    assert picture.size == (MOMENTS * SIZE, 2 * (SIZE + CAPTION))
    for column, moment in enumerate(moments):
        seen = interpolate(moment["frame"][:1].float(), size=SIZE, mode="area").to(torch.uint8)
        np.testing.assert_array_equal(part(picture, 0, column), seen[0].permute(1, 2, 0))
        assert part(picture, 1, column).std() > 0


def test_what_is_imagined_follows_the_actions_and_no_later_frame(
    nets: tuple[ConvDecoder, SioConvDynamics],
) -> None:
    decoder, dynamics = nets
    with torch.no_grad():
        for parameter in (*dynamics.parameters(), *decoder.parameters()):
            parameter.add_(0.3 * torch.randn_like(parameter))
    moment = rollout(9, 0)
    later_unseen = moment.clone()
    later_unseen["latent"][1:] = 7.0
    other_actions = moment.clone()
    other_actions["action"][4:] = (moment["action"][4:] + 1) % 2
    pictures = [
        draw_imagined([m], decoder.net, dynamics.net) for m in (moment, later_unseen, other_actions)
    ]
    first, second, third = ([part(p, 1, c, CAPTION) for c in range(5)] for p in pictures)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    same = [np.array_equal(a, b) for a, b in zip(first, third, strict=True)]
    # now, +1, +2 and +4 come before the fifth action has told.
    assert same == [True, True, True, True, False]


def test_validate_leaves_the_pictures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "decoder.yaml").write_text(yaml.safe_dump({"model": DECODER}))
    encoder, dynamics = checkpoint(here, "encoder"), checkpoint(here, "dynamics")
    own = checkpoint(here, "decoder")
    arguments = ["validate", "--config", "decoder.yaml", "--data.recording", "recording"]
    frozen = ["--data.encoder", str(encoder), "--data.dynamics", str(dynamics)]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]
    assert main([*arguments, *frozen, "--ckpt_path", str(own), *quiet]) == 0
    said = capsys.readouterr().out
    assert "reconstruction_error" in said
    for name in ("kept", "imagined"):
        (told,) = [line for line in said.splitlines() if line.endswith(f"{name}.png")]
        with Image.open(here / told.removeprefix("picture: ")) as picture:
            assert np.asarray(picture).std() > 0


@pytest.mark.filterwarnings("ignore")
def test_pictures_go_to_aim(tmp_path: Path) -> None:
    from aim import Image as AimImage
    from aim.pytorch_lightning import AimLogger
    from aim.storage.context import Context

    logger = AimLogger(
        repo=str(tmp_path), log_system_params=False, system_tracking_interval=None,
        capture_terminal_logs=False,
    )  # fmt: skip
    keep_picture(Image.new("RGB", (8, 8)), "kept", tmp_path, [logger])
    kept = logger.experiment.get_image_sequence("kept", Context({}))
    _, (values, _, _) = kept.data.items_list()
    assert len(values) == 1 and isinstance(values[0], AimImage)
    assert (tmp_path / "kept.png").is_file()
