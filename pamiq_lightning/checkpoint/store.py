"""Checkpoints as folders with checksums, written to a staging folder, synced, and renamed.

Nothing heavy is imported here, so a damaged checkpoint is reported before anything starts.
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
from pamiq_lightning.utils.atomic_io import sync_folder, write_synced

FORMAT = 1
"""Version of the layout; a newer one is refused."""
ROWS, MANIFEST, SETTINGS = "rows", "manifest.json", "settings.json"


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message says which and why."""


def checkpoints_folder(run_folder: Path) -> Path:
    """Return the folder of a run's checkpoints."""
    return run_folder / CHECKPOINTS


def rows_folder(run_folder: Path, role: str) -> Path:
    """Return the folder of a learner's replay rows."""
    return run_folder / CHECKPOINTS / ROWS / role


def trainer_lock(run_folder: Path) -> Path:
    """Return the file that the trainer of a run locks while it runs."""
    return run_folder / CHECKPOINTS / "trainer.lock"


def find_checkpoints(run_folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the newest first, without checking them."""
    root = checkpoints_folder(run_folder)
    found = [folder for folder in root.glob("[0-9]*") if folder.name.isdigit()]
    return sorted(found, key=lambda folder: int(folder.name), reverse=True)


def last_saved(run_folder: Path) -> float | None:
    """Return when a run was saved last, in seconds since 1970; None if it has no checkpoint."""
    newest = next(iter(find_checkpoints(run_folder)), None)
    if newest is None:
        return None
    try:
        # Not the file's time, which a copy or a restored backup does not keep.
        return float(_read_manifest(newest / MANIFEST)["time"])
    except CheckpointError:
        return newest.stat().st_mtime


def write_checkpoint(
    run_folder: Path, files: Iterable[tuple[str, bytes]], about: Mapping[str, Any]
) -> Path:
    """Write a checkpoint; a crash leaves it whole or not at all.

    Args:
        run_folder: of the run.
        files: names and contents.
        about: plain values for the manifest, such as the number of the last rollout.

    Returns:
        Its folder, whose name is its number.

    Raises:
        OSError: the disk refuses; earlier checkpoints stay as they were.
    """
    root = checkpoints_folder(run_folder)
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob(".*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    newest = next(iter(find_checkpoints(run_folder)), None)
    name = f"{int(newest.name) + 1 if newest else 1:06d}"
    staged = root / f".{name}.part"
    staged.mkdir()
    try:
        listed = {}
        for file, content in files:
            write_synced(staged / file, content)
            listed[file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest = {"format": FORMAT, "time": time.time(), **about, "files": listed}
        write_synced(staged / MANIFEST, with_checksum(manifest))
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
            # Renamed first, so a reader finds all of it or nothing; after a crash, the next write
            # removes the rest.
            hidden = folder.with_name(f".{folder.name}.part")
            try:
                folder.rename(hidden)
            except OSError:
                # Windows cannot rename a folder with an open file; the next save tries again.
                continue
            shutil.rmtree(hidden, ignore_errors=True)


def verify(folder: Path) -> dict[str, Any]:
    """Check that every file of a checkpoint is as it was written, and return the manifest.

    Raises:
        CheckpointError: a file is not; the message names it.
    """
    manifest = _read_manifest(folder / MANIFEST)
    for name, expected in manifest["files"].items():
        path = folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
        if len(content) != expected["bytes"]:
            raise CheckpointError(f"{path} has {len(content)} bytes instead of {expected['bytes']}")
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise CheckpointError(f"{path} is damaged: its checksum differs")
    return manifest


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings stored in a checkpoint.

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
        checksum, version = manifest.pop("sha256"), manifest["format"]
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {error!r}") from error
    # Checked before the checksum, which a newer version may compute in another way.
    if version != FORMAT:
        raise CheckpointError(
            f"{path} has format {version}, but this version reads {FORMAT}: was it written by a "
            "newer version?"
        )
    if _checksum(manifest) != checksum:
        raise CheckpointError(f"{path} is damaged: its checksum differs")
    assert isinstance(manifest, dict)
    return manifest


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def with_checksum(manifest: Mapping[str, Any]) -> bytes:
    """Return the manifest's file content, with a checksum of the manifest itself."""
    return json.dumps({**manifest, "sha256": _checksum(manifest)}, indent=1).encode()
