"""Learning curves of the policy's learner alone, on gymnasium's CartPole-v1.

    python -m tools.bench.cartpole --seeds 5          four numbers seen, no memory
    python -m tools.bench.cartpole --seeds 5 --memory position and angle only: the policy also sees
                                                    the state of dynamics trained beside it
    python -m tools.bench.cartpole --json  one line a figure: name, value, unit, limit, ok

A seed ends when the mean of its last 100 episodes reaches 475, or after 500,000 steps.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

import torch
from tensordict import TensorDict

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.replay.base import ReplayBuffer, training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.trainer.update import Updater
from tools.bench.cartpole_streams import (
    CHOICES,
    EPISODES,
    EVERYTHING,
    NO_VELOCITIES,
    CartPoles,
    EpisodicPPO,
    StreamsReplay,
)
from tools.bench.limits import Measurement, at_least, measured, print_measurements

SOLVED, GOOD = 475.0, 450.0


@dataclass(frozen=True)
class Way:
    """How one of the two tasks is learned.

    Attributes:
        seen: which numbers of an observation are seen.
        state: (depth, dim) of the dynamics' state.
        streams: CartPoles at once.
        rows: steps of a window of each.
        policy: arguments of the policy's learner.
    """

    seen: tuple[int, ...]
    state: tuple[int, int]
    streams: int
    rows: int
    policy: dict[str, float]


PLAIN = Way(EVERYTHING, (1, 1), 8, 128, {"lr": 1e-3, "batch_size": 128, "epochs": 8})
# The state means something else while the dynamics learn, so smaller steps, of more experience.
MEMORY = Way(
    NO_VELOCITIES,
    (2, 64),
    32,
    64,
    {"lr": 7e-4, "batch_size": 256, "epochs": 6, "target_kl": 0.02},
)


class LearnerWorker:
    """A learner, what drives it, and what it remembers."""

    def __init__(self, learner: Learner, replay: ReplayBuffer) -> None:
        self.learner, self.replay = learner, replay
        self.updater = Updater(learner, "cpu", "32-true")

    def train(self, rollouts: list[TensorDict]) -> None:
        """Make one round; from then on the weights count as a version newer."""
        for batch in training_round(self.learner, self.replay, rollouts):
            self.updater.update(batch)
        self.updater.snapshot()
        self.learner.latest_version += 1


def make_policy(way: Way) -> EpisodicPPO:
    """Return the policy to be trained."""
    latent = (1, len(way.seen))
    return EpisodicPPO(latent, way.state, CHOICES, dim=64, depth=2, **way.policy)  # type: ignore[arg-type]


def make_dynamics(way: Way) -> SioConvDynamics:
    """Return the dynamics to be trained; their slices are short, for so are the first episodes."""
    return SioConvDynamics(
        (1, len(way.seen)), way.state, CHOICES, heads=8, mix_features=32, dropout=0.0, lr=5e-4,
        burn_in=4, slice_length=16, capacity=8 * way.streams * way.rows, batch_size=64, updates=12,
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of one seed."""

    steps: int
    mean: float
    seconds: float


def learn(seed: int, memory: bool, limit: int) -> Outcome:
    """Let one seed live and learn."""
    began = time.perf_counter()
    torch.manual_seed(seed)
    way = MEMORY if memory else PLAIN
    policy = make_policy(way)
    dynamics = make_dynamics(way) if memory else None
    workers = [LearnerWorker(policy, StreamsReplay(policy.replay))]
    if dynamics is not None:
        workers.insert(0, LearnerWorker(dynamics, make_replay(dynamics.replay)))
    poles = CartPoles(way.streams, way.seen, way.state, seed)
    mean = 0.0
    while poles.steps + way.streams * way.rows <= limit and mean < SOLVED:
        acting = dynamics.acting_module if dynamics is not None else None
        rollouts = poles.live(way.rows, policy.acting_module, acting, policy.latest_version)
        for worker in workers:
            worker.train(rollouts)
        mean = fmean(poles.returns) if len(poles.returns) == EPISODES else 0.0
    return Outcome(poles.steps, mean, time.perf_counter() - began)


def measurements(seeds: int, memory: bool, limit: int) -> Iterator[Measurement]:
    """Yield each seed's figures, then what all must keep."""
    means = []
    for seed in range(seeds):
        outcome = learn(seed, memory, limit)
        means.append(outcome.mean)
        yield measured(f"seed {seed}: steps", outcome.steps, "")
        yield measured(f"seed {seed}: mean of last {EPISODES}", outcome.mean, "")
        yield measured(f"seed {seed}: time", outcome.seconds, "s")
    goal = GOOD if memory else SOLVED
    wanted = math.ceil(0.8 * seeds)
    yield at_least(f"seeds with a mean of {goal:.0f}", sum(m >= goal for m in means), "", wanted)
    if not memory:
        yield at_least("lowest mean", min(means), "", GOOD)


def main() -> None:
    """Print every figure; exit with 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="without the velocities")
    parser.add_argument("--steps", type=int, default=500_000, help="at most, in all streams")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = measurements(options.seeds, options.memory, options.steps)
    sys.exit(not print_measurements(lines, options.json))


if __name__ == "__main__":
    main()
