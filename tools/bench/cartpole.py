"""Learning curves of PPO alone, on gymnasium's CartPole-v1.

    python -m tools.bench.cartpole --seeds 5            all four numbers observed
    python -m tools.bench.cartpole --seeds 5 --memory   position and angle only: the policy also
                                                        takes the state of dynamics trained with it
    python -m tools.bench.cartpole --json

A seed ends when the mean of its last 100 episodes reaches 475, or after 500,000 steps.
"""

from __future__ import annotations

import math
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
from tools.bench.limits import Measurement, at_least, bench_main, measured

SOLVED, GOOD = 475.0, 450.0


@dataclass(frozen=True)
class Task:
    """One of the two tasks, and how it is learned.

    Attributes:
        observed: indices of the observed numbers.
        state: (depth, dim) of the dynamics' state.
        streams: CartPoles at once.
        rows: steps in a rollout of each.
        policy: arguments of the policy's learner.
    """

    observed: tuple[int, ...]
    state: tuple[int, int]
    streams: int
    rows: int
    policy: dict[str, float]


PLAIN = Task(EVERYTHING, (1, 1), 8, 128, {"lr": 1e-3, "batch_size": 128, "epochs": 8})
# The state changes its meaning while the dynamics learn: smaller steps, from more experience.
MEMORY = Task(
    NO_VELOCITIES, (2, 64), 32, 64, {"lr": 7e-4, "batch_size": 256, "epochs": 6, "target_kl": 0.02}
)


class LearnerWorker:
    """A learner, its updater and its replay buffer."""

    def __init__(self, learner: Learner, replay: ReplayBuffer) -> None:
        self.learner, self.replay = learner, replay
        self.updater = Updater(learner, "cpu", "32-true")

    def train(self, rollouts: list[TensorDict]) -> None:
        """Make one round, after which the weights have a new version."""
        for batch in training_round(self.learner, self.replay, rollouts):
            self.updater.update(batch)
        self.updater.snapshot()
        self.learner.latest_version += 1


def make_policy(task: Task) -> EpisodicPPO:
    """Return the policy to be trained."""
    latent = (1, len(task.observed))
    # A pole needs no persistence: it starts uniform.
    start = {"keep_probability": 1 / CHOICES[0], "prior_coef": 0.0, "entropy_coef": 0.01}
    arguments = {**start, **task.policy}
    return EpisodicPPO(latent, task.state, CHOICES, dim=64, depth=2, mix_features=64, **arguments)  # type: ignore[arg-type]


def make_dynamics(task: Task) -> SioConvDynamics:
    """Return the dynamics to be trained; their sequences are short, as the first episodes are."""
    return SioConvDynamics(
        (1, len(task.observed)), task.state, CHOICES, heads=8, mix_features=32, dropout=0.0,
        lr=5e-4, burn_in=4, sequence_length=16, capacity=8 * task.streams * task.rows,
        batch_size=64, updates=12,
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """The result of one seed."""

    steps: int
    mean: float
    seconds: float


def learn(seed: int, memory: bool, limit: int) -> Outcome:
    """Train one seed."""
    began = time.perf_counter()
    torch.manual_seed(seed)
    task = MEMORY if memory else PLAIN
    policy = make_policy(task)
    dynamics = make_dynamics(task) if memory else None
    workers = [LearnerWorker(policy, StreamsReplay(policy.replay))]
    if dynamics is not None:
        workers.insert(0, LearnerWorker(dynamics, make_replay(dynamics.replay)))
    poles = CartPoles(task.streams, task.observed, task.state, seed)
    mean = 0.0
    while poles.steps + task.streams * task.rows <= limit and mean < SOLVED:
        acting = dynamics.acting_module if dynamics is not None else None
        rollouts = poles.rollout(task.rows, policy.acting_module, acting, policy.latest_version)
        for worker in workers:
            worker.train(rollouts)
        mean = fmean(poles.returns) if len(poles.returns) == EPISODES else 0.0
    return Outcome(poles.steps, mean, time.perf_counter() - began)


def measurements(seeds: int, memory: bool, steps: int) -> Iterator[Measurement]:
    """Yield each seed's measurements, then the limits over all."""
    torch.set_num_threads(1)
    means = []
    for seed in range(seeds):
        outcome = learn(seed, memory, steps)
        means.append(outcome.mean)
        yield measured(f"seed {seed}: steps", outcome.steps, "")
        yield measured(f"seed {seed}: mean of last {EPISODES}", outcome.mean, "")
        yield measured(f"seed {seed}: time", outcome.seconds, "s")
    goal = GOOD if memory else SOLVED
    required = math.ceil(0.8 * seeds)
    yield at_least(f"seeds with a mean of {goal:.0f}", sum(m >= goal for m in means), "", required)
    if not memory:
        yield at_least("lowest mean", min(means), "", GOOD)


if __name__ == "__main__":
    bench_main(
        __doc__,
        measurements,
        seeds=(5, "number of seeds"),
        memory=(False, "without the velocities"),
        steps=(500_000, "at most, in all streams"),
    )
