"""Make a recording of videos, to train learners on them.

    python -m tools.import_videos FOLDER_OR_VIDEO ... --out RECORDING

Each video becomes a trajectory of its own: its centre square, shrunk to the size of a frame, at so
many steps per second, each with the newest frame of its time. Actions are taken from a CSV file
beside it: `NAME.csv`, or, as the originals' recorder writes it (ami,
scripts/video_action_recorder.py), `action_log_STAMP.csv` beside `output_STAMP.mp4`, one line per
frame: Timestamp, MoveVertical, MoveHorizontal, LookHorizontal, Jump, Run. The Timestamp (seconds)
is then the time of the frame. Without a CSV every action is neutral, which is enough for an encoder
only. There are no rewards, and no policy that PPO could improve.

A video that cannot be used is skipped, and one that is cut off is imported up to there; both are
reported. The recording appears when all is done: an import that fails leaves nothing.
"""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.actions import ACTIONS, CHOICES
from agent.capture.base import CaptureError
from agent.capture.resize import from_bgr
from agent.capture.video_file import VideoFile, upright_bgr
from pamiq_lightning.recording.schema import DatasetSpec, RecordingError, recorder_lock
from pamiq_lightning.recording.settings import Crf, RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter
from pamiq_lightning.utils.console import print_error, print_failure, safe_print
from pamiq_lightning.utils.file_lock import FileLock, HeldError
from pamiq_lightning.utils.ranges import Rate, Width, option
from tools.cli import make_parser

VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi")
TIMESTAMP = "Timestamp"
ACTION_COLUMNS = ("MoveVertical", "MoveHorizontal", "LookHorizontal", "Jump", "Run")
"""In the order of `agent.actions`, with the same choices."""
ROLLOUT = 128
_SAME_S = 1e-6
"""Times that differ by less are the same."""

Step = tuple[NDArray[np.uint8], NDArray[np.int64]]


class ImportVideoError(Exception):
    """A file cannot be imported; the message names it and the reason."""


@dataclass(frozen=True)
class ActionLog:
    """The actions of a video, one per frame: a CSV file.

    Attributes:
        path: of the file.
        actions: (N, A).
        times: (N,) seconds since the first; None where the file has no Timestamp.
    """

    path: Path
    actions: NDArray[np.int64]
    times: NDArray[np.float64] | None


def find_videos(sources: list[Path]) -> list[Path]:
    """Return all videos, those of a folder by name; report sources without any.

    Raises:
        ImportVideoError: there is none in all of them.
    """
    found = []
    for source in sources:
        here = sorted(source.rglob("*")) if source.is_dir() else [source]
        videos = [path for path in here if path.suffix.lower() in VIDEOS and path.is_file()]
        if not videos:
            print_error(f"{source}: there is no video ({', '.join(VIDEOS)})")
        found += videos
    if not found:
        raise ImportVideoError("nothing is imported")
    return found


def read_actions(video: Path) -> ActionLog | None:
    """Return the actions of a video; None without a CSV file.

    Raises:
        ImportVideoError: a line is wrong.
    """
    names = (f"{video.stem}.csv", f"action_log_{video.stem.removeprefix('output_')}.csv")
    path = next((p for name in names if (p := video.with_name(name)).is_file()), None)
    if path is None:
        return None
    try:
        rows, stamps = _read_csv(path)
    except OSError as error:
        raise ImportVideoError(f"{path}: cannot be read ({error.strerror})") from error
    actions = np.array(rows, np.int64).reshape(-1, len(ACTION_COLUMNS))
    wrong = ((actions < 0) | (actions >= CHOICES)).any(axis=1)
    if wrong.any():
        at = int(wrong.argmax())
        raise ImportVideoError(f"{path}, line {at + 2}: {rows[at]} is not below {list(CHOICES)}")
    if not stamps:
        return ActionLog(path, actions, None)
    times = np.array(stamps)
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        at = int((~(np.diff(times, prepend=times[0]) >= 0)).argmax())
        raise ImportVideoError(f"{path}, line {at + 2}: {TIMESTAMP} {times[at]} is out of order")
    return ActionLog(path, actions, times - times[0])


def _read_csv(path: Path) -> tuple[list[list[int]], list[float]]:
    """Return the actions and time stamps of all lines; no time stamps where there is no column."""
    rows: list[list[int]] = []
    stamps: list[float] = []
    # "sig": editors on Windows begin a file with a byte order mark.
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        try:
            timed = TIMESTAMP in (columns := lines.fieldnames or ())
            if missing := set(ACTION_COLUMNS) - set(columns):
                raise ImportVideoError(f"{path}: lacks the columns {sorted(missing)}")
            for line in lines:
                rows.append([int(line[name]) for name in ACTION_COLUMNS])
                if timed:
                    stamps.append(float(line[TIMESTAMP]))
        except (ValueError, TypeError, csv.Error) as error:
            raise ImportVideoError(f"{path}, line {lines.line_num}: {error}") from error
    return rows, stamps


class VideoSteps:
    """The steps of one video.

    Args:
        path: of the video.
        size: side of a frame, pixels.
        rate: steps per second.

    Raises:
        ImportVideoError: the video or its actions cannot be used.
    """

    def __init__(self, path: Path, size: int, rate: float) -> None:
        self._size, self._rate = size, rate
        self._log = read_actions(path)
        try:
            self._file = VideoFile(path)
        except CaptureError as error:
            raise ImportVideoError(str(error)) from error
        self._frames = 0

    def __iter__(self) -> Iterator[Step]:
        """Yield frame (3, size, size) and action (A,) of each step."""
        shown: Step | None = None
        count, end = 0, 0.0
        for time, until, step in self._timed():
            while shown and count / self._rate < time - _SAME_S:
                yield shown
                count += 1
            shown, end = step, until
        while shown and count / self._rate < end - _SAME_S:
            yield shown
            count += 1

    def _timed(self) -> Iterator[tuple[float, float, Step]]:
        """Yield each frame and its action, with the times (s) of its begin and its end."""
        log, action = self._log, np.zeros(len(ACTIONS), np.int64)
        for row, (time, frame) in enumerate(self._file.frames()):
            until, self._frames = self._file.end, row + 1
            if log is not None:
                if row == len(log.actions):
                    # The recorder was stopped between a frame and its action.
                    return
                action = log.actions[row]
                if log.times is not None:
                    until += log.times[row] - time
                    time = log.times[row]
            yield time, until, (from_bgr(upright_bgr(frame), self._size), action)

    def close(self) -> None:
        """Close the video."""
        self._file.close()

    def remarks(self) -> list[str]:
        """Return what is wrong with the video, once all steps are taken."""
        found = [f"{self._file.path} {self._file.fault}"] if self._file.fault else []
        if self._log is not None and not self._file.fault:
            lines = len(self._log.actions)
            if not lines <= self._frames <= lines + 1:
                found.append(f"{self._log.path}: {lines} lines do not fit {self._frames} frames")
        return found


def import_video(steps: VideoSteps, writer: RecordingWriter, first_tick: int) -> int:
    """Append a video to a recording; return its number of steps.

    Raises:
        OSError: the disk refuses.
    """
    spec, count = writer.spec, 0
    rollout: list[Step] = []

    def flush() -> None:
        nonlocal count
        writer.write(_as_steps(rollout, spec, first_tick + count, count == 0))
        count += len(rollout)
        rollout.clear()

    for step in steps:
        rollout.append(step)
        if len(rollout) == ROLLOUT:
            flush()
    if rollout:
        flush()
    return count


def _as_steps(
    rollout: list[Step], spec: DatasetSpec, tick: int, first: bool
) -> dict[str, NDArray[Any]]:
    """Return frames and actions as steps; all other keys are 0."""
    rows = len(rollout)
    steps = {key: np.zeros((rows, *f.shape), f.dtype) for key, f in spec.fields().items()}
    steps["frame"], steps["action"] = (np.stack(part) for part in zip(*rollout, strict=True))
    steps["index"] = np.arange(tick, tick + rows)
    steps["time"] = steps["index"] / spec.fps
    steps["is_first"][0], steps["valid"][:] = first, True
    return steps


@contextmanager
def new_recording(out: Path) -> Iterator[Path]:
    """Yield a folder to write to; at the end it becomes `out`, or is removed if the body raises.

    One that a killed import left is removed first.

    Raises:
        ImportVideoError: `out` exists, or another import writes it.
        OSError: the disk refuses.
    """
    if out.exists():
        raise ImportVideoError(f"{out}: exists already")
    part = out.with_name(f"{out.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    lock = FileLock(recorder_lock(part))
    try:
        lock.take()
    except HeldError as holder:
        raise ImportVideoError(f"{out}: {holder} is importing into it") from holder
    try:
        for left in part.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
        yield part
        lock.release()
        lock.path.unlink()
        part.rename(out)
    except BaseException:
        lock.release()
        shutil.rmtree(part, ignore_errors=True)
        raise


def import_videos(videos: list[Path], writer: RecordingWriter) -> str:
    """Append all videos to a recording; return how many were imported, in one line.

    Raises:
        ImportVideoError: none can be imported.
        OSError: the disk refuses.
    """
    tick = done = faulty = 0
    for video in videos:
        try:
            steps = VideoSteps(video, writer.spec.frame_size, writer.spec.fps)
            with closing(steps):
                count = import_video(steps, writer, tick)
        except ImportVideoError as error:
            print_error(f"skipped: {error}")
            continue
        remarks = steps.remarks()
        safe_print(f"{video}: {count} steps")
        for remark in remarks:
            print_error(remark)
        done, faulty = done + 1, faulty + bool(remarks)
        # A tick is skipped: no transition leads from one video to the next.
        tick += count + 1
    if not done:
        raise ImportVideoError(f"none of {len(videos)} videos can be imported")
    writer.close()
    counts = {"skipped": len(videos) - done, "imported with a fault": faulty}
    rest = "".join(f"; {count} {what}" for what, count in counts.items() if count)
    return f"{done} of {len(videos)} videos are imported{rest}"


def main(arguments: list[str] | None = None) -> int:
    """Import; return the exit code."""
    parser = make_parser(__doc__)
    parser.add_argument("source", type=Path, nargs="+", help="videos, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="the recording: a new folder")
    parser.add_argument("--size", type=option(Width), default=144, help="pixels a side")
    parser.add_argument("--rate", type=option(Rate), default=10.0, help="steps per second")
    crf = RecordingSettings.crf
    parser.add_argument("--crf", type=option(Crf), default=crf, help="0 (best) to 51")
    options = parser.parse_args(arguments)
    names = tuple(axis.name for axis in ACTIONS)
    spec = DatasetSpec(options.rate, options.size, CHOICES, names, rollout_length=ROLLOUT)
    try:
        videos = find_videos(options.source)
        with new_recording(options.out) as folder:
            safe_print(import_videos(videos, RecordingWriter(folder, spec, options.crf)))
    except (ImportVideoError, RecordingError) as error:
        return print_failure(error)
    except OSError as error:
        reason = error.strerror or error
        return print_failure(f"{options.out} cannot be written ({reason}): nothing is imported")
    except KeyboardInterrupt:
        print_error("interrupted: nothing is imported")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
