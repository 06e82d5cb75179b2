"""Make a recording of videos, to train learners on them.

    python -m tools.import_videos FOLDER_OR_VIDEO ... --out RECORDING

Each video becomes a trajectory of its own: its centre square, shrunk to the size of a frame, at so
many frames per second. Actions are taken from a CSV file beside it: `NAME.csv`, or, as the
originals' recorder writes it (ami, scripts/video_action_recorder.py), `action_log_STAMP.csv` beside
`output_STAMP.mp4`, one line per frame: Timestamp, MoveVertical, MoveHorizontal, LookHorizontal,
Jump, Run. Without it every action is neutral, which is enough for an encoder only. There are no
rewards, and no policy that PPO could improve.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from agent.actions import ACTIONS, CHOICES
from agent.capture.resize import from_bgr
from pamiq_lightning.recording.schema import DatasetSpec, RecordingError
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter
from pamiq_lightning.utils.console import print_error, safe_print
from tools.cli import make_parser

VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi")
ACTION_COLUMNS = ("MoveVertical", "MoveHorizontal", "LookHorizontal", "Jump", "Run")
"""In the order of `agent.actions`, with the same choices."""
ROLLOUT = 128


class ImportVideoError(Exception):
    """A file cannot be imported; the message names it and the reason."""


def find_videos(sources: list[Path]) -> list[Path]:
    """Return all videos, those of a folder by name.

    Raises:
        ImportVideoError: there is none in one of them.
    """
    found = []
    for source in sources:
        here = sorted(source.rglob("*")) if source.is_dir() else [source]
        videos = [path for path in here if path.suffix.lower() in VIDEOS and path.is_file()]
        if not videos:
            raise ImportVideoError(f"{source}: there is no video ({', '.join(VIDEOS)})")
        found += videos
    return found


def read_actions(video: Path) -> NDArray[np.int64] | None:
    """Return the actions (N, A) of a video, one per frame; None without a CSV file.

    Raises:
        ImportVideoError: a line is wrong.
    """
    names = (f"{video.stem}.csv", f"action_log_{video.stem.removeprefix('output_')}.csv")
    path = next((p for name in names if (p := video.with_name(name)).is_file()), None)
    if path is None:
        return None
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if missing := set(ACTION_COLUMNS) - set(lines.fieldnames or ()):
            raise ImportVideoError(f"{path}: lacks the columns {sorted(missing)}")
        try:
            rows = [[int(line[name]) for name in ACTION_COLUMNS] for line in lines]
        except (ValueError, TypeError) as error:
            raise ImportVideoError(f"{path}, line {lines.line_num}: {error}") from error
    actions = np.array(rows, np.int64).reshape(-1, len(ACTION_COLUMNS))
    wrong = ((actions < 0) | (actions >= CHOICES)).any(axis=1)
    if wrong.any():
        at = int(wrong.argmax())
        raise ImportVideoError(f"{path}, line {at + 2}: {rows[at]} is not below {list(CHOICES)}")
    return actions


def steps_of(
    video: Path, size: int, rate: float
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Yield frame (3, size, size) and action (A,) of each step of a video.

    Raises:
        ImportVideoError: it cannot be read.
    """
    actions = read_actions(video)
    neutral, taken = np.zeros(len(ACTIONS), np.int64), 0
    try:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or stream.guessed_rate or rate)
            for number, frame in enumerate(container.decode(stream)):
                if actions is not None and number == len(actions):
                    # The recorder was stopped between a frame and its action.
                    return
                # Each step has the newest frame of its time.
                while int(taken * fps / rate + 1e-6) == number:
                    taken += 1
                    action = neutral if actions is None else actions[number]
                    picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                    yield from_bgr(picture, size), action
    except (OSError, IndexError, av.FFmpegError) as error:
        raise ImportVideoError(f"{video}: {error}") from error


def import_video(video: Path, writer: RecordingWriter, first_tick: int) -> int:
    """Append a video to a recording; return its number of steps.

    Raises:
        ImportVideoError: it cannot be read.
    """
    spec, count = writer.spec, 0
    rollout: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = []

    def flush() -> None:
        nonlocal count
        writer.write(_as_steps(rollout, spec, first_tick + count, count == 0))
        count += len(rollout)
        rollout.clear()

    for step in steps_of(video, spec.frame_size, spec.fps):
        rollout.append(step)
        if len(rollout) == ROLLOUT:
            flush()
    if rollout:
        flush()
    return count


def _as_steps(
    rollout: list[tuple[NDArray[np.uint8], NDArray[np.int64]]],
    spec: DatasetSpec,
    tick: int,
    first: bool,
) -> dict[str, NDArray[Any]]:
    """Return frames and actions as steps; all other keys are 0."""
    rows = len(rollout)
    steps = {key: np.zeros((rows, *f.shape), f.dtype) for key, f in spec.fields().items()}
    steps["frame"], steps["action"] = (np.stack(part) for part in zip(*rollout, strict=True))
    steps["index"] = np.arange(tick, tick + rows)
    steps["time"] = steps["index"] / spec.fps
    steps["is_first"][0], steps["valid"][:] = first, True
    return steps


def main(arguments: list[str] | None = None) -> int:
    """Import; return the exit code."""
    parser = make_parser(__doc__)
    parser.add_argument("source", type=Path, nargs="+", help="videos, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="the recording: a new folder")
    parser.add_argument("--size", type=int, default=144, help="side of a frame, pixels")
    parser.add_argument("--rate", type=float, default=10.0, help="steps per second")
    parser.add_argument("--crf", type=int, default=RecordingSettings.crf, help="0 (best) to 51")
    options = parser.parse_args(arguments)
    names = tuple(axis.name for axis in ACTIONS)
    spec = DatasetSpec(options.rate, options.size, CHOICES, names, rollout_length=ROLLOUT)
    try:
        if options.out.exists():
            raise ImportVideoError(f"{options.out}: exists already")
        videos = find_videos(options.source)
        writer, tick = RecordingWriter(options.out, spec, options.crf), 0
        for video in videos:
            count = import_video(video, writer, tick)
            safe_print(f"{video}: {count} steps")
            # A tick is skipped: no transition leads from one video to the next.
            tick += count + 1
        writer.close()
    except (ImportVideoError, RecordingError, OSError) as error:
        print_error(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
