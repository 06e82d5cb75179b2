"""Disk space for files that are mapped into memory.

A write to a mapped file that has no disk block yet, on a full disk, kills the process (SIGBUS). So
every mapped file gets its blocks here, before it is mapped.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_ZEROS = bytes(1 << 20)


def allocate_blocks(path: Path, offset: int, length: int) -> None:
    """Give a part of an existing file its disk blocks now; what it holds there stays.

    Raises:
        OSError: there is no room; the message names the file and the space it needs.
    """
    if not length:
        return
    try:
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), offset, length)
                return
            # Zeros beyond the present end alone. On Windows a longer file has its blocks; on macOS
            # a sparse one may still end the process on a full disk.
            start, end = file.seek(0, os.SEEK_END), offset + length
            for at in range(start, end, len(_ZEROS)):
                file.write(_ZEROS[: end - at])
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        needed = f"{error.strerror}: {length / 1e6:.1f} MB are needed"
        raise OSError(errno.ENOSPC, needed, str(path)) from error
