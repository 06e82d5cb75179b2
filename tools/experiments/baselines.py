"""Coverage of the worlds by gaits that learn nothing: the baseline of every reward.

    python -m tools.experiments.baselines --seeds 8
    python -m tools.experiments.baselines --worlds food_room --gaits sticky --json

Prints the share of the reachable 1 m cells that were entered after some numbers of ticks: the mean,
the lowest and the highest of the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

import torch

from agent.actions import CHOICES
from agent.gaits import GAITS, make_gait
from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ
from agent.worlds.embedded.lockstep import apply_action
from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.simulation import Simulation
from pamiq_lightning.nets.actor_critic import ActionDistribution
from pamiq_lightning.step import NO_ACTION
from pamiq_lightning.utils.instantiate import build
from pamiq_lightning.utils.usage_error import check_names
from tools.bench.limits import Measurement, bench_main, measured
from tools.experiments.regions import TINY

SCENES = "agent.worlds.embedded.scenes"
WORLDS: dict[str, dict[str, Any]] = {
    "street": {"class_path": f"{SCENES}.street.Street"},
    "food_room": {
        "class_path": f"{SCENES}.food_room.FoodRoom",
        "init_args": {"images_per_second": 0.0, "width": 20, "length": 24},
    },
}
"""The still worlds of the experiments on coverage."""
MARKS = (5_000, 10_000, 20_000)
"""Ticks after which coverage is taken."""


def gait_coverage(simulation: Simulation, name: str, seed: int, rate: int = 10) -> Iterator[float]:
    """Walk by a gait; yield the share of the reachable cells entered, tick by tick."""
    gait, generator = make_gait(name), torch.Generator().manual_seed(seed)
    body, cells = simulation.scene_state.body, simulation.scene_state.cells
    reachable, entered = ReachabilityMap(simulation.scene_state).cells(), set[int]()
    action = torch.full((1, len(CHOICES)), NO_ACTION)
    while True:
        action = ActionDistribution(gait(action), CHOICES).sample(generator)
        apply_action(simulation, action[0].numpy())
        for _ in range(PHYSICS_HZ // rate):
            simulation.step()
        entered.add(cells.number(body.x, body.y))
        yield len(entered & reachable) / len(reachable)


def coverage_at(world: str, gait: str, seed: int, marks: Sequence[int]) -> list[float]:
    """Return the coverage of a world by a gait after some numbers of ticks, in rising order."""
    simulation = Simulation(build(Scene, WORLDS[world], "scene"), TINY, seed)
    curve = gait_coverage(simulation, gait, seed)
    shares = {tick: next(curve) for tick in range(1, marks[-1] + 1)}
    return [shares[mark] for mark in marks]


def measurements(
    worlds: list[str], gaits: list[str], seeds: int, ticks: int
) -> Iterator[Measurement]:
    """Yield the coverage of each world by each gait, over the seeds."""
    check_names("--worlds ", worlds, WORLDS)
    check_names("--gaits ", gaits, GAITS)
    marks = [*(mark for mark in MARKS if mark < ticks), ticks]
    for world in worlds:
        for gait in gaits:
            runs = [coverage_at(world, gait, seed, marks) for seed in range(seeds)]
            for mark, shares in zip(marks, zip(*runs, strict=True), strict=True):
                name = f"{world} {gait} {mark} ticks:"
                yield measured(f"{name} mean", fmean(shares), "")
                yield measured(f"{name} lowest", min(shares), "")
                yield measured(f"{name} highest", max(shares), "")


if __name__ == "__main__":
    torch.set_num_threads(1)
    bench_main(
        __doc__,
        measurements,
        worlds=(list(WORLDS), f"worlds: {', '.join(WORLDS)}"),
        gaits=(list(GAITS), f"gaits: {', '.join(GAITS)}"),
        seeds=(5, "number of runs"),
        ticks=(20_000, "length of a run"),
    )
