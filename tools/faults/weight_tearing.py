"""F14: weights are published every millisecond while they are read."""

from __future__ import annotations

import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path

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
from pamiq_lightning.utils.processes import context
from tools.faults.outcome import Outcome

SECONDS = 60.0
PUBLISH_S = 0.001
READS = 100_000


def _module() -> nn.Module:
    return nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.Linear(32, 8))


def _publish(spec: WeightsSpec, stop: Event) -> None:
    """Publish weights that all hold the same number, a new one each time."""
    module = _module()
    writer = WeightsWriter(spec, module)
    count = 0
    while not stop.is_set():
        count += 1
        with torch.no_grad():
            for tensor in tensors_of(module):
                tensor.fill_(count % 1_000_000)
        writer.publish()
        time.sleep(PUBLISH_S)


def run(trials: int) -> list[Outcome]:
    """Read for a minute, whatever the number of trials."""
    torn = Outcome(f"F14 weights in {READS} reads or more", "0 torn", 0, "torn")
    order = Outcome("F14 versions went backwards", "never", 0, "times")
    module = _module()
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        spec = WeightsSpec(Path(folder) / "weights", flat_size(module))
        create(spec)
        stop = context().Event()
        process = context().Process(target=_publish, args=(spec, stop))
        process.start()
        reader, into = WeightsReader(spec, module), tensors_of(module)
        reads = mixed = backwards = last = 0
        versions = set()
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end or reads < READS:
                version = reader.begin()
                reader.copy(into)
                first = float(into[0].detach().flatten()[0])
                reads += 1
                mixed += any(bool((tensor != first).any()) for tensor in into) if version else 0
                backwards += version < last
                last = version
                versions.add(version)
        finally:
            stop.set()
            process.join()
    torn.values.append(float(mixed))
    torn.notes = f"{reads} reads of {len(versions)} versions"
    order.values.append(float(backwards))
    return [torn, order]
