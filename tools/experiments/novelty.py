"""What tells a new place from a known one? Measures of novelty, on a life that was lived.

    python -m tools.experiments.novelty runs/experiments/T1/count_oracle/seed_2/laboratory/*

The run's actions are lived again for their frames; a trained encoder and an untrained one look at
them; and every measure says of each frame in turn how new it is, remembering only those before.
Unlike in a life the trained encoder is the last one from the first frame on. A state is a cell of
1 m and a heading in eight bins, n the ticks spent in it so far. Of each measure two figures within
the same 1,000 ticks: the mean of states met 20 times or more by that of new ones, and the rank
correlation with 1 / sqrt(n).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import yaml
from jaxtyping import Float
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from agent.run_dir import SETTINGS
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
from tools.experiments.film import ReplayError, replay
from tools.experiments.metrics import PERIOD, Run, correlation, ratio_of_one_time, read_run

WINDOW = 128
"""Frames after which what learns is trained."""
UPDATES, BATCH, LR = 10, 256, 5e-4
"""As the laboratory trains RND: updates a window, latents of each, learning rate."""
PROJECTED = 96
"""Random projections of a latent, among which neighbours are looked for."""
NEIGHBOURS, MEMORY = 5, 2048
GAP = 50
"""The newest frames, which are near to any: 5 s of them are no neighbours."""
SMOOTHED = 10
"""Time constant of the running mean of latents, in ticks."""

Latents = Float[Tensor, "N P D"]
Features = Float[Tensor, "N F"]
Series = NDArray[np.float64]


def states_met(run: Run) -> NDArray[np.int64]:
    """Return how often the state of every row had been met by then, 1 for the first time."""
    counts = Counter[tuple[int, int]]()
    met = np.zeros(len(run.rows), np.int64)
    headings = run.info["heading"].tolist()
    for row, (cell, heading) in enumerate(zip(run.cells.tolist(), headings, strict=True)):
        state = cell, heading_bin(heading)
        counts[state] += 1
        met[row] = counts[state]
    return met


@torch.no_grad()
def look(encoder: Encoder, frames: NDArray[np.uint8]) -> Latents:
    """Return the latents of frames (N, 3, S, S)."""
    parts = np.array_split(frames, len(frames) // 100 + 1)
    return torch.cat([encoder.encode(torch.from_numpy(part)) for part in parts])


def normalised(latents: Latents) -> Latents:
    """Return every feature by the mean and deviation of all so far, at most 5 of them."""
    count = torch.arange(1, len(latents) + 1)[:, None, None]
    mean = latents.double().cumsum(0) / count
    square = latents.double().square().cumsum(0) / count
    deviation = (square - mean.square()).clamp(min=1e-6).sqrt()
    return ((latents - mean) / deviation).clamp(-5, 5).float()


def distilled(latents: Latents, newest: int, lr: float) -> Series:
    """Return the error of random network distillation, trained on the newest latents."""
    P, D = latents.shape[1:]
    net, errors = Novelty((P, D)), list[Tensor]()
    optimizer = torch.optim.AdamW(net.predictor.parameters(), lr)
    for begin in range(0, len(latents), WINDOW):
        end = min(begin + WINDOW, len(latents))
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


def far_from_neighbours(features: Features) -> Series:
    """Return the mean squared distance to the nearest of what is remembered from before."""
    memory, reward = Reservoir(MEMORY, features.shape[1], seed=0), np.zeros(len(features))
    for row, feature in enumerate(features):
        if len(memory.rows) >= NEIGHBOURS:
            distance = (memory.rows - feature).square().sum(1)
            reward[row] = float(distance.topk(NEIGHBOURS, largest=False).values.mean())
        if row >= GAP:
            memory.add(features[row - GAP])
    return reward


def far_in_slow_features(latents: Latents) -> Series:
    """Return what `SlowNovelty` says."""
    novelty, nothing = SlowNovelty(), Prediction(*[torch.zeros(1)] * 4)
    return np.array([novelty.reward(RewardInputs(z, z, nothing)) for z in latents])


def measures(latents: Latents) -> Iterator[tuple[str, Series]]:
    """Yield every measure's name and what it says of each frame."""
    yield "RND, newest 1,024, as the agent's", distilled(latents, 1024, LR)
    yield "RND, inputs normalised", distilled(normalised(latents), 1024, LR)
    whole = len(latents)
    yield "RND, normalised, whole life, 4 x lr", distilled(normalised(latents), whole, 4 * LR)
    features = projected(latents)
    yield "distance to neighbours", far_from_neighbours(features)
    yield "neighbours, latents smoothed 1 s", far_from_neighbours(smoothed(features))
    yield "SlowNovelty", far_in_slow_features(latents)


def rank_correlation(a: Series, b: Series) -> float:
    """Return the mean over whole periods of the rank correlation of two series; not the first."""
    found = []
    for begin in range(PERIOD, len(a) - PERIOD + 1, PERIOD):
        first, second = (ranks(x[begin : begin + PERIOD]) for x in (a, b))
        found.append(correlation(first, second))
    return float(np.nanmean(found))


def ranks(values: Series) -> Series:
    """Return each value's rank; equal ones share theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: Series = (counts.cumsum() - (counts - 1) / 2)[which]
    return middle


def table_of(folder: Path, encoder: Path | None) -> Table:
    """Return the table of a run.

    Raises:
        StepLogError: it is no run of an experiment.
        CheckpointError: there is no encoder, or it is damaged.
        ReplayError: its world is not the same any more.
    """
    run, weights = read_run(folder), encoder or newest_weights(folder, "encoder")
    if weights is None:
        raise CheckpointError(f"{folder} has no encoder: its run must have ended")
    settings = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
    trained = from_checkpoint(weights, Encoder)
    torch.manual_seed(0)
    encoders = {"trained": trained, "untrained": untrained(trained)}
    pictures = replay(run, settings["seed"], range(len(run.rows)), trained.frame_size)
    frames = np.stack([pictures[row] for row in range(len(run.rows))])
    met = states_met(run)
    table = Table("latents of", "measure", "known / new", "rank correlation")
    ideal = 1 / np.sqrt(met)
    said = [("-", "1 / sqrt(n), the oracle", ideal)]
    said.append(("-", "the run's own reward", np.append(0.0, np.nan_to_num(run.gained[:-1]))))
    for name, model in encoders.items():
        latents = look(model, frames)
        said += [(name, measure, reward) for measure, reward in measures(latents)]
    for name, measure, reward in said:
        ratio, ranks = ratio_of_one_time(reward, met), rank_correlation(reward, ideal)
        table.add_row(name, measure, f"{ratio:.2f}", f"{ranks:.2f}")
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run folder of an experiment")
    parser.add_argument("--encoder", type=Path, help="a checkpoint; default: the run's own")
    options = parser.parse_args()
    try:
        Console().print(table_of(options.run, options.encoder))
    except (StepLogError, CheckpointError, ReplayError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
