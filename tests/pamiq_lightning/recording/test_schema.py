"""The layout, compared with the published LeRobotDataset v3.0 and the checks of its reader.

https://huggingface.co/docs/lerobot/lerobot-dataset-v3, and in the library's own sources
`DatasetInfo`, `get_hf_features_from_features` and `_assert_type_and_shape`.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pamiq_lightning.recording import writer
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import DATASET_SPEC, RecordingError, find_recording, read_spec
from tests.synthetic import DATASET_SPEC as SYNTHETIC_SPEC
from tests.synthetic import arrays, record

INFO_TYPES = {
    "codebase_version": str,
    "robot_type": str,
    "total_episodes": int,
    "total_frames": int,
    "total_tasks": int,
    "chunks_size": int,
    "data_files_size_in_mb": int,
    "video_files_size_in_mb": int,
    "fps": int,
    "splits": dict,
    "data_path": str,
    "video_path": str,
    "features": dict,
}
DEFAULTS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three episodes: steps 0-19, 20-31 (the first was full), and 40-55 after a gap."""
    monkeypatch.setattr(writer, "EPISODE_STEPS", 20)
    return record(tmp_path / "recording", [arrays(16), arrays(16, 16), arrays(16, 40)])


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def test_info_has_every_field_with_its_type(dataset: Path) -> None:
    info = read_json(dataset / "meta/info.json")
    assert {key: type(value) for key, value in info.items()} == INFO_TYPES
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == 10
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 48, 1)
    assert info["splits"] == {"train": "0:3"}
    for feature in info["features"].values():
        assert {"dtype", "shape", "names"} <= set(feature)
        assert feature["names"] is None or len(feature["names"]) in (3, feature["shape"][0])
    for name, dtype in DEFAULTS.items():
        assert info["features"][name] == {"dtype": dtype, "shape": [1], "names": None}
    (video,) = [f for f in info["features"].values() if f["dtype"] == "video"]
    assert video["shape"] == [24, 24, 3]
    assert video["names"] == ["height", "width", "channels"]
    assert {"video.fps", "video.codec", "video.pix_fmt", "has_audio"} <= set(video["info"])


def arrow_type(feature: dict[str, Any]) -> pa.DataType:
    """Return the type that LeRobot's reader gives a feature."""
    kind = pa.from_numpy_dtype(np.dtype(feature["dtype"]))
    return kind if feature["shape"] == [1] else pa.list_(kind, feature["shape"][0])


def test_data_files_have_exactly_the_columns_of_the_features(dataset: Path) -> None:
    info = read_json(dataset / "meta/info.json")
    wanted = {
        name: arrow_type(feature)
        for name, feature in info["features"].items()
        if feature["dtype"] != "video"
    }
    total = 0
    for number in range(3):
        path = dataset / info["data_path"].format(chunk_index=0, file_index=number)
        table = pq.read_table(path)
        assert {field.name: field.type for field in table.schema} == wanted
        rows = len(table)
        assert table["index"].to_pylist() == list(range(total, total + rows))
        assert table["frame_index"].to_pylist() == list(range(rows))
        assert set(table["episode_index"].to_pylist()) == {number}
        assert set(table["task_index"].to_pylist()) == {0}
        np.testing.assert_allclose(table["timestamp"].to_numpy(), np.arange(rows) / 10, atol=1e-6)
        total += rows
    assert total == info["total_frames"]
    assert not list(dataset.rglob("*.part")) and not list(dataset.rglob("*.arrow"))


def test_entries_of_episodes_locate_their_rows_and_their_frames_in_time(dataset: Path) -> None:
    info = read_json(dataset / "meta/info.json")
    entries = [
        entry
        for path in sorted((dataset / "meta/episodes").glob("*/*.parquet"))
        for entry in pq.read_table(path).to_pylist()
    ]
    assert [entry["episode_index"] for entry in entries] == [0, 1, 2]
    assert [entry["length"] for entry in entries] == [20, 12, 16]
    key, end = "observation.image", 0
    for entry in entries:
        assert entry["tasks"] == ["explore"]
        assert entry["dataset_from_index"] == end
        end = entry["dataset_to_index"]
        assert end - entry["dataset_from_index"] == entry["length"]
        data = info["data_path"].format(
            chunk_index=entry["data/chunk_index"], file_index=entry["data/file_index"]
        )
        assert pq.read_metadata(dataset / data).num_rows == entry["length"]
        video = info["video_path"].format(
            video_key=key,
            chunk_index=entry[f"videos/{key}/chunk_index"],
            file_index=entry[f"videos/{key}/file_index"],
        )
        begin = entry[f"videos/{key}/from_timestamp"]
        with av.open(str(dataset / video)) as container:
            times = [f.pts * f.time_base for f in container.decode(video=0) if f.pts is not None]
        # LeRobot requires each frame within 0.1 ms of the time of its row.
        assert times == [Fraction(n, 10) + int(begin) for n in range(entry["length"])]
        assert entry[f"videos/{key}/to_timestamp"] == pytest.approx(entry["length"] / 10)
        assert {"meta/episodes/chunk_index", "meta/episodes/file_index"} <= set(entry)
        for what in ("min", "max", "mean", "std"):
            assert np.shape(entry[f"stats/{key}/{what}"]) == (3, 1, 1)
            assert np.shape(entry[f"stats/action/{what}"]) == (5,)
        assert entry["stats/action/count"] == [entry["length"]]


def test_stats_cover_all_rows(dataset: Path) -> None:
    stats = read_json(dataset / "meta/stats.json")
    info = read_json(dataset / "meta/info.json")
    assert set(stats) == set(info["features"])
    rows = RecordingReader(dataset).read(0, 48)
    for name in ("reward", "action", "value"):
        assert stats[name]["count"] == [48]
        values = rows[name].reshape(48, -1).astype(np.float64)
        for what in ("min", "max", "mean", "std"):
            np.testing.assert_allclose(stats[name][what], getattr(values, what)(axis=0), rtol=1e-6)
    image = stats["observation.image"]
    assert np.shape(image["mean"]) == (3, 1, 1)
    assert (
        0 <= np.min(image["min"]) < 0.4 < np.mean(image["mean"]) < 0.6 < np.max(image["max"]) <= 1
    )


def test_stats_leave_out_a_column_that_is_always_missing(tmp_path: Path) -> None:
    steps = arrays(16)
    steps["info"][:] = np.nan
    folder = record(tmp_path, [steps])
    text = (folder / "meta/stats.json").read_text()
    assert "NaN" not in text and "info" not in json.loads(text)
    assert np.isnan(RecordingReader(folder).read(0, 16)["info"]).all()


def test_the_task_is_the_index_of_the_table_of_tasks(dataset: Path) -> None:
    table = pq.read_table(dataset / "meta/tasks.parquet")
    assert table.to_pydict() == {"task_index": [0], "task": ["explore"]}
    described = json.loads(table.schema.metadata[b"pandas"])
    assert described["index_columns"] == ["task"]


def test_errors_name_what_is_no_recording_or_damaged(dataset: Path, tmp_path: Path) -> None:
    assert find_recording(tmp_path) == dataset == find_recording(dataset)
    assert read_spec(dataset) == SYNTHETIC_SPEC
    with pytest.raises(RecordingError, match="is not a recording"):
        find_recording(dataset / "deeper")
    data = dataset / "data/chunk-000/file-001.parquet"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(RecordingError, match=r"file-001\.parquet is damaged"):
        RecordingReader(dataset)
    (dataset / DATASET_SPEC).write_text('{"format": 99}')
    with pytest.raises(RecordingError, match="has format 99"):
        read_spec(dataset)
    (dataset / DATASET_SPEC).write_text("{")
    with pytest.raises(RecordingError, match="is damaged"):
        read_spec(dataset)
