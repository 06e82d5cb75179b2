"""The ways a run ends early, each printed as one line."""

from __future__ import annotations

from pamiq_lightning.utils.console import os_error_text
from pamiq_lightning.utils.usage_error import UsageError

__all__ = ["RunFailure", "StoppedEarly", "UsageError"]


class RunFailure(Exception):  # noqa: N818
    """The run cannot start or continue, and the usage is right; exit code 1."""


def cannot_start(error: OSError, runs: str) -> RunFailure:
    """Return the failure of a run that the system refuses something before the first tick.

    Args:
        error: of the system; that of a write names no file.
        runs: the folder of all runs.
    """
    where = os_error_text(error) + ("" if error.filename else f" (runs={runs})")
    return RunFailure(f"the run cannot start: {where}")


class StoppedEarly(Exception):  # noqa: N818
    """A stop was requested before the first tick; exit code 0."""
