"""A second encoder and second dynamics, one file and one YAML each, go where the first ones go."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.roles import ROLES, check_role
from pamiq_lightning.offline.cli import main
from pamiq_lightning.run_files import PREVIEWS
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.learners.second.conv_autoencoder import ConvAutoencoder
from tests.pamiq_lightning.learners.second.gru_dynamics import GRUDynamics
from tests.synthetic import DATASET_SPEC, LEARNERS, arrays, record
from tools.report.page import render
from tools.report.run_data import RunData

ROOT, SECOND = Path(__file__).parents[3], Path(__file__).parent / "second"
FILES = {"encoder": SECOND / "conv_autoencoder.yaml", "dynamics": SECOND / "gru_dynamics.yaml"}
QUIET = [
    "--trainer.enable_progress_bar=false",
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run under lockstep with both."""
    folder = tmp_path_factory.mktemp("second")
    learners = {role: str(path) for role, path in FILES.items()}
    conf = {"extends": str(ROOT / "conf" / "debug.yaml"), "learners": learners}
    (folder / "second.yaml").write_text(yaml.safe_dump(conf))
    subprocess.run(
        [
            *(sys.executable, "-m", "agent.run", f"conf={folder / 'second.yaml'}"),
            *("clock=lockstep", "steps=100", "trainer.aim=false", f"runs={folder / 'runs'}"),
        ],
        check=True,
        cwd=ROOT,
    )
    (made,) = folder.glob("runs/*/*")
    return made


def cli(role: str, command: str, recording: Path, *arguments: str) -> int:
    given = ["--config", str(FILES[role]), "--data.recording", str(recording), *arguments]
    return main([command, *given, *QUIET])


@pytest.mark.parametrize("role", list(LEARNERS))
def test_learners_satisfy_their_own_role_only(role: str) -> None:
    learner = build(Learner, LEARNERS[role])
    assert [name for name, protocol in ROLES.items() if isinstance(learner, protocol)] == [role]


def test_check_role_names_a_missing_replay_spec() -> None:
    with pytest.raises(ValueError, match=r"learners\.encoder\.model: Learner must set `replay`"):
        check_role("encoder", Learner())


def test_check_role_refuses_a_learner_of_another_role() -> None:
    encoder = ConvAutoencoder((16, 16))
    check_role("encoder", encoder)
    check_role("dynamics", GRUDynamics((16, 16), (2, 32)))
    check_role("a role of your own", encoder)
    with pytest.raises(ValueError, match=r"learners.policy.model: ConvAutoencoder is no policy"):
        check_role("policy", encoder)


def test_only_benchmarks_and_fault_tools_import_an_algorithm() -> None:
    contract = {"base", "roles", "optimizers", "imagination", "collapse"}
    free = ("pamiq_lightning/learners/", "tools/bench/", "tools/faults/")
    for package in ("pamiq_lightning", "agent", "tools"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            imported = set(re.findall(r"pamiq_lightning\.learners\.(\w+)", path.read_text("utf-8")))
            assert name.startswith(free) or imported <= contract, name


def test_second_learners_train_and_act_live(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    for role in FILES:
        assert summary["learners"][role]["updates"] > 0
        assert summary["learners"][role]["version_in_use"] > 1
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {role: [m["loss"] for m in metrics if m.get("learner") == role] for role in FILES}
    assert all(np.isfinite(values).all() for values in losses.values())


def test_previews_show_second_learners(run: Path) -> None:
    (first, *_) = sorted((run / PREVIEWS).glob("*.png"))
    with Image.open(first) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    # Observed, reconstructed and predicted: a caption of 12 pixels above 32 of images.
    for row in range(3):
        top = row * 44 + 12
        assert pixels[top : top + 32].std() > 0


def test_report_covers_second_learners(run: Path) -> None:
    page = render(RunData(run))
    assert '<h2 id="curves">' in page
    assert "ConvAutoencoder" in page and "GRUDynamics" in page


@pytest.mark.parametrize(("role", "output"), [("encoder", "latent"), ("dynamics", "mean")])
def test_cli_fits_and_predicts_with_second_learners(
    run: Path, role: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pamiq_lightning"])
    assert cli(role, "fit", run) == 0
    (checkpoint,) = tmp_path.glob("**/*.ckpt")
    assert cli(role, "predict", run, "--ckpt_path", str(checkpoint)) == 0
    files = sorted(tmp_path.glob("**/predictions/*.safetensors"))
    assert load_file(files[0])[output].shape == (32, 16, 16)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven minutes at a step a second, of which the tenth is held out."""
    rng, steps = np.random.default_rng(0), arrays(660)
    steps["frame"] = rng.integers(0, 256, (660, 3, 48, 48), np.uint8)
    steps["info"] = rng.random((660, 3)).astype(np.float32)
    spec = dataclasses.replace(
        DATASET_SPEC, fps=1.0, info_names=("x", "y", "heading"), rollout_length=110, frame_size=48
    )
    return record(tmp_path_factory.mktemp("recording") / "recording", [steps], spec)


@pytest.mark.parametrize("role", list(FILES))
def test_cli_validates_second_learners(
    run: Path,
    recording: Path,
    role: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pamiq_lightning"])
    left = {name: run / "checkpoints" / f"{name}.ckpt" for name in LEARNERS}
    frozen = [f"--data.{name}={left[name]}" for name in ("encoder", "dynamics", "decoder")]
    assert cli(role, "validate", recording, *frozen, "--ckpt_path", str(left[role])) == 0
    printed = capsys.readouterr().out
    for line in ("trained encoder", "random-init encoder", "PCA of pixels", "RankMe"):
        assert line in printed
    assert ("copy-last" in printed) == (role == "dynamics")
    assert ("reconstructed.png" in printed) and ("imagined.png" in printed)
