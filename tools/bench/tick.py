"""What a tick costs beside its nets and its world: own work, rollouts, new weights.

`tools.bench.runtime` prints it with the others.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from agent.clock import RealClock
from agent.hot_swap import DoubleBufferedModule
from agent.lifecycle import build
from agent.loop import WEIGHT_CHUNK_BYTES, Loop
from pamiq_lightning.exchange.rollouts import AGENT_METRICS, RolloutReader
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, flat_size
from tools.bench.dummy_world import DummyWorld
from tools.bench.limits import Measurement, at_most, measured
from tools.bench.timing import Stopwatch
from tools.parts import build_parts, load_settings

TICKS = 512
MILLIONS = (1, 10, 100)
LAYER = 1_000_000
"""Parameters of one tensor of the modules that are swapped."""


def own_work() -> Iterator[Measurement]:
    """Yield the tick at size tiny, without its nets and its world."""
    settings = load_settings("conf=japan_street", "size=tiny")
    parts = build_parts(settings, ("x",))
    exchange = parts.open_exchange()
    try:
        actor = build.build_actor(
            settings, parts.acting, exchange, parts.curiosity, torch.device("cpu")
        )
        world = DummyWorld(parts.shape.frame_size)
        loop = Loop(world, actor, exchange.writer, RealClock(), settings.rate, lambda: None)
        nets = Stopwatch(time.perf_counter)
        for role, method in (("encoder", "forward"), ("policy", "forward"), ("dynamics", "step")):
            net = getattr(actor.modules, role).active
            setattr(net, method, nets.around("nets", getattr(net, method)))
        own, whole = [], []
        for _ in range(TICKS):
            began, before = time.perf_counter(), nets.seconds["nets"]
            loop.tick(loop.clock.now())
            whole.append(1e3 * (time.perf_counter() - began))
            own.append(whole[-1] - 1e3 * (nets.seconds["nets"] - before))
        yield at_most("a tick's own work p50", median(own), "ms", 1.5)
        yield measured("a whole tick p50 (no world)", median(whole), "ms")
        yield from commit(exchange, actor)
    finally:
        exchange.remove()


def commit(exchange: build.Exchange, actor: Any) -> Iterator[Measurement]:
    """Yield writing a row, committing a rollout, and reading it at the other end."""
    row = dict(
        actor.finish_step(np.zeros(1, np.float32), valid=True), index=0, valid=True, time=0.0
    )
    writer, reader = exchange.writer, RolloutReader(exchange.rollouts)
    while not writer.full:
        writer.write(row)
    writes, commits, reads = list[float](), list[float](), list[float]()
    for _ in range(10):
        commits.append(took(lambda: writer.commit(dict.fromkeys(AGENT_METRICS, 0.0))))
        reads.append(took(reader.read))
        while not writer.full:
            writes.append(took(lambda: writer.write(row)))
    yield measured("writing a row", median(writes), "ms")
    yield measured("committing a rollout", median(commits), "ms")
    yield measured("reading a rollout (trainer)", median(reads), "ms")


def took(job: Callable[[], object]) -> float:
    """Return how long a call took (ms)."""
    began = time.perf_counter()
    job()
    return 1e3 * (time.perf_counter() - began)


def swaps() -> Iterator[Measurement]:
    """Yield the swap of modules of 1, 10 and 100 million parameters, and the copy before it."""
    for millions in MILLIONS:
        with tempfile.TemporaryDirectory(prefix="pamiq-bench-") as folder:
            yield from _swap(Path(folder), millions)


def _swap(folder: Path, millions: int) -> Iterator[Measurement]:
    module = nn.ParameterList(torch.zeros(LAYER) for _ in range(millions))
    spec = WeightsSpec(folder / "weights", flat_size(module))
    create(spec)
    writer = WeightsWriter(spec, module)
    hot = DoubleBufferedModule[nn.Module](module, spec, torch.device("cpu"))
    chunks: list[float] = []
    swapped: list[float] = []
    for _ in range(5):
        writer.publish()
        hot.release_previous()
        while hot.version != writer.version:
            chunks.append(took(lambda: hot.copy_chunk(WEIGHT_CHUNK_BYTES)))
            swapped.append(took(hot.swap))
    name = f"{millions} M parameters"
    yield at_most(f"swap within the tick, {name}", max(swapped), "ms", 0.2)
    yield measured(f"one chunk of the copy before, {name}", median(chunks), "ms")


def tick_parts() -> Iterator[Measurement]:
    """Yield all."""
    torch.set_num_threads(1)
    yield from own_work()
    yield from swaps()
