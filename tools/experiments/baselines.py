"""Coverage of a scene by the random policy: the baseline of every reward.

    python -m tools.experiments.baselines --seeds 5 --ticks 20000
    python -m tools.experiments.baselines --json

Each action category is drawn uniformly at every tick. Prints the share of the reachable 1 m cells
that were entered, for every seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

import numpy as np

from agent.actions import CHOICES, inputs
from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ
from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.simulation import Simulation
from pamiq_lightning.utils.instantiate import build
from tools.bench.limits import Measurement, bench_main, measured
from tools.experiments.regions import TINY


def random_walk(simulation: Simulation, ticks: int, rate: int, seed: int) -> set[int]:
    """Run the random policy; return the numbers of the cells entered."""
    rng = np.random.default_rng(seed)
    body, cells = simulation.scene_state.body, simulation.scene_state.cells
    entered = set()
    for action in rng.integers(0, CHOICES, (ticks, len(CHOICES))):
        for address, value in inputs(action).items():
            simulation.set_input(address, value)
        for _ in range(PHYSICS_HZ // rate):
            simulation.step()
        entered.add(cells.number(body.x, body.y))
    return entered


def measurements(scene: str, seeds: int, ticks: int, rate: int) -> Iterator[Measurement]:
    """Yield the cells that each run entered, and their share of the reachable ones."""
    built = build(Scene, {"class_path": scene}, "scene")
    reachable = ReachabilityMap(Simulation(built, TINY, 0).scene_state).cells()
    yield measured("reachable cells", len(reachable), "")
    shares = []
    for seed in range(seeds):
        entered = random_walk(Simulation(built, TINY, seed), ticks, rate, seed) & reachable
        shares.append(100 * len(entered) / len(reachable))
        yield measured(f"seed {seed}: cells entered", len(entered), "")
        yield measured(f"seed {seed}: share", shares[-1], "%")
    for name, value in (("mean", fmean(shares)), ("lowest", min(shares)), ("highest", max(shares))):
        yield measured(f"{name} share", value, "%")


if __name__ == "__main__":
    bench_main(
        __doc__,
        measurements,
        scene=("agent.worlds.embedded.scenes.street.Street", "class of the scene"),
        seeds=(5, "number of runs"),
        ticks=(20_000, "length of a run"),
        rate=(10, "ticks per second"),
    )
