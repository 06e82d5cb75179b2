from __future__ import annotations

from pathlib import Path

import pytest

from pamiq_lightning.offline import aim_logger
from pamiq_lightning.offline.aim_logger import AimLogger
from pamiq_lightning.trainer.aim_process import AimTarget, Parameters, Track


class FakeAimLog:
    """Keeps what is logged."""

    made: list[FakeAimLog] = []  # noqa: RUF012

    def __init__(self, target: AimTarget, *_: object, **__: object) -> None:
        self.target, self.closed = target, False
        self.records: list[Track | Parameters] = []
        FakeAimLog.made.append(self)

    def put(self, record: Track | Parameters) -> None:
        self.records.append(record)

    def close(self, timeout: float) -> None:
        self.closed = True


def test_metrics_and_settings_reach_aim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aim_logger, "AimLog", FakeAimLog)
    monkeypatch.setattr(FakeAimLog, "made", [])
    logger = AimLogger("runs", "offline")
    assert not FakeAimLog.made
    logger.log_hyperparams({"lr": 1e-4, "module": Path})
    logger.log_metrics({"train_loss": 0.5, "rank_me": 3.0, "epoch": 1}, step=7)
    logger.finalize("success")
    logger.finalize("success")
    (log,) = FakeAimLog.made
    assert log.target == AimTarget(Path("runs"), "offline") and log.closed
    assert log.records == [
        Parameters("hparams", {"lr": 1e-4, "module": str(Path)}),
        Track(0.5, "loss", 7, 1, {"subset": "train"}),
        Track(3.0, "rank_me", 7, 1),
    ]
