"""Checkpoints as folders: staged, synced, renamed, and sealed by a manifest of checksums.

Nothing heavy is imported here, so that a damaged checkpoint is told before anything is started.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pamiq_lightning.run_files import CHECKPOINTS
from pamiq_lightning.utils.atomic_io import sync_folder, write_atomic

FORMAT = 1
"""Version of the layout; a newer one is refused."""
ROWS, MANIFEST, SETTINGS = "rows", "manifest.json", "settings.json"


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message says which and why."""


def checkpoints_folder(run_folder: Path) -> Path:
    """Return where a run keeps its checkpoints."""
    return run_folder / CHECKPOINTS


def rows_folder(run_folder: Path, role: str) -> Path:
    """Return where a run keeps the rows that a learner remembers."""
    return run_folder / CHECKPOINTS / ROWS / role


def trainer_lock(run_folder: Path) -> Path:
    """Return the file that the one trainer of a run holds locked while it lives."""
    return run_folder / CHECKPOINTS / "trainer.lock"


def find_checkpoints(run_folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the newest first; whether they are sound is not said."""
    root = checkpoints_folder(run_folder)
    found = [folder for folder in root.glob("[0-9]*") if folder.name.isdigit()]
    return sorted(found, key=lambda folder: int(folder.name), reverse=True)


def write_checkpoint(
    run_folder: Path, files: Iterable[tuple[str, bytes]], about: Mapping[str, Any]
) -> Path:
    """Write a checkpoint; a crash leaves all of it or nothing.

    Args:
        run_folder: of the run.
        files: names and contents.
        about: plain values for the manifest, such as the window it was written after.

    Returns:
        Its folder, which is numbered.

    Raises:
        OSError: the disk refuses; those before are as they were.
    """
    root = checkpoints_folder(run_folder)
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(".*.part"):
        shutil.rmtree(left, ignore_errors=True)
    newest = next(iter(find_checkpoints(run_folder)), None)
    name = f"{int(newest.name) + 1 if newest else 1:06d}"
    staged = root / f".{name}.part"
    staged.mkdir()
    try:
        listed = {}
        for file, content in files:
            write_atomic(staged / file, content)
            listed[file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest = {"format": FORMAT, "time": time.time(), **about, "files": listed}
        write_atomic(staged / MANIFEST, _sealed(manifest))
        sync_folder(staged)
        staged.rename(root / name)
        sync_folder(root)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return root / name


def prune(run_folder: Path, keep_last: int, keep_every: int | None) -> None:
    """Remove all checkpoints but the newest ones and those whose number `keep_every` divides."""
    for folder in find_checkpoints(run_folder)[keep_last:]:
        if keep_every is None or int(folder.name) % keep_every:
            # Hidden first, at once: whoever looks finds all of it or nothing, and the next that is
            # written clears away what a crash leaves.
            hidden = folder.with_name(f".{folder.name}.part")
            try:
                folder.rename(hidden)
            except OSError:
                # Somebody has it open (on Windows that keeps it): the next save tries again.
                continue
            shutil.rmtree(hidden, ignore_errors=True)


def verify(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint of which every file is what it was when written.

    Raises:
        CheckpointError: one is not; the message names it.
    """
    manifest = _read_manifest(folder / MANIFEST)
    for name, told in manifest["files"].items():
        path = folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
        if len(content) != told["bytes"]:
            raise CheckpointError(f"{path} has {len(content)} bytes instead of {told['bytes']}")
        if hashlib.sha256(content).hexdigest() != told["sha256"]:
            raise CheckpointError(f"{path} is damaged: its checksum is another")
    return manifest


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that a checkpoint was written under.

    Raises:
        CheckpointError: they are damaged.
    """
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path} is damaged: it holds no settings")
    return settings


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        seal, version = manifest.pop("sha256"), manifest["format"]
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {error!r}") from error
    # Before the seal, which a newer version may make in another way.
    if version != FORMAT:
        raise CheckpointError(
            f"{path} has format {version}, and this version reads {FORMAT}: was it written by a "
            "newer one?"
        )
    if _seal(manifest) != seal:
        raise CheckpointError(f"{path} is damaged: its checksum is another")
    assert isinstance(manifest, dict)
    return manifest


def _seal(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sealed(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps({**manifest, "sha256": _seal(manifest)}, indent=1).encode()
