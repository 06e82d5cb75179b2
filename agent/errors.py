"""The ways a run ends early, each printed as one line."""

from __future__ import annotations


class UsageError(Exception):
    """The command line or a settings file is wrong; exit code 2."""


class RunFailure(Exception):  # noqa: N818
    """The run cannot start or continue, and the usage is right; exit code 1."""


class StoppedEarly(Exception):  # noqa: N818
    """A stop was requested before the first tick; exit code 0."""
