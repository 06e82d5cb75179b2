"""F13: a long run with real updates on a virtual clock; growth is a leak."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

from tools.faults.long_run import MB_PER_UNIT, TICKS, simulate


@pytest.mark.parametrize("ticks", [20_000, pytest.param(TICKS, marks=pytest.mark.slow)])
def test_memory_descriptors_and_threads_do_not_grow(ticks: int, tmp_path: Path) -> None:
    # In a process of its own, without the leftovers of other tests.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (1,)) as fresh:
        growth = fresh.submit(simulate, ticks, tmp_path).result()
    settled = len(growth.ticks) // 5
    assert growth.updates > ticks / 50
    assert growth.mb_per_unit() <= MB_PER_UNIT
    assert set(growth.descriptors[settled:]) == {growth.descriptors[settled]}
    assert set(growth.threads[settled:]) == {growth.threads[settled]}
