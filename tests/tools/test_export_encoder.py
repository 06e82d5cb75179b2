from __future__ import annotations

from pathlib import Path

import torch

from agent.settings.compose import CommandLine, compose
from pamiq_lightning.checkpoint.files import load_weights
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.collapse import content_std
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.offline.frozen import from_checkpoint
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.synthetic import LEARNERS, rollout
from tools.export_encoder import export

ROOT = Path(__file__).parents[2]


def test_exported_encoder_acts_the_same_and_is_smaller(tmp_path: Path) -> None:
    source, target = checkpoint(tmp_path, "encoder"), tmp_path / "out" / "encoder.safetensors"
    export(source, target)
    frames = rollout(4)["frame"]
    again = build(Learner, LEARNERS["encoder"])
    assert isinstance(again, IJEPA)
    load_weights(again, target)
    expected = from_checkpoint(source, IJEPA).acting_module(frames)
    assert torch.equal(again.acting_module(frames), expected)
    assert torch.equal(from_checkpoint(target, IJEPA).acting_module(frames), expected)
    assert target.stat().st_size < 0.6 * source.stat().st_size


def test_shipped_encoder_fits_its_conf_and_tells_frames_apart() -> None:
    composed = compose(CommandLine("japan_street_warm"), lambda: "tiny")
    role = composed["learners"]["encoder"]
    path = Path(role["init_weights"])
    assert path.parent == ROOT / "conf" / "weights"
    assert path.stat().st_size < 3e6
    learner = build(Learner, role["model"])
    assert isinstance(learner, IJEPA)
    load_weights(learner, path)
    assert learner.n_updates == 6578
    # Its latents of different smooth images differ too.
    coarse = torch.randint(0, 256, (32, 3, 6, 6)).float()
    frames = torch.nn.functional.interpolate(coarse, size=144, mode="bilinear").to(torch.uint8)
    with torch.no_grad():
        assert content_std(learner.acting_module(frames)) > 0.5
