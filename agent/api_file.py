"""How another program of the same user finds a running agent: a file in the run's folder."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

API_FILE = "api.json"


@dataclass(frozen=True)
class Address:
    """Where the API answers, and the secret that it wants to be told."""

    host: str
    port: int
    token: str

    @property
    def page(self) -> str:
        """The live page's address; the fragment, which holds the token, is never sent."""
        return f"http://{self.host}:{self.port}/#{self.token}"


def write_address(folder: Path, address: Address) -> None:
    """Write the file, for its owner alone to read (where the system has such modes)."""
    staged = folder / f"{API_FILE}.part"
    # With its mode from the first moment on, not after.
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(asdict(address), file)
    staged.replace(folder / API_FILE)


def read_address(folder: Path) -> Address:
    """Read it back.

    Raises:
        OSError: there is none, or it is another user's.
        ValueError: it is not such a file.
    """
    text = (folder / API_FILE).read_text(encoding="ascii")
    try:
        return Address(**json.loads(text))
    except TypeError as error:
        raise ValueError(f"{folder / API_FILE} is no address of an agent") from error


def remove_address(folder: Path) -> None:
    """Take the file away: nobody answers any more."""
    (folder / API_FILE).unlink(missing_ok=True)
