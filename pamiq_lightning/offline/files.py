"""How a recording lies on disk: a description and one compressed numpy archive per window."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DESCRIPTION = "recording.json"
FORMAT_VERSION = 1


class RecordingError(Exception):
    """A folder is not a recording, or a part of it is damaged; the message says which."""


def window_file(folder: Path, number: int) -> Path:
    """Return the file of a window."""
    return folder / f"window_{number:06d}.npz"


def find_recording(path: Path) -> Path:
    """Return the folder of a recording, given it or the run folder it lies in.

    Raises:
        RecordingError: there is no recording.
    """
    for folder in (path, path / "recording"):
        if (folder / DESCRIPTION).is_file():
            return folder
    raise RecordingError(
        f"{path} is not a recording: neither it nor its folder `recording` has a {DESCRIPTION}"
    )


def read_description(folder: Path) -> dict[str, Any]:
    """Return a recording's description.

    Raises:
        RecordingError: it is damaged, or of a format this version does not know.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"{path} is damaged: {error}") from error
    if version != FORMAT_VERSION:
        raise RecordingError(f"{path} has format {version}; this version reads {FORMAT_VERSION}")
    assert isinstance(description, dict)
    return description


def window_files(folder: Path) -> list[Path]:
    """Return the files of all windows, in order.

    Raises:
        RecordingError: there are none.
    """
    files = sorted(folder.glob("window_*.npz"))
    if not files:
        raise RecordingError(f"{folder} has no windows: the run ended before its first was full")
    return files


def read_window(
    path: Path, keys: Collection[str] | None = None, without: Collection[str] = ()
) -> dict[str, NDArray[np.generic]]:
    """Return the steps of one window.

    Args:
        path: file of the window.
        keys: keys to read; default: all. Each costs time of its own, frames the most.
        without: keys to leave out.

    Raises:
        RecordingError: the file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            wanted = archive.files if keys is None else keys
            return {key: archive[key] for key in wanted if key not in without}
    except (KeyError, OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise RecordingError(f"{path} is damaged: {error}") from error
