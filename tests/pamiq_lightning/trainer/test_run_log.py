from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pamiq_lightning.trainer.aim_log import AimLog
from pamiq_lightning.trainer.run_log import RunLog


class FakeRun(dict[str, Any]):
    """Replaces aim.Run."""

    made: list[FakeRun] = []  # noqa: RUF012

    def __init__(self, run_hash: str | None = None, **options: Any) -> None:
        super().__init__()
        self.hash = run_hash or f"run{len(FakeRun.made)}"
        self.options, self.tracked, self.closed = options, [], False
        FakeRun.made.append(self)

    def track(self, value: Any, **where: Any) -> None:
        self.tracked.append((value, where))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake_aim(monkeypatch: pytest.MonkeyPatch) -> type[FakeRun]:
    module = types.ModuleType("aim")
    module.Run, module.Image = FakeRun, lambda image: image  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aim", module)
    FakeRun.made.clear()
    return FakeRun


def test_metrics_and_images_reach_the_run_folder_and_aim(
    tmp_path: Path, fake_aim: type[FakeRun]
) -> None:
    log = RunLog(tmp_path, AimLog(tmp_path, "street", {"seed": 1}, pytest.fail, tmp_path / "hash"))
    log.metrics("policy", 7, {"loss": 0.5})
    log.metrics("policy", 8, {})
    log.image("view", 3, Image.new("RGB", (4, 4)))
    log.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["role"], record["step"], record["loss"]) == ("policy", 7, 0.5)
    assert (tmp_path / "previews" / "view_000003.png").is_file()
    (run,) = fake_aim.made
    assert run["settings"] == {"seed": 1}
    assert run.tracked[0] == ({"loss": 0.5}, {"step": 7, "context": {"learner": "policy"}})
    assert run.tracked[1][1] == {"name": "view", "step": 3}
    assert run.closed
    # By default Aim would store every environment variable of the user.
    assert run.options["log_system_params"] is False


def test_a_second_trainer_continues_the_same_aim_run(
    tmp_path: Path, fake_aim: type[FakeRun]
) -> None:
    for _ in range(2):
        log = RunLog(tmp_path, AimLog(tmp_path, "x", {}, pytest.fail, tmp_path / "hash"))
        log.metrics("policy", 7, {"loss": 0.5})
        log.close()
    assert [run.hash for run in fake_aim.made] == ["run0", "run0"]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_without_aim_one_message_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aim", None)
    messages: list[str] = []
    log = RunLog(tmp_path, AimLog(tmp_path, "street", {}, messages.append, tmp_path / "hash"))
    for step in range(20):
        log.metrics("policy", step, {"loss": 0.5})
    log.close()
    assert len(messages) == 1 and "Aim is not available" in messages[0]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 20


def test_an_aim_failure_midway_is_reported_once(
    tmp_path: Path, fake_aim: type[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: FakeRun, value: Any, **where: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(FakeRun, "track", full)
    messages: list[str] = []
    log = RunLog(tmp_path, AimLog(tmp_path, "street", {}, messages.append, tmp_path / "hash"))
    for step in range(20):
        log.metrics("policy", step, {"loss": 0.5})
    log.close()
    assert len(messages) == 1 and "No space left" in messages[0]
