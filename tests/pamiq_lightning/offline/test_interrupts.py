from __future__ import annotations

import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.cli import main
from pamiq_lightning.offline.interrupts import CHECKPOINT, Interrupted, Interrupts
from tests.synthetic import IJEPA, arrays, record

FIT = ["fit", "--config", "ijepa.yaml", "--data.recording", "my recording"]
QUIET = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]
WITHOUT_AIM = ["--trainer.logger", "lightning.pytorch.loggers.CSVLogger"]
WITHOUT_AIM += ["--trainer.logger.save_dir", "runs/offline", "--trainer.logger.name", ""]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recording of three rollouts and a learner's file in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pamiq_lightning"])
    record(tmp_path / "my recording", [arrays(16, 16 * number) for number in range(3)])
    (tmp_path / "ijepa.yaml").write_text(yaml.safe_dump({"model": IJEPA}))
    return tmp_path


def signal_after(monkeypatch: pytest.MonkeyPatch, updates: int, *signals: int) -> None:
    """Send signals to this process within the update with that number."""
    count_update = Learner.on_train_batch_end

    def on_train_batch_end(learner: Learner, *arguments: Any) -> None:
        count_update(learner, *arguments)
        if learner.n_updates == updates:
            for number in signals:
                signal.raise_signal(number)

    monkeypatch.setattr(Learner, "on_train_batch_end", on_train_batch_end)


def test_an_interrupted_fit_goes_on_with_the_command_it_prints(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        signal_after(patch, 4, signal.SIGTERM)
        assert main([*FIT, *QUIET, *WITHOUT_AIM]) == 143
    (saved,) = here.glob(f"runs/offline/*/checkpoints/{CHECKPOINT}")
    assert torch.load(saved, weights_only=True)["state_dict"]["n_updates"] == 4
    (command,) = [line for line in capsys.readouterr().out.splitlines() if "--ckpt_path" in line]
    python, _, package, *arguments = shlex.split(command)
    assert (python, package) == ("python", "pamiq_lightning")
    assert main(arguments) == 0
    (final,) = here.glob("runs/offline/*/checkpoints/epoch*.ckpt")
    # The second rollout had begun: of nine updates, two are left out.
    assert torch.load(final, weights_only=True)["state_dict"]["n_updates"] == 7
    assert "Error" not in capsys.readouterr().err


def test_a_second_signal_ends_a_fit_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signal_after(monkeypatch, 1, signal.SIGINT, signal.SIGINT)
    assert main([*FIT, *QUIET, *WITHOUT_AIM]) == 130
    assert not list(here.glob("runs/offline/*/checkpoints/*"))


def test_a_full_disk_at_an_interrupt_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning.Trainer.save_checkpoint", refuse)
    signal_after(monkeypatch, 1, signal.SIGTERM)
    assert main([*FIT, *QUIET, *WITHOUT_AIM]) == 143
    assert f"{CHECKPOINT} cannot be written (No space left on device)" in capsys.readouterr().err
    assert not list(here.glob("runs/offline/*/checkpoints/*"))


def test_a_signal_before_training_ends_at_once_and_an_ignored_one_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts([]):
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(Interrupted) as end:
                signal.raise_signal(signal.SIGINT)
        assert end.value.exit_code == 130
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_disk_that_fills_leaves_the_newest_checkpoint_whole_and_names_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[Path] = []

    def fill_disk(path: Path, content: bytes) -> None:
        written.append(path)
        path.write_bytes(content if len(written) == 1 else content[:100])
        if len(written) > 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("pamiq_lightning.utils.atomic_io.write_synced", fill_disk)
    assert main([*FIT, *QUIET, *WITHOUT_AIM, "--trainer.max_epochs=3"]) == 1
    (saved,) = here.glob("runs/offline/*/checkpoints/*")
    assert torch.load(saved, weights_only=True)["epoch"] == 0
    printed = capsys.readouterr()
    assert re.search(
        r"^error: \S*epoch=1-step=\d+.ckpt: No space left on device$", printed.err, re.M
    )
    (command,) = [line for line in printed.out.splitlines() if "--ckpt_path" in line]
    assert here / shlex.split(command)[-1] == saved
