from __future__ import annotations

import pytest

from agent.errors import UsageError
from agent.settings.compose import CommandLine, compose
from agent.settings.schema import parse


def test_unknown_clock_is_refused() -> None:
    line = CommandLine("debug", {"clock": "sundial"})
    with pytest.raises(UsageError, match="clock"):
        parse(compose(line, lambda: "tiny"))
