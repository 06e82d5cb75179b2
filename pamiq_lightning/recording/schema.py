"""The layout of a recording: LeRobotDataset v3.0, one data file and one video for each episode.

Source: https://huggingface.co/docs/lerobot/lerobot-dataset-v3. An episode ends with a trajectory,
and after `EPISODE_STEPS` at the latest: a crash damages no more than that. What LeRobot does not
define is in a separate file, `meta/pamiq_lightning.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pamiq_lightning.run_files import RECORDING
from pamiq_lightning.step import ACTING_ROLES, Field, StepShape
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.json_text import json_text

CODEBASE_VERSION = "v3.0"
CHUNKS_SIZE = 1000
"""Files in one chunk folder."""
EPISODE_STEPS = 3000
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
DATASET_SPEC = "meta/pamiq_lightning.json"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
JOURNAL_SUFFIX = ".arrow"
OPEN_FOLDER = "journal"
"""All that is unfinished is outside of `data`: other programs read every file there."""
JOURNAL_PATH = OPEN_FOLDER + "/chunk-{chunk_index:03d}/file-{file_index:03d}.arrow"
FRAME_KEY = "observation.image"
TASK = "explore"
"""LeRobot requires a task for every row; there is only this one."""
FORMAT_VERSION = 2
NOT_RECORDED = ("latent", "state", "last_action")
"""Keys of a step that follow from the others: from the frames, by the encoder and dynamics, and
from the actions."""
COLUMNS = {"index": "tick", "frame": FRAME_KEY}
"""Columns with another name than their key: LeRobot's `index` counts rows without gaps."""
COUNTERS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""Columns that LeRobot requires in every dataset."""


class RecordingError(Exception):
    """A folder is not a recording, or a part of it is damaged; the message names it."""


@dataclass(frozen=True)
class DatasetSpec:
    """The settings that all episodes of a recording share.

    Attributes:
        fps: steps per second.
        frame_size: height and width of a frame, in pixels.
        action_choices: choices of each action category.
        action_names: names of the action categories.
        info_names: names of the numbers in `info`.
        rollout_length: steps in a rollout, after which the learners train.
        lossless: whether frames are stored exactly.
    """

    fps: float
    frame_size: int
    action_choices: tuple[int, ...]
    action_names: tuple[str, ...]
    info_names: tuple[str, ...] = ()
    rollout_length: int = 128
    lossless: bool = False

    def fields(self) -> dict[str, Field]:
        """Return every recorded key with its shape, type and meaning."""
        shape = StepShape(self.frame_size, (0, 0), (0, 0), self.action_choices, self.info_names)
        return {key: field for key, field in shape.fields().items() if key not in NOT_RECORDED}

    def tabular(self) -> dict[str, Field]:
        """Return the keys in the data files: all but frames and empty lists."""
        return {
            key: field
            for key, field in self.fields().items()
            if key != "frame" and 0 not in field.shape
        }

    def features(self) -> dict[str, dict[str, Any]]:
        """Return LeRobot's description of every column."""
        names = {
            "action": list(self.action_names),
            "info": list(self.info_names),
            "versions": list(ACTING_ROLES),
        }
        side = self.frame_size
        features: dict[str, dict[str, Any]] = {
            FRAME_KEY: {
                "dtype": "video",
                "shape": [side, side, 3],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": side,
                    "video.width": side,
                    "video.codec": "h264",
                    "video.pix_fmt": "gbrp" if self.lossless else "yuv444p",
                    "video.is_depth_map": False,
                    "video.fps": int_if_whole(self.fps),
                    "video.channels": 3,
                    "has_audio": False,
                },
            }
        }
        for key, field in self.tabular().items():
            features[COLUMNS.get(key, key)] = {
                "dtype": np.dtype(field.dtype).name,
                "shape": list(field.shape) or [1],
                "names": names.get(key),
            }
        for name, dtype in COUNTERS.items():
            features[name] = {"dtype": dtype, "shape": [1], "names": None}
        return features

    def info(self, first: int, episodes: int, frames: int) -> dict[str, Any]:
        """Return LeRobot's description of the dataset.

        Args:
            first: oldest episode that was not removed.
            episodes: all episodes ever closed; LeRobot requires numbers from 0.
            frames: rows in all of them.
        """
        return {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": "pamiq_lightning",
            "total_episodes": episodes,
            "total_frames": frames,
            "total_tasks": 1,
            "chunks_size": CHUNKS_SIZE,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 500,
            "fps": int_if_whole(self.fps),
            "splits": {"train": f"{first}:{episodes}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH,
            "features": self.features(),
        }


def int_if_whole(number: float) -> int | float:
    """Return an int for a whole number: LeRobot's frame rates are integers."""
    return int(number) if float(number).is_integer() else number


class EpisodeFiles:
    """The paths of one episode.

    Attributes:
        data: its rows, once it is closed.
        journal: its rows while it is open, readable up to where the writer was killed; earlier
            versions put it beside `data`.
        video: its frames; while it is open, readable up to the last whole fragment.
        meta: its entry in the table of episodes; exists once it is closed.
        staging: folder in which the files of tables are prepared.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        chunk, file = divmod(number, CHUNKS_SIZE)
        indices = {"video_key": FRAME_KEY, "chunk_index": chunk, "file_index": file}
        self.data = folder / DATA_PATH.format(**indices)
        old = self.data.with_suffix(JOURNAL_SUFFIX)
        self.journal = old if old.is_file() else folder / JOURNAL_PATH.format(**indices)
        self.video = folder / VIDEO_PATH.format(**indices)
        self.meta = folder / EPISODES_PATH.format(**indices)
        self.staging = folder / OPEN_FOLDER


def episode_numbers(folder: Path, template: str, suffix: str = ".parquet") -> Iterator[int]:
    """Yield the numbers of the episodes that have a file of this kind, in order."""
    where = folder / template.partition("/chunk")[0].format(video_key=FRAME_KEY)
    for path in sorted(where.glob(f"chunk-*/file-*{suffix}")):
        chunk, file = path.parent.name.removeprefix("chunk-"), path.stem.removeprefix("file-")
        if chunk.isdigit() and file.isdigit():
            yield int(chunk) * CHUNKS_SIZE + int(file)


def open_episodes(folder: Path) -> list[int]:
    """Return the numbers of the episodes that have a journal, in order."""
    places = (JOURNAL_PATH, DATA_PATH)
    return sorted({n for place in places for n in episode_numbers(folder, place, JOURNAL_SUFFIX)})


def find_recording(path: Path) -> Path:
    """Return the folder of a recording, given this folder or the run folder around it.

    Raises:
        RecordingError: there is no recording.
    """
    for folder in (path, path / RECORDING):
        if (folder / DATASET_SPEC).is_file():
            return folder
    raise RecordingError(
        f"{path} is not a recording: neither it nor its folder {RECORDING} has a {DATASET_SPEC}"
    )


def recorder_lock(folder: Path) -> Path:
    """Return the lock file that the recorder of a run holds."""
    return folder / "recorder.lock"


def read_spec(folder: Path) -> DatasetSpec:
    """Return the spec of a recording.

    Raises:
        RecordingError: it is damaged, or of a format that this version does not know.
    """
    path = folder / DATASET_SPEC
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        if version == FORMAT_VERSION:
            lists = {key: tuple(v) for key, v in content.items() if isinstance(v, list)}
            return DatasetSpec(**{**content, **lists})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path} is damaged: {error}") from error
    raise RecordingError(f"{path} has format {version}; this version reads {FORMAT_VERSION}")


def check_spec(folder: Path, spec: DatasetSpec) -> None:
    """Check that a recording, where there is one, can be continued with this spec.

    Raises:
        RecordingError: it has another spec; the message names the differences.
    """
    if not (folder / DATASET_SPEC).is_file():
        return
    found, wanted = asdict(read_spec(folder)), asdict(spec)
    changed = [
        f"{key} {found[key]} -> {wanted[key]}" for key in wanted if wanted[key] != found[key]
    ]
    if changed:
        raise RecordingError(
            f"{folder} was recorded with other settings and cannot be continued: "
            + "; ".join(changed)
        )


def write_spec(folder: Path, spec: DatasetSpec) -> None:
    """Write the spec of a recording."""
    write_json(folder / DATASET_SPEC, {"format": FORMAT_VERSION, **asdict(spec)})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file atomically.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_atomic(path, json_text(content, indent=4).encode())
