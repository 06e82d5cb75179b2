"""The newest frame of a world that runs in another process, in memory both can see.

Three slots written in turn. Each has a sequence number, odd while it is being written; a reader
copies the newest slot and takes it again if its number has moved. The writer never waits, and the
reader starts over only when it took longer than two whole frames.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

_SLOTS = 3
_LATEST, _PORT, _DRAWN, _SKIPPED, _IGNORED, _SEQUENCES = range(6)
"""Words of the header; the slots' sequence numbers follow each other from the last one."""
_WORDS = _SEQUENCES + _SLOTS
_TEXT = 2048
"""Bytes kept for the last words of a world that failed."""
_SHARED_MEMORY = Path("/dev/shm")


def _folder() -> Path:
    """Return memory that is a file if the system has it, else the temporary folder."""
    usable = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK)
    return _SHARED_MEMORY if usable else Path(tempfile.gettempdir())


class SharedFrame:
    """A file mapped by one writer and one reader.

    Args:
        path: of the file, already of the right size.
        height: of the frames.
        width: of the frames.
        info_count: numbers that go with each frame.
    """

    def __init__(self, path: Path, height: int, width: int, info_count: int) -> None:
        self.path = path
        self._shape = (3, height, width)
        self._info_count = info_count
        self._frame_bytes = 3 * height * width
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self.size(height, width, info_count))
        self._words = np.frombuffer(self._map, np.int64, _WORDS)

    @staticmethod
    def size(height: int, width: int, info_count: int) -> int:
        """Bytes of the file."""
        return _WORDS * 8 + _TEXT + _SLOTS * (4 * info_count + 3 * height * width)

    @classmethod
    def create(cls, height: int, width: int, info_count: int) -> SharedFrame:
        """Make the file, all of it allocated, and map it."""
        descriptor, name = tempfile.mkstemp(prefix="embedded-world-", dir=_folder())
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes(cls.size(height, width, info_count)))
        return cls(Path(name), height, width, info_count)

    def _slot(self, slot: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        start = _WORDS * 8 + _TEXT + slot * (4 * self._info_count + self._frame_bytes)
        info = np.frombuffer(self._map, np.float32, self._info_count, start)
        start += 4 * self._info_count
        frame = np.frombuffer(self._map, np.uint8, self._frame_bytes, start)
        return info, frame.reshape(self._shape)

    def write(self, frame: NDArray[np.uint8], info: NDArray[np.float32]) -> None:
        """Publish a frame (3, H, W) with its info (K,)."""
        slot = int(self._words[_DRAWN]) % _SLOTS
        info_scene, frame_scene = self._slot(slot)
        self._words[_SEQUENCES + slot] += 1
        info_scene[:] = info
        frame_scene[:] = frame
        self._words[_SEQUENCES + slot] += 1
        self._words[_LATEST] = slot
        self._words[_DRAWN] += 1

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Copy the newest frame and its info; something must have been written before."""
        while True:
            slot = int(self._words[_LATEST])
            before = int(self._words[_SEQUENCES + slot])
            if before % 2 == 0:
                info_scene, frame_scene = self._slot(slot)
                info, frame = info_scene.copy(), frame_scene.copy()
                if int(self._words[_SEQUENCES + slot]) == before:
                    return frame, info

    @property
    def drawn(self) -> int:
        """Frames published so far."""
        return int(self._words[_DRAWN])

    @property
    def port(self) -> int:
        """Where the world listens for OSC, 0 before it does."""
        return int(self._words[_PORT])

    @port.setter
    def port(self, port: int) -> None:
        self._words[_PORT] = port

    @property
    def skipped(self) -> int:
        """Frames that were not drawn because the machine was late."""
        return int(self._words[_SKIPPED])

    @skipped.setter
    def skipped(self, count: int) -> None:
        self._words[_SKIPPED] = count

    @property
    def ignored(self) -> int:
        """OSC messages that meant nothing to the world."""
        return int(self._words[_IGNORED])

    @ignored.setter
    def ignored(self, count: int) -> None:
        self._words[_IGNORED] = count

    @property
    def failure(self) -> str:
        """What went wrong in the other process, empty if nothing did."""
        text = self._map[_WORDS * 8 : _WORDS * 8 + _TEXT]
        return text.rstrip(b"\0").decode(errors="replace")

    @failure.setter
    def failure(self, text: str) -> None:
        encoded = text.encode()[:_TEXT]
        self._map[_WORDS * 8 : _WORDS * 8 + _TEXT] = encoded.ljust(_TEXT, b"\0")

    def close(self) -> None:
        """Let go of the mapping; the file stays."""
        # The views must go first, or the mapping cannot be closed.
        self._words = np.empty(0, np.int64)
        self._map.close()

    def remove(self) -> None:
        """Delete the file, if it is still there."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> SharedFrame:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
