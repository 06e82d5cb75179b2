from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from pamiq_lightning.exchange.weights import (
    WeightsReader,
    WeightsSpec,
    WeightsWriter,
    create,
    flat_size,
    tensors_of,
)


class Net(nn.Module):
    """Parameters and buffers of several types and odd sizes."""

    def __init__(self, width: int = 7) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, 5), nn.BatchNorm1d(5))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def fill(self, value: int) -> None:
        with torch.no_grad():
            for tensor in tensors_of(self):
                tensor.fill_(value)


def pair(folder: Path, net: Net) -> tuple[WeightsWriter, WeightsReader]:
    spec = WeightsSpec(folder / "weights", flat_size(net))
    create(spec)
    return WeightsWriter(spec, net), WeightsReader(spec, net)


def values(net: nn.Module) -> set[float]:
    return {v.item() for tensor in tensors_of(net) for v in tensor.flatten()}


def test_reader_copies_all_parameters_and_buffers(tmp_path: Path) -> None:
    source, target = Net(), Net()
    source.fill(3)
    writer, reader = pair(tmp_path, source)
    assert reader.latest_version == 0
    assert writer.publish() == 1
    assert reader.begin() == 1
    reader.copy(tensors_of(target))
    assert not reader.copying
    assert values(target) == {3.0}


def test_a_copy_in_pieces_is_of_one_version(tmp_path: Path) -> None:
    source, target = Net(), Net()
    writer, reader = pair(tmp_path, source)
    source.fill(1)
    writer.publish()
    assert reader.begin() == 1
    pieces = 0
    while reader.copying:
        assert reader.copy(tensors_of(target), max_bytes=50) <= 50
        pieces += 1
        source.fill(100 + pieces)
        writer.publish()
    assert pieces >= sum(t.numel() * t.element_size() for t in tensors_of(source)) // 50
    assert values(target) == {1.0}
    reader.begin()
    reader.copy(tensors_of(target))
    assert values(target) == {100.0 + pieces}


def test_weights_never_tear_while_the_writer_publishes(tmp_path: Path) -> None:
    source, target = Net(300), Net(300)
    source.fill(0)
    writer, reader = pair(tmp_path, source)
    writer.publish()
    stop = threading.Event()

    def publish_on() -> None:
        version = 0
        while not stop.is_set():
            version += 1
            source.fill(version)
            writer.publish()

    thread = threading.Thread(target=publish_on)
    thread.start()
    try:
        versions = []
        while len(versions) < 2000 or versions[-1] == versions[0]:
            versions.append(reader.begin())
            while reader.copying:
                reader.copy(tensors_of(target), max_bytes=500)
            assert len({t.flatten()[i].item() for t in tensors_of(target) for i in (0, -1)}) == 1
    finally:
        stop.set()
        thread.join()
    assert versions == sorted(versions)


def test_writer_refuses_weights_that_are_not_finite(tmp_path: Path) -> None:
    source = Net()
    writer, reader = pair(tmp_path, source)
    writer.publish()
    with torch.no_grad():
        source.layers[0].weight[2, 3] = float("nan")  # type: ignore[index]
    with pytest.raises(FloatingPointError):
        writer.publish()
    assert reader.latest_version == writer.version == 1


def test_reader_refuses_another_module(tmp_path: Path) -> None:
    spec = WeightsSpec(tmp_path / "weights", flat_size(Net()))
    create(spec)
    with pytest.raises(ValueError, match="both sides must build the same module"):
        WeightsReader(spec, Net(50))


def test_writer_keeps_the_version_before_the_latest(tmp_path: Path) -> None:
    net = Net()
    writer, reader = pair(tmp_path, net)
    net.fill(1)
    writer.publish()
    assert writer.previous is None
    for value in (2, 3, 4):
        reader.begin()
        net.fill(value)
        writer.publish()
        assert writer.previous is not None
        version, tensors = writer.previous
        assert version == value - 1
        assert {v.item() for tensor in tensors for v in tensor.flatten()} == {value - 1}
    # Weights other than the module's own can be published.
    writer.version = 10
    assert writer.publish([torch.full_like(tensor, 7) for tensor in tensors_of(net)]) == 11
    target = Net()
    assert reader.begin() == 11
    reader.copy(tensors_of(target))
    assert values(target) == {7}
