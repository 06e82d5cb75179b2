from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.run_dir import LIVE_PREVIEW, METRICS
from agent.ui.views import LARGEST_ANSWER, Views
from pamiq_lightning.exchange.rollouts import RolloutsSpec, RolloutWriter
from tests.synthetic import SHAPE, arrays


@pytest.fixture
def writer(tmp_path: Path) -> RolloutWriter:
    return RolloutWriter(RolloutsSpec(tmp_path / "rollouts", SHAPE, 4))


@pytest.fixture
def views(tmp_path: Path, writer: RolloutWriter) -> Views:
    return Views(tmp_path, writer, SHAPE.info_names)


def write(writer: RolloutWriter, row: int, **parts: object) -> dict[str, np.ndarray]:
    steps = {key: values[row] for key, values in arrays(row + 1).items()} | parts
    writer.write(steps)
    return steps


def test_views_are_empty_before_the_first_row(views: Views) -> None:
    assert views.row() is None and views.frame() is None and views.preview() is None
    assert views.metrics(-1000) == (b"", 0)


def test_newest_frame_is_a_jpeg_with_its_tick(views: Views, writer: RolloutWriter) -> None:
    frame = np.zeros((3, 24, 24), np.uint8)
    frame[0, :, 12:] = 200
    write(writer, 0)
    write(writer, 1, frame=frame)
    found = views.frame()
    assert found is not None and found[0] == 1
    pixels = np.asarray(Image.open(io.BytesIO(found[1])), np.int64)
    # Channels last, not mirrored, and nearly the same values.
    assert np.abs(pixels - frame.transpose(1, 2, 0)).mean() < 2
    assert views.frame() is found


def test_newest_row_is_json_with_named_info(views: Views, writer: RolloutWriter) -> None:
    write(writer, 0, info=np.float32([np.nan]), action=np.array([1, 0, 2, 1, 0]), reward=1.5)
    row = json.loads(json.dumps(views.row(), allow_nan=False))
    assert row["info"] == {"x": None}
    assert row["index"] == 0 and row["reward"] == 1.5 and row["is_first"]
    assert row["inputs"] == {
        "Vertical": 1.0,
        "Horizontal": 0.0,
        "LookHorizontal": -1.0,
        "Jump": 1,
        "Run": 0,
    }


def test_newest_preview_is_served(views: Views, tmp_path: Path) -> None:
    (tmp_path / LIVE_PREVIEW).write_bytes(b"png")
    assert views.preview() == b"png"


def test_metrics_come_in_whole_lines(views: Views, tmp_path: Path) -> None:
    file = tmp_path / METRICS
    file.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a"')
    first, after = views.metrics(0)
    assert first == b'{"a": 1}\n{"a": 2}\n' and after == len(first)
    assert views.metrics(after) == (b"", after)
    with file.open("ab") as more:
        more.write(b": 3}\n")
    assert views.metrics(after) == (b'{"a": 3}\n', file.stat().st_size)
    # From the end, the line that is cut through is left out.
    assert views.metrics(-12) == (b'{"a": 3}\n', file.stat().st_size)
    assert views.metrics(-1000)[0] == file.read_bytes()
    # A byte behind the end counts as the end.
    assert views.metrics(10**9) == (b"", file.stat().st_size)


def test_long_metrics_file_comes_in_several_answers(views: Views, tmp_path: Path) -> None:
    file = tmp_path / METRICS
    file.write_bytes(b"0123456789\n" * (LARGEST_ANSWER // 5))
    read, start = b"", 0
    while True:
        piece, start = views.metrics(start)
        assert len(piece) <= LARGEST_ANSWER
        if not piece:
            break
        read += piece
    assert read == file.read_bytes()
