"""The ways a run ends early, each printed as one line."""

from __future__ import annotations

from pamiq_lightning.utils.usage_error import UsageError

__all__ = ["RunFailure", "StoppedEarly", "UsageError"]


class RunFailure(Exception):  # noqa: N818
    """The run cannot start or continue, and the usage is right; exit code 1."""


class StoppedEarly(Exception):  # noqa: N818
    """A stop was requested before the first tick; exit code 0."""
