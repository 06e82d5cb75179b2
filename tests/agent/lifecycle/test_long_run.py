"""F13: a long life with real updates on a virtual clock; what grows is a leak."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

from tools.faults.long_run import MB_A_UNIT, TICKS, live


@pytest.mark.parametrize("ticks", [20_000, pytest.param(TICKS, marks=pytest.mark.slow)])
def test_nothing_grows(ticks: int, tmp_path: Path) -> None:
    # In a process of its own: what other tests left behind would come and go beside it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (1,)) as fresh:
        growth = fresh.submit(live, ticks, tmp_path).result()
    settled = len(growth.ticks) // 5
    assert growth.updates > ticks / 50
    assert growth.mb_a_unit() <= MB_A_UNIT
    assert set(growth.descriptors[settled:]) == {growth.descriptors[settled]}
    assert set(growth.threads[settled:]) == {growth.threads[settled]}
