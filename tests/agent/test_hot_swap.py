from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from agent.hot_swap import DoubleBufferedModule
from pamiq_lightning.exchange.weights import (
    WeightsSpec,
    WeightsWriter,
    create,
    flat_size,
    tensors_of,
)

CPU = torch.device("cpu")


class Pair:
    """A trainer's module and the agent's hot copies of it."""

    def __init__(self, folder: Path) -> None:
        self.source = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 2))
        spec = WeightsSpec(folder / "w", flat_size(self.source))
        create(spec)
        self.writer = WeightsWriter(spec, self.source)
        self.hot: DoubleBufferedModule[nn.Module] = DoubleBufferedModule(self.source, spec, CPU)

    def publish(self, value: float) -> None:
        with torch.no_grad():
            for tensor in tensors_of(self.source):
                tensor.fill_(value)
        self.writer.publish()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def content(module: nn.Module) -> set[float]:
    return {v.item() for tensor in tensors_of(module) for v in tensor.flatten()}


def test_load_latest_swaps_at_once(pair: Pair) -> None:
    pair.publish(1.0)
    pair.publish(2.0)
    pair.hot.load_latest()
    assert content(pair.hot.active) == {2.0}
    assert pair.hot.version == 2


def test_active_weights_change_only_by_a_complete_swap(pair: Pair) -> None:
    pair.publish(1.0)
    pair.hot.load_latest()
    pair.hot.release_previous()
    pair.publish(2.0)
    ticks = 0
    while pair.hot.version == 1:
        assert content(pair.hot.active) == {1.0}
        assert pair.hot.copy_chunk(max_bytes=16) <= 16
        pair.hot.swap()
        ticks += 1
    # Twelve numbers, four per tick.
    assert ticks == 3
    assert content(pair.hot.active) == {2.0}


def test_standby_holds_the_previous_weights_for_one_tick(pair: Pair) -> None:
    pair.publish(1.0)
    pair.hot.load_latest()
    pair.hot.release_previous()
    pair.publish(2.0)
    pair.hot.copy_chunk(None)
    assert not pair.hot.just_swapped
    pair.hot.swap()
    pair.publish(3.0)
    assert pair.hot.just_swapped
    assert content(pair.hot.standby) == {1.0}
    assert pair.hot.copy_chunk(None) == 0
    assert content(pair.hot.standby) == {1.0}
    pair.hot.release_previous()
    pair.hot.copy_chunk(None)
    assert content(pair.hot.standby) == {3.0}


def test_no_swap_without_newer_weights(pair: Pair) -> None:
    pair.publish(1.0)
    pair.hot.load_latest()
    acting = pair.hot.active
    pair.hot.copy_chunk(None)
    assert not pair.hot.swap()
    assert pair.hot.active is acting


def test_copies_are_frozen_and_in_eval_mode(pair: Pair) -> None:
    for module in (pair.hot.active, pair.hot.standby):
        assert not module.training
        assert not any(p.requires_grad for p in module.parameters())
    assert pair.source.training


class FakePinnedCopy:
    """A CUDA copy that ends when the test sets `over`."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self.host = [torch.empty_like(tensor) for tensor in tensors]
        self.started = self.over = False

    @torch.no_grad()
    def start(self, targets: list[torch.Tensor]) -> None:
        self.started, self._targets = True, targets

    @torch.no_grad()
    def arrived(self) -> bool:
        if self.started and self.over:
            for target, source in zip(self._targets, self.host, strict=True):
                target.copy_(source)
            self.started = False
        return not self.started

    def wait(self) -> None:
        self.over = True


def test_cuda_swap_waits_for_the_copy_and_nothing_else_does(pair: Pair) -> None:
    copy = FakePinnedCopy(tensors_of(pair.source))
    pair.hot._pinned = copy  # type: ignore[assignment]
    pair.publish(1.0)
    while not copy.started:
        assert pair.hot.copy_chunk(max_bytes=16) <= 16
    for _ in range(3):
        assert pair.hot.copy_chunk(max_bytes=16) == 0
        assert not pair.hot.swap()
    assert not pair.hot.copying
    copy.over = True
    pair.hot.copy_chunk(max_bytes=16)
    assert pair.hot.swap()
    assert content(pair.hot.active) == {1.0}
    copy.over = False
    pair.hot.release_previous()
    pair.publish(2.0)
    pair.hot.load_latest()
    assert content(pair.hot.active) == {2.0}
