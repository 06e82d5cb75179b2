from __future__ import annotations

import pytest

from pamiq_lightning.utils import outage
from pamiq_lightning.utils.outage import REPEAT_EVERY_S, Outage
from tests.conftest import VirtualClock


def test_a_failure_is_reported_once_a_minute_and_its_end_once(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage.time, "monotonic", clock.now)
    messages: list[str] = []
    writes = Outage(messages.append, "over")
    writes.succeeded()
    for _ in range(3):
        writes.failed("full")
    clock.advance(REPEAT_EVERY_S)
    writes.failed("full")
    for _ in range(3):
        writes.succeeded()
    # On a nearly full disk small writes succeed between large ones that fail.
    writes.failed("full again")
    writes.succeeded()
    assert messages == ["full", "full", "over"]
