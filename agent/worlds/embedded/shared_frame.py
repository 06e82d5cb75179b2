"""The newest frame of a world that runs in another process, in shared memory.

Frames are items of a slot ring. The writer never waits; the reader copies the newest frame again
if it was overwritten meanwhile, which takes a copy longer than two frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pamiq_lightning.exchange.shared_memory import (
    Layout,
    SharedFile,
    SharedFolder,
    SlotRing,
    Word,
    file_bytes,
    layout,
)

_SLOTS = 3
_TEXT = 2048
"""Bytes kept for the error message of a world that failed."""


class SharedFrame:
    """A file mapped by one writer and one reader.

    Args:
        path: of the file.
        height: of the frames.
        width: of the frames.
        info_count: length of the info that goes with each frame.
        folder: of the file, to be created in it; its owner is this process.
    """

    port = Word(int)
    """Where the world listens for OSC, 0 before it does."""
    ignored = Word(int)
    """OSC messages that meant nothing to the world."""

    def __init__(
        self,
        path: Path,
        height: int,
        width: int,
        info_count: int,
        folder: SharedFolder | None = None,
    ) -> None:
        self.path, self._folder = path, folder
        fields = self._layout(height, width, info_count)
        self.file = SharedFile(path, fields, create=folder is not None)
        self._ring = SlotRing(self.file)

    @staticmethod
    def _layout(height: int, width: int, info_count: int) -> Layout:
        return layout(
            [
                *SlotRing.fields(_SLOTS),
                *Word.fields(SharedFrame),
                ("failure", (_TEXT,), np.uint8),
                ("info", (_SLOTS, info_count), np.float32),
                ("frame", (_SLOTS, 3, height, width), np.uint8),
            ]
        )

    @classmethod
    def create(cls, height: int, width: int, info_count: int) -> SharedFrame:
        """Create the file in a folder of its own, and map it.

        Raises:
            OSError: there is no room.
        """
        with SharedFolder.create(file_bytes(cls._layout(height, width, info_count))) as folder:
            return cls(folder.path / "frames", height, width, info_count, folder)

    def write(self, frame: NDArray[np.uint8], info: NDArray[np.float32]) -> None:
        """Publish a frame (3, H, W) with its info (K,)."""
        number = self.drawn
        slot = self._ring.open(number)
        self.file["info"][slot] = info
        self.file["frame"][slot] = frame
        self._ring.commit(number)

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Copy the newest frame and its info; there must be one."""
        while True:
            item = self._ring.read(self.drawn - 1, self._copy)
            if item is not None:
                return item

    def _copy(self, slot: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return self.file["frame"][slot].copy(), self.file["info"][slot].copy()

    @property
    def drawn(self) -> int:
        """Frames published so far."""
        return self._ring.filled

    @property
    def failure(self) -> str:
        """Error message of the other process, empty if there is none."""
        return bytes(self.file["failure"]).rstrip(b"\0").decode(errors="replace")

    @failure.setter
    def failure(self, text: str) -> None:
        encoded = text.encode()[:_TEXT].ljust(_TEXT, b"\0")
        self.file["failure"][:] = np.frombuffer(encoded, np.uint8)

    def close(self) -> None:
        """Release the mapping; the file stays."""
        self.file.close()

    def remove(self) -> None:
        """Delete the file and its folder, if they still exist; the owner may call this."""
        assert self._folder is not None
        self._folder.remove()
