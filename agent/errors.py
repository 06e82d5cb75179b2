"""The two ways a run can fail to begin or to go on, told in one line each."""

from __future__ import annotations


class UsageError(Exception):
    """The command line or a settings file is wrong; exit code 2."""


class RunFailure(Exception):  # noqa: N818
    """The run cannot begin or go on, for a reason that is not a typing error; exit code 1."""


class StoppedEarly(Exception):  # noqa: N818
    """Somebody asked to stop before the first tick; exit code 0."""
