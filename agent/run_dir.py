"""The folder of one run, `runs/<experiment>/<date-time>`: the names of its files.

This is the one place that names them. The files that the agent itself writes at the start and the
end of a run are written and read here.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.errors import RunFailure
from pamiq_lightning.run_files import AIM_LOCK as AIM_LOCK
from pamiq_lightning.run_files import AIM_RUN as AIM_RUN
from pamiq_lightning.run_files import CHECKPOINTS as CHECKPOINTS
from pamiq_lightning.run_files import LIVE_PREVIEW as LIVE_PREVIEW
from pamiq_lightning.run_files import METRICS as METRICS
from pamiq_lightning.run_files import PREVIEWS as PREVIEWS
from pamiq_lightning.run_files import RECORDING as RECORDING
from pamiq_lightning.run_files import STEP_LOG as STEP_LOG
from pamiq_lightning.run_files import STEP_LOG_FIELDS as STEP_LOG_FIELDS
from pamiq_lightning.run_files import TRAINER_LOG as TRAINER_LOG
from pamiq_lightning.utils.atomic_io import replace_atomic, staged
from pamiq_lightning.utils.console import print_error
from pamiq_lightning.utils.file_lock import CannotLockError, FileLock, HeldError, holder, is_held
from pamiq_lightning.utils.json_text import json_text
from pamiq_lightning.utils.usage_error import describe_error
from pamiq_lightning.utils.yaml_files import dump_yaml

SETTINGS = "settings.yaml"
"""Everything that is needed to repeat the run."""
SUMMARY = "summary.json"
ERROR_LOG = "error.log"
LOCK_FILE = "agent.lock"
"""Held while the agent of the run is alive."""
ADDRESS = "api.json"
"""Where the agent's API answers, for other programs of the same user."""


def make_run_dir(runs: Path, experiment: str) -> Path:
    """Make `runs/<experiment>/<date-time>` and return it.

    Raises:
        RunFailure: it cannot be written to.
    """
    name = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = runs / experiment / name
    try:
        for attempt in range(1, 100):
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                folder = runs / experiment / f"{name}-{attempt}"
    except OSError as error:
        raise RunFailure(f"runs={runs}: cannot be written to ({error.strerror})") from error
    raise RunFailure(f"runs={runs}: a hundred runs were started in this second")


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the run's settings, as plain values."""
    replace_atomic(folder / SETTINGS, dump_yaml(dict(settings)).encode())


def write_error(folder: Path, error: BaseException) -> RunFailure:
    """Write the traceback to a file; return the error as one line that names the file."""
    path = folder / ERROR_LOG
    message = describe_error(error, 1)
    try:
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as refusal:
        print_error("".join(traceback.format_exception(error)))
        return RunFailure(f"{message} ({path} cannot be written: {refusal.strerror})")
    return RunFailure(f"{message} (see {path})")


class RunLock:
    """Holds a run's folder from `take` to `release`, or until this process ends in any way.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, FileLock(folder / LOCK_FILE)

    def take(self) -> None:
        """Take the folder; a lock that a dead process left is taken over.

        Raises:
            RunFailure: another process has it; the message names the process. Or no process can
                have it, since its file system has no locks.
            OSError: the folder cannot be written to.
        """
        try:
            self._lock.take()
        except HeldError as held:
            raise RunFailure(
                f"{self._folder} is in use by another agent ({held}): stop that one "
                "first, with python -m agent.ctl stop"
            ) from held
        except CannotLockError as error:
            raise RunFailure(f"runs={self._folder}: {error.strerror}") from error

    @property
    def in_place(self) -> bool:
        """Whether the folder is still where it was, neither removed nor renamed."""
        return self._lock.in_place

    def release(self) -> None:
        """Release the folder. May be called twice."""
        self._lock.release()


def agent_alive(folder: Path) -> bool:
    """Return whether a run's agent is alive; a lock that cannot be tried proves no agent."""
    try:
        return is_held(folder / LOCK_FILE)
    except OSError:
        return False


def agent_process(folder: Path) -> int | None:
    """Return the process number of a run's agent; None where it cannot be proven from here."""
    return holder(folder / LOCK_FILE)


@dataclass(frozen=True)
class Address:
    """Where the API answers, and the secret that every request must carry."""

    host: str
    port: int
    token: str

    @property
    def site(self) -> str:
        """The live page's address without the token."""
        return f"http://{self.host}:{self.port}/"

    @property
    def page(self) -> str:
        """The live page's address; a browser never sends the fragment, which holds the token."""
        return f"{self.site}#{self.token}"


def write_address(folder: Path, address: Address) -> None:
    """Write the address, readable by its owner alone where the system has file modes."""
    # The mode is set when the file is made, not after.
    with staged(folder / ADDRESS, mode=0o600) as part:
        content = {**asdict(address), "page": address.page}
        part.write_text(json_text(content), encoding="ascii")


def read_address(folder: Path) -> Address:
    """Read the address.

    Raises:
        OSError: there is none, or it is another user's.
        ValueError: the file holds something else.
    """
    text = (folder / ADDRESS).read_text(encoding="ascii")
    try:
        content = json.loads(text)
        return Address(content["host"], content["port"], content["token"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / ADDRESS} is no address of an agent") from error


def remove_address(folder: Path) -> None:
    """Remove the address: nobody answers any more."""
    (folder / ADDRESS).unlink(missing_ok=True)
