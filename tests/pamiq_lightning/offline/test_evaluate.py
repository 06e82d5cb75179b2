from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pamiq_lightning.offline.cli import main
from pamiq_lightning.offline.evaluate import error_lines
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.synthetic import DATASET_SPEC, DYNAMICS, IJEPA, arrays, record


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eleven minutes at a step a second, of which the tenth is held out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pamiq_lightning"])
    rollouts = [arrays(110, 110 * number) for number in range(6)]
    for number, steps in enumerate(rollouts):
        steps["info"] = np.random.default_rng(number).random((110, 3)).astype(np.float32)
    spec = dataclasses.replace(
        DATASET_SPEC, fps=1.0, info_names=("x", "y", "heading"), rollout_length=110
    )
    record(tmp_path / "recording", rollouts, spec)
    (tmp_path / "ijepa.yaml").write_text(yaml.safe_dump({"model": IJEPA}))
    (tmp_path / "dynamics.yaml").write_text(yaml.safe_dump({"model": DYNAMICS}))
    return tmp_path


@pytest.mark.parametrize("name", ["ijepa", "dynamics"])
def test_validate_prints_the_tables_of_a_role(
    here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = str(checkpoint(here, "encoder"))
    own = encoder if name == "ijepa" else str(checkpoint(here, "dynamics"))
    frozen = [] if name == "ijepa" else ["--data.encoder", encoder]
    arguments = ["validate", "--config", f"{name}.yaml", "--data.recording", "recording", *frozen]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]
    assert main([*arguments, "--ckpt_path", own, *quiet]) == 0
    printed = capsys.readouterr().out
    assert "1 minutes, evaluated on 50 steps of them" in printed
    assert ("copy-last" in printed) == (name == "dynamics")
    for line in ("trained encoder", "random-init encoder", "PCA of pixels", "RankMe"):
        assert line in printed


def test_validate_works_without_ground_truth(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = arrays(660)
    spec = dataclasses.replace(DATASET_SPEC, fps=1.0, info_names=(), rollout_length=110)
    record(here / "bare", [{**steps, "info": np.zeros((660, 0), np.float32)}], spec)
    encoder, own = str(checkpoint(here, "encoder")), str(checkpoint(here, "dynamics"))
    given = ["--data.recording", "bare", "--data.encoder", encoder, "--ckpt_path", own]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]
    assert main(["validate", "--config", "dynamics.yaml", *given, *quiet]) == 0
    printed = capsys.readouterr().out
    assert "copy-last" in printed and "not probed, for the recording's info lacks" in printed


def test_error_table_verdicts_follow_the_limits() -> None:
    errors = {}
    for steps, true in zip((1, 2, 4, 8), (0.5, 0.7, 0.9, 1.0), strict=True):
        errors |= {f"true_error_{steps}": true, f"shuffled_error_{steps}": 1.1}
        errors[f"copied_error_{steps}"] = 1.0
    rows = error_lines(errors)[-4:]
    assert [row.count("met") for row in rows] == [2, 2, 1, 0]
    assert [row.count("MISSED") for row in rows] == [0, 0, 1, 2]
    assert error_lines({})[-1] == "no held-out stretch is long enough"
