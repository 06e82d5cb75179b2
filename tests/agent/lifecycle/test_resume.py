"""Resuming a run: which one, from which checkpoint, and that it equals an unbroken run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.errors import RunFailure, UsageError
from agent.lifecycle import resume
from agent.lifecycle.resume import (
    choose_checkpoint,
    config_diff,
    find_run,
    print_config_diff,
    resolve_checkpoint,
)
from agent.run_dir import METRICS, SUMMARY, TRAINER_LOG
from agent.settings.schema import Settings
from pamiq_lightning.checkpoint.files import load_weights, read_learner
from pamiq_lightning.checkpoint.snapshot import read_checkpoint
from pamiq_lightning.checkpoint.store import (
    find_checkpoints,
    rows_folder,
    trainer_lock,
    verify,
    write_checkpoint,
)
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.file_lock import FileLock
from pamiq_lightning.utils.instantiate import build

ROOT = Path(__file__).resolve().parents[3]


def silent(text: str) -> None: ...


def checkpoint(run: Path) -> Path:
    return write_checkpoint(run, [("a.pt", b"abc"), ("settings.json", b"{}")], {"roles": []})


def test_auto_finds_the_run_that_was_saved_last_whatever_its_name(tmp_path: Path) -> None:
    for name in ("20251231-235959", "2099", "backup of 2099", "20260101-000000-10"):
        checkpoint(tmp_path / "debug" / name)
    # Copied or touched afterwards, which makes no run newer.
    os.utime(tmp_path / "debug" / "2099" / "checkpoints" / "000001", (2**33, 2**33))
    (tmp_path / "debug" / "20260102-000000").mkdir()
    checkpoint(tmp_path / "other" / "20260103-000000")
    lines: list[str] = []
    found = find_run("auto", tmp_path, "debug", lines.append)
    assert found.name == "20260101-000000-10"
    assert "20260102-000000 is skipped" in lines[0]
    assert find_run(str(found.parent / "20251231-235959"), tmp_path, "x", silent).name[:4] == "2025"


def test_missing_checkpoint_starts_no_new_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailure, match="without resume= a new run starts"):
        find_run("auto", tmp_path, "debug", silent)
    (tmp_path / "run").mkdir()
    with pytest.raises(RunFailure, match="has no checkpoint to resume from"):
        find_run(str(tmp_path / "run"), tmp_path, "debug", silent)


def test_newest_valid_checkpoint_is_chosen_and_damaged_ones_are_reported(tmp_path: Path) -> None:
    first, second, third = (checkpoint(tmp_path) for _ in range(3))
    (third / "a.pt").write_bytes(b"abd")
    (second / "manifest.json").write_bytes(b"")
    lines: list[str] = []
    assert choose_checkpoint(tmp_path, lines.append) == first
    assert str(third / "a.pt") in lines[0] and str(second / "manifest.json") in lines[1]
    (first / "a.pt").unlink()
    with pytest.raises(RunFailure, match="no checkpoint that can be used") as failure:
        choose_checkpoint(tmp_path, silent)
    for folder in (first, second, third):
        assert str(folder) in str(failure.value)


def test_resume_waits_for_a_trainer_that_still_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(tmp_path)
    lock = FileLock(trainer_lock(tmp_path))
    lock.take()
    lines: list[str] = []

    def notify(text: str) -> None:
        lines.append(text)
        # The trainer saves once more, and ends.
        checkpoint(tmp_path)
        lock.release()

    assert resolve_checkpoint(str(tmp_path), tmp_path, "debug", notify).name == "000002"
    assert "Waiting for the run's last trainer" in lines[0]
    lock.take()
    monkeypatch.setattr(resume, "END_LIMIT_S", -1.0)
    with pytest.raises(RunFailure, match=f"process {os.getpid()}. has not ended"):
        resolve_checkpoint(str(tmp_path), tmp_path, "debug", silent)
    lock.release()


def test_changed_settings_are_printed(tmp_path: Path) -> None:
    assert config_diff({"a": 1, "b": {"c": 2, "d": 3}, "steps": 4}, {"b": {"c": 5, "d": 3}}) == {
        "a": (1, None),
        "b.c": (2, 5),
    }
    lines: list[str] = []
    settings = Settings(rate=20.0)
    print_config_diff(to_plain(Settings()), settings, lines.append)
    assert lines == ["Settings changed since the checkpoint:", "  rate: 10.0 -> 20.0"]
    lines.clear()
    then = to_plain(Settings())
    then["logged_rewards"] = {"mine": {"class_path": "a.B", "init_args": {"x": [0] * 999}}}
    then["learners"] = {"encoder": {"model": {"init_args": {"x": [0] * 999}}}}
    settings = Settings()
    settings.learners = {"encoder": LearnerSettings(model={"init_args": {"x": 1}})}
    print_config_diff(then, settings, lines.append)
    assert "  logged_rewards.mine: a.B -> None" in lines
    assert any(line.startswith("  learners.encoder.model.init_args.x: [0, 0,") for line in lines)
    assert max(map(len, lines)) < 200
    then = {"learners": {"encoder": {"init_weights": None}}}
    settings = Settings()
    settings.learners = {"encoder": LearnerSettings(init_weights="a.ckpt")}
    with pytest.raises(UsageError, match=r"encoder\.init_weights=a\.ckpt: a resumed run"):
        print_config_diff(then, settings, silent)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )


def run_folder(runs: Path) -> Path:
    (folder,) = runs.glob("*/*")
    return folder


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Return all records without the time on the wall."""
    lines = (folder / METRICS).read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "time"} for line in lines]


def assert_resumed_equals_unbroken(tmp_path: Path, steps: int, *arguments: str) -> None:
    """Compare one run of twice the steps with one that is stopped and resumed half-way."""
    common = ("clock=lockstep", "seed=3", "device=cpu", "trainer.aim=false", "record=false")
    for name, count in (("whole", 2 * steps), ("halves", steps)):
        result = run(*arguments, *common, f"runs={tmp_path / name}", f"steps={count}")
        assert result.returncode == 0, result.stderr
    folder = run_folder(tmp_path / "halves")
    half = metrics(folder)
    result = run(f"resume={folder}", f"steps={steps}")
    assert result.returncode == 0, result.stderr
    assert "Settings changed" not in result.stdout
    whole, halves = metrics(run_folder(tmp_path / "whole")), metrics(folder)
    assert len(half) < len(halves) and halves[: len(half)] == half
    for one, other in zip(whole, halves, strict=True):
        assert one == other
    summaries = [
        json.loads((run_folder(tmp_path / name) / SUMMARY).read_text())
        for name in ("whole", "halves")
    ]
    for summary in summaries:
        for learner in summary["learners"].values():
            del learner["seconds"]
    assert summaries[0] == summaries[1]


def test_resumed_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    assert_resumed_equals_unbroken(tmp_path, 512, "conf=debug")


@pytest.mark.slow
@pytest.mark.parametrize("conf", ["japan_street", "food_room"])
def test_resumed_run_equals_an_unbroken_one_at_size_tiny(tmp_path: Path, conf: str) -> None:
    assert_resumed_equals_unbroken(tmp_path, 512, f"conf={conf}", "world=embedded", "size=tiny")


def trained_steps(folder: Path) -> dict[str, np.ndarray]:
    """Return frame, latent and tick of what reached the trainer, trained on or not yet."""
    shapes = {"tick": (np.int64,), "frame": (np.uint8, 3, 48, 48), "latent": (np.float32, 16, 16)}
    newest = read_checkpoint(find_checkpoints(folder)[0])
    length = newest.learners["decoder"]["replay"]["length"]
    rows = {
        name: np.fromfile(rows_folder(folder, "decoder") / f"{name}.rows", dtype).reshape(
            -1, *shape
        )[:length]
        for name, (dtype, *shape) in shapes.items()
    }
    for number in newest.trainer["pending"]["decoder"]:
        steps = newest.trainer["rollouts"][number]["steps"]
        waiting = {**steps, "tick": steps["index"]}
        rows = {key: np.concatenate([rows[key], waiting[key].numpy()]) for key in rows}
    return rows


def test_real_time_resume_acts_with_the_saved_weights_at_the_first_tick(tmp_path: Path) -> None:
    common = ("conf=debug", "trainer.aim=false", f"runs={tmp_path}")
    result = run(*common, "steps=100")
    assert result.returncode == 0, result.stderr
    folder = run_folder(tmp_path)
    newest = find_checkpoints(folder)[0]
    spec, _ = read_learner(newest / "encoder.safetensors")
    assert spec is not None
    encoder = build(Learner, spec)
    load_weights(encoder, newest / "encoder.safetensors")
    assert isinstance(encoder, IJEPA)
    before, committed = metrics(folder), 3 * 32

    result = run(*common, "resume=auto", "steps=40", "trainer.save_every=7")
    assert result.returncode == 0, result.stderr
    assert f"Resuming from {newest}." in result.stdout
    assert "  trainer.save_every: 20 -> 7" in result.stdout
    assert run_folder(tmp_path) == folder
    assert metrics(folder)[: len(before)] == before
    agent = [record for record in metrics(folder) if record["role"] == "agent"]
    steps = [record["step"] for record in agent]
    assert len(steps) == 4 and steps == sorted(set(steps))
    summary = json.loads((folder / SUMMARY).read_text())
    # The steps after the last full rollout had not reached the trainer.
    assert summary["ticks"] == committed + 40

    trained = trained_steps(folder)
    assert len(trained["tick"]) == committed + 32
    (gap,) = np.flatnonzero(np.diff(trained["tick"]) != 1) + 1
    assert gap == committed
    assert trained["tick"][gap] > 100, "a tick number was used twice"
    # Another rate does not fit the recording.
    result = run(*common, "resume=auto", "steps=40", "rate=20")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert (
        "recorded with other settings" in line
        and "fps 30.0 -> 20.0" in line
        and "record=false" in line
    )
    with torch.no_grad():
        latent = encoder.acting_module(torch.from_numpy(trained["frame"][gap : gap + 1]))
    np.testing.assert_allclose(latent[0].numpy(), trained["latent"][gap], atol=1e-5)


def test_damaged_checkpoint_is_reported_and_the_one_before_is_used(tmp_path: Path) -> None:
    common = ("conf=debug", "trainer.aim=false", f"runs={tmp_path}", "record=false")
    assert run(*common, "clock=lockstep", "steps=64").returncode == 0
    folder = run_folder(tmp_path)
    newest, before = find_checkpoints(folder)
    path = newest / "dynamics.pt"
    path.write_bytes(path.read_bytes()[:-100])
    logged = (folder / METRICS).read_bytes()
    result = run(f"resume={folder}", "steps=32")
    assert result.returncode == 0, result.stderr
    assert f"Not used: {path} has" in result.stdout
    assert f"Resuming from {before}." in result.stdout
    assert (folder / METRICS).read_bytes().startswith(logged)

    for found in find_checkpoints(folder):
        (found / "encoder.safetensors").write_bytes(b"")
    content = sorted(path for path in folder.rglob("*"))
    result = run(f"resume={folder}", "steps=32")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "no checkpoint that can be used" in line and "encoder.safetensors" in line
    assert sorted(path for path in folder.rglob("*")) == content


def test_checkpoint_of_another_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    common = ("conf=debug", "trainer.aim=false", f"runs={tmp_path}", "record=false")
    assert run(*common, "clock=lockstep", "steps=32").returncode == 0
    folder = run_folder(tmp_path)
    logged = (folder / TRAINER_LOG).read_text()
    result = run(f"resume={folder}", "learners.policy.model.init_args.dim=48")
    assert result.returncode == 1
    assert "policy.safetensors does not fit PPO as it is set" in result.stdout
    assert "no checkpoint that can be used" in result.stderr.splitlines()[-1]
    assert (folder / TRAINER_LOG).read_text() == logged
    verify(find_checkpoints(folder)[0])
    result = run("resume=nowhere/at/all")
    assert result.returncode == 2 and "is no folder" in result.stderr
