from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
import torch
import yaml

from pamiq_lightning.checkpoint.files import load_weights
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.ppo import PPO as PPO_CLASS
from pamiq_lightning.offline.cli import main
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.synthetic import DYNAMICS, IJEPA, PPO, arrays, record


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recording and a learner's file in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pamiq_lightning"])
    record(tmp_path / "recording", [arrays(16, 16 * number) for number in range(2)])
    (tmp_path / "ijepa.yaml").write_text(yaml.safe_dump({"model": IJEPA}))
    return tmp_path


FIT = ["fit", "--config", "ijepa.yaml", "--data.recording", "recording"]
QUIET = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]


def test_fit_saves_a_checkpoint_the_agent_can_load(here: Path) -> None:
    assert main([*FIT, *QUIET]) == 0
    (checkpoint,) = here.glob("runs/offline/**/*.ckpt")
    learner = build(Learner, IJEPA)
    before = learner.encoder.out.weight.clone()  # type: ignore[union-attr, operator]
    load_weights(learner, checkpoint)
    assert (here / "runs" / ".aim").is_dir()
    # Two rollouts, three updates each.
    assert learner.n_updates == 6
    assert not torch.equal(learner.encoder.out.weight, before)  # type: ignore[union-attr]


def test_fit_takes_a_size_on_top(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "sized.yaml").write_text("model: {init_args: {updates: 1}}")
    assert main(["fit", "--config", "ijepa.yaml", "--config", "sized.yaml", *FIT[3:], *QUIET]) == 0
    (checkpoint,) = here.glob("runs/offline/**/*.ckpt")
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("flag", [["--config"], []])
def test_a_size_file_brings_the_shapes_of_its_size(
    flag: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    conf = Path(__file__).parents[3] / "conf"
    files = [str(conf / folder / "ppo.yaml") for folder in ("learners", "sizes/small")]
    given = [part for file in files for part in ([*flag, file] if flag else [f"--config={file}"])]
    with pytest.raises(SystemExit) as end:
        main(["fit", *given, "--model.init_args.lr=1e-5", "--print_config"])
    assert end.value.code == 0
    arguments = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
    assert (arguments["latent"], arguments["state"]) == ([144, 32], [6, 1024])
    assert (arguments["dim"], arguments["gamma"], arguments["lr"]) == (512, 0.99, 1e-5)


def test_missing_recording_is_one_clear_line(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FIT[:3], *QUIET]) == 1
    assert "--data.recording" in capsys.readouterr().err
    assert main([*FIT[:4], "ijepa.yaml", *QUIET]) == 1
    assert "ijepa.yaml is not a recording" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dynamics", "ppo"])
def test_fit_asks_for_the_checkpoints_that_are_missing(
    here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = DYNAMICS if name == "dynamics" else PPO
    (here / f"{name}.yaml").write_text(yaml.safe_dump({"model": model}))
    fit = ["fit", "--config", f"{name}.yaml", *FIT[3:], *QUIET]
    assert main(fit) == 1
    assert "--data.encoder FILE" in capsys.readouterr().err
    encoder = ["--data.encoder", str(checkpoint(here, "encoder"))]
    if name == "ppo":
        assert main([*fit, *encoder]) == 1
        assert "--data.dynamics FILE" in capsys.readouterr().err
    else:
        assert main([*fit, *encoder]) == 0


class Failing(PPO_CLASS):
    """Its constructor fails."""

    def __init__(self, lr: float = 0.1) -> None:
        raise KeyError("gone")


CONFIGS = {
    "twice": (b"model: {}\nmodel: {}\n", "twice.yaml:2: model is given twice"),
    "tab": (b"model:\n\tclass_path: x\n", "tab.yaml:2: is not YAML"),
    "utf16": ("model: {}".encode("utf-16"), "utf16.yaml:1: is not UTF-8"),
    "list": (b"[1]", "list.yaml:1: must hold keys and values"),
    "empty": (b"", "empty.yaml: is empty"),
    "number": (b"model: 5", "model"),
    "no_class": (b"model: {}", "model: names no class"),
    "nowhere": (b"model: {class_path: nowhere.X}", "model.class_path=nowhere.X: there is no such"),
    "failing": (
        f"model: {{class_path: {__name__}.Failing}}".encode(),
        "Failing: KeyError: 'gone' (",
    ),
    "infinite": (
        f"model: {{class_path: {__name__}.Failing, init_args: {{lr: .inf}}}}".encode(),
        "model.init_args.lr=inf: must be finite",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_file_or_class_that_cannot_be_used_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    content, words = CONFIGS[name]
    (here / f"{name}.yaml").write_bytes(content)
    assert main(["fit", "--config", f"{name}.yaml", *FIT[3:], *QUIET]) == 2
    lines = capsys.readouterr().err.splitlines()
    (error,) = [line for line in lines if line.startswith("error: ")]
    assert words in error and lines[-1] == error


def test_fit_reads_a_number_with_a_leading_zero_as_the_agent_does(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "zero.yaml").write_text("model: {init_args: {updates: 010}}\nshapes: {latent: [4, 8]}")
    with pytest.raises(SystemExit):
        main(["fit", "--config", "ijepa.yaml", "--config", "zero.yaml", "--print_config"])
    printed = capsys.readouterr().out
    assert "updates: 10\n" in printed


def test_a_wrong_option_is_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--widht=3"]) == 2
    assert capsys.readouterr().err.startswith("error: unrecognized arguments: --widht=3")


def test_a_full_disk_is_one_line_and_leaves_no_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "recording/cache/latent.npy")

    monkeypatch.setattr("pamiq_lightning.offline.datamodule.RecordingDataset", refuse)
    log = "--trainer.logger=pamiq_lightning.offline.csv_log.CSVLog"
    options = ["--trainer.logger.save_dir=runs/offline", "--trainer.logger.name="]
    assert main([*FIT, *QUIET, log, *options]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert lines == ["error: recording/cache/latent.npy: No space left on device"]
    assert not list(here.glob("runs/offline/*"))
