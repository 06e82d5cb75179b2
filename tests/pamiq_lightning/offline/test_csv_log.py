from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger

from pamiq_lightning.offline.csv_log import CSVLog


def test_two_commands_begun_together_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = CSVLog(tmp_path, ""), CSVLog(tmp_path, "")
    numbers = iter([0, 0, 1])
    # Both have counted the folders before either was made.
    monkeypatch.setattr(CSVLog, "_get_next_version", lambda log: next(numbers))
    assert (first.version, second.version) == (0, 1)
    first.log_metrics({"loss": 1.0}, 0)
    for log in (first, second):
        log.finalize("failed")
    # One that has written nothing leaves no folder.
    assert [path.name for path in tmp_path.iterdir()] == ["version_0"]


def test_a_disk_that_refuses_metrics_is_reported_with_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(log: CSVLogger) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CSVLogger, "save", refuse)
    with pytest.raises(OSError, match=r"metrics\.csv"):
        CSVLog(tmp_path, "").save()
