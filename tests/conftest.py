"""Checks every shape annotation while the tests run, and gives them a clock of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from jaxtyping import install_import_hook

# Before anything of ours is imported: the hook rewrites modules as they load.
install_import_hook(
    ["pamiq_lightning.nets", "pamiq_lightning.learners", "pamiq_lightning.curiosity"],
    "beartype.beartype",
)


def pytest_configure() -> None:
    from tools.cli import let_children_heed_signals

    let_children_heed_signals()


class VirtualClock:
    """A clock that only moves when somebody waits or `advance`s it."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds

    def sleep_until(self, deadline: float, stopped: Callable[[], bool]) -> None:
        if not stopped():
            self.time = max(self.time, deadline)


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until another process has made a condition true."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        # The others need the core.
        threading.Event().wait(0.01)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
