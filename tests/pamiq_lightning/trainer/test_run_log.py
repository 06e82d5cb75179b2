from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from PIL import Image

from pamiq_lightning.trainer.aim_log import AimLog
from pamiq_lightning.trainer.aim_process import Track
from pamiq_lightning.trainer.run_log import RunLog


class FakeAimLog:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.records: list[Track] = []
        self.closed = False

    def put(self, record: Track) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.closed = True


def test_metrics_and_images_reach_the_run_folder_and_aim(tmp_path: Path) -> None:
    aim, picture = FakeAimLog(), Image.new("RGB", (4, 4))
    log = RunLog(tmp_path, cast(AimLog, aim))
    log.metrics("policy", 7, {"loss": 0.5})
    log.metrics("policy", 8, {})
    log.image("view", 3, picture)
    log.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["role"], record["step"], record["loss"]) == ("policy", 7, 0.5)
    assert (tmp_path / "previews" / "view_000003.png").is_file()
    assert aim.records == [
        Track({"loss": 0.5}, step=7, context={"learner": "policy"}),
        Track(picture, "view", 3),
    ]
    assert aim.closed


def test_lost_metrics_are_reported_to_the_person_and_their_end_too(tmp_path: Path) -> None:
    messages: list[str] = []
    log = RunLog(tmp_path, None, messages.append)
    blocked = tmp_path / "previews"
    blocked.write_text("")
    for number in range(3):
        log.image("view", number, Image.new("RGB", (4, 4)))
    assert len(messages) == 1 and messages[0].startswith("metrics and images are being lost: ")
    blocked.unlink()
    log.image("view", 3, Image.new("RGB", (4, 4)))
    assert messages[1:] == ["metrics and images are written again"]
    log.close()
