"""F13: a long life with real updates on a virtual clock; what grows is a leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.faults.long_life import MB_A_UNIT, TICKS, live


@pytest.mark.parametrize("ticks", [20_000, pytest.param(TICKS, marks=pytest.mark.slow)])
def test_nothing_grows(ticks: int, tmp_path: Path) -> None:
    growth = live(ticks, tmp_path)
    settled = len(growth.ticks) // 5
    assert growth.updates > ticks / 50
    assert growth.mb_a_unit() <= MB_A_UNIT
    assert set(growth.descriptors[settled:]) == {growth.descriptors[settled]}
    assert set(growth.threads[settled:]) == {growth.threads[settled]}
