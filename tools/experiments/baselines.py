"""Coverage of a scene by the random policy: the baseline of every reward.

    python -m tools.experiments.baselines --seeds 5 --ticks 20000
    python -m tools.experiments.baselines --json

Each action category is drawn uniformly at every tick. Prints the share of the reachable 1 m cells
that were entered, for every seed.
"""

from __future__ import annotations

import json
import statistics

import numpy as np

from agent.actions import CHOICES, inputs
from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ
from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.simulation import Simulation
from pamiq_lightning.utils.instantiate import build
from tools.cli import make_parser
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


def main() -> None:
    """Print the table."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--scene", default="agent.worlds.embedded.scenes.street.Street", help="class of the scene"
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of runs")
    parser.add_argument("--ticks", type=int, default=20_000, help="length of a run")
    parser.add_argument("--rate", type=int, default=10, help="ticks per second")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    scene = build(Scene, {"class_path": options.scene}, "scene")
    reachable = ReachabilityMap(Simulation(scene, TINY, 0).scene_state).cells()
    shares = []
    for seed in range(options.seeds):
        entered = random_walk(Simulation(scene, TINY, seed), options.ticks, options.rate, seed)
        count = len(entered & reachable)
        shares.append(count / len(reachable))
        if not options.json:
            print(f"seed {seed}: {count:5d} of {len(reachable)} cells, {shares[-1]:.1%}")
    if options.json:
        print(json.dumps({"scene": options.scene, "cells": len(reachable), "coverage": shares}))
    else:
        print(f"mean {statistics.mean(shares):.1%}, {min(shares):.1%} to {max(shares):.1%}")


if __name__ == "__main__":
    main()
