"""Which measure of novelty tells new states from known ones? Several of them, on a finished run.

    python -m tools.experiments.novelty runs/experiments/T1/count_oracle/seed_2/laboratory/*

The run's actions are repeated for their frames; a trained and an untrained encoder encode them; and
every measure rates each frame in turn, knowing only those before. Unlike in the run, the trained
encoder is the last one from the first frame on. A state is a cell of 1 m and a heading in eight
bins, n the ticks spent in it so far. Two numbers are printed of each measure, within the same 1,000
ticks: the mean of states visited 20 times or more over that of new ones, and the rank correlation
with 1 / sqrt(n).
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from pamiq_lightning.checkpoint.files import CheckpointError, newest_weights
from pamiq_lightning.curiosity.base import RewardInputs
from pamiq_lightning.curiosity.count_oracle import heading_bin
from pamiq_lightning.curiosity.slow_features import Reservoir
from pamiq_lightning.curiosity.slow_novelty import SlowNovelty
from pamiq_lightning.learners.roles import Encoder
from pamiq_lightning.nets.aux_heads import Novelty
from pamiq_lightning.nets.forward_dynamics import Prediction
from pamiq_lightning.offline.frozen import from_checkpoint, untrained
from pamiq_lightning.trainer.step_log import StepLogError
from pamiq_lightning.utils.console import print_failure, safe_stream
from pamiq_lightning.utils.usage_error import UsageError
from tools.cli import make_parser
from tools.experiments.film import RenderError, render_again
from tools.experiments.metrics import PERIOD, Run, correlation, ratio_within_periods, read_run
from tools.saved_run import read_settings

ROLLOUT = 128
"""Frames after which a measure that learns is trained."""
UPDATES, BATCH, LR = 10, 256, 5e-4
"""As in `laboratory.yaml` for RND: updates per rollout, their latents, learning rate."""
PROJECTED = 96
"""Random projections of a latent, in which neighbours are searched."""
NEIGHBOURS, RESERVOIR = 5, 2048
GAP = 50
"""The newest frames are near to any: 5 s of them are no neighbours."""
SMOOTHED = 10
"""Time constant of the running mean of latents, in ticks."""

Latents = Float[Tensor, "N P D"]
Features = Float[Tensor, "N F"]
Series = NDArray[np.float64]


def state_visits(run: Run) -> NDArray[np.int64]:
    """Return how often the state of every row had been visited: 1 for the first time."""
    counts = Counter[tuple[int, int]]()
    visits = np.zeros(len(run.rows), np.int64)
    headings = run.info["heading"].tolist()
    for row, (cell, heading) in enumerate(zip(run.cells.tolist(), headings, strict=True)):
        state = cell, heading_bin(heading)
        counts[state] += 1
        visits[row] = counts[state]
    return visits


@torch.no_grad()
def encode(encoder: Encoder, frames: NDArray[np.uint8]) -> Latents:
    """Return the latents of frames (N, 3, S, S)."""
    parts = np.array_split(frames, len(frames) // 100 + 1)
    return torch.cat([encoder.encode(torch.from_numpy(part)) for part in parts])


def normalised(latents: Latents) -> Latents:
    """Return every feature normalised by mean and deviation so far, clamped to 5 deviations."""
    count = torch.arange(1, len(latents) + 1)[:, None, None]
    mean = latents.double().cumsum(0) / count
    square = latents.double().square().cumsum(0) / count
    deviation = (square - mean.square()).clamp(min=1e-6).sqrt()
    return ((latents - mean) / deviation).clamp(-5, 5).float()


def distilled(latents: Latents, newest: int, lr: float) -> Series:
    """Return the error of random network distillation (RND), trained on the newest latents."""
    P, D = latents.shape[1:]
    net, errors = Novelty((P, D)), list[Tensor]()
    optimizer = torch.optim.AdamW(net.predictor.parameters(), lr)
    for begin in range(0, len(latents), ROLLOUT):
        end = min(begin + ROLLOUT, len(latents))
        with torch.no_grad():
            errors.append(net(latents[begin:end]))
        for _ in range(UPDATES):
            picked = torch.randint(max(0, end - newest), end, (BATCH,))
            optimizer.zero_grad()
            net(latents[picked]).mean().backward()
            torch.nn.utils.clip_grad_norm_(net.predictor.parameters(), 1.0)
            optimizer.step()
    return torch.cat(errors).double().numpy()


def projected(latents: Latents) -> Features:
    """Return random projections."""
    flat = latents.flatten(1)
    return flat @ torch.randn(flat.shape[1], PROJECTED) / math.sqrt(PROJECTED)


def smoothed(features: Features) -> Features:
    """Return the running mean over about a second."""
    mean, means = features[0], list[Tensor]()
    for row in features:
        mean = mean + (row - mean) / SMOOTHED
        means.append(mean)
    return torch.stack(means)


def neighbour_distance(features: Features) -> Series:
    """Return the mean squared distance to the nearest of a reservoir of earlier features."""
    reservoir, reward = Reservoir(RESERVOIR, features.shape[1], seed=0), np.zeros(len(features))
    for row, feature in enumerate(features):
        if len(reservoir.rows) >= NEIGHBOURS:
            distance = (reservoir.rows - feature).square().sum(1)
            reward[row] = float(distance.topk(NEIGHBOURS, largest=False).values.mean())
        if row >= GAP:
            reservoir.add(features[row - GAP])
    return reward


def slow_novelty(latents: Latents) -> Series:
    """Return the reward of `SlowNovelty`."""
    novelty, nothing = SlowNovelty(), Prediction(*[torch.zeros(1)] * 4)
    return np.array([novelty.reward(RewardInputs(z, z, nothing)) for z in latents])


def measures(latents: Latents) -> Iterator[tuple[str, Series]]:
    """Yield the name of every measure and its value for each frame."""
    yield "RND, newest 1,024, as in the agent", distilled(latents, 1024, LR)
    yield "RND, inputs normalised", distilled(normalised(latents), 1024, LR)
    whole = len(latents)
    yield "RND, normalised, whole run, 4 x lr", distilled(normalised(latents), whole, 4 * LR)
    features = projected(latents)
    yield "distance to neighbours", neighbour_distance(features)
    yield "neighbours, latents smoothed 1 s", neighbour_distance(smoothed(features))
    yield "SlowNovelty", slow_novelty(latents)


def rank_correlation(a: Series, b: Series) -> float:
    """Return the mean rank correlation of two series within periods, without the first one."""
    found = []
    for begin in range(PERIOD, len(a) - PERIOD + 1, PERIOD):
        first, second = (ranks(x[begin : begin + PERIOD]) for x in (a, b))
        found.append(correlation(first, second))
    return float(np.nanmean(found))


def ranks(values: Series) -> Series:
    """Return the rank of each value; equal values share one."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: Series = (counts.cumsum() - (counts - 1) / 2)[which]
    return middle


def table_of(folder: Path, encoder: Path | None) -> Table:
    """Return the table for a run.

    Raises:
        StepLogError: the run has no step log.
        CheckpointError: there is no encoder, or it is damaged.
        RenderError: its world does not repeat it.
    """
    run, weights = read_run(folder), encoder or newest_weights(folder, "encoder")
    if weights is None:
        raise CheckpointError(f"{folder} has no encoder: its run must have ended")
    trained = from_checkpoint(weights, Encoder)
    torch.manual_seed(0)
    encoders = {"trained": trained, "untrained": untrained(trained)}
    rows = range(len(run.rows))
    rendered = render_again(run, read_settings(folder)["seed"], rows, trained.frame_size)
    frames = np.stack([rendered[row] for row in rows])
    visits = state_visits(run)
    table = Table("latents of", "measure", "known / new", "rank correlation")
    ideal = 1 / np.sqrt(visits)
    rated = [("-", "1 / sqrt(n), the oracle", ideal)]
    rated.append(("-", "the run's own reward", np.append(0.0, np.nan_to_num(run.gained[:-1]))))
    for name, model in encoders.items():
        latents = encode(model, frames)
        rated += [(name, measure, reward) for measure, reward in measures(latents)]
    for name, measure, reward in rated:
        ratio, ranks = ratio_within_periods(reward, visits), rank_correlation(reward, ideal)
        table.add_row(name, measure, f"{ratio:.2f}", f"{ranks:.2f}")
    return table


def main() -> None:
    """Print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("run", type=Path, help="run folder of an experiment")
    parser.add_argument("--encoder", type=Path, help="a checkpoint; default: the run's own")
    options = parser.parse_args()
    try:
        Console(file=safe_stream()).print(table_of(options.run, options.encoder))
    except (StepLogError, CheckpointError, RenderError, UsageError) as error:
        sys.exit(print_failure(error, 2))


if __name__ == "__main__":
    main()
