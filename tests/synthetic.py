"""Synthetic experience and small learners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from pamiq_lightning.recording.schema import DatasetSpec
from pamiq_lightning.recording.writer import RecordingWriter
from pamiq_lightning.step import NO_ACTION, StepShape

SHAPE = StepShape(
    frame_size=24, latent=(4, 8), state=(2, 16), action_choices=(3, 3, 3, 2, 2), info_names=("x",)
)
DATASET_SPEC = DatasetSpec(
    fps=10.0,
    frame_size=SHAPE.frame_size,
    action_choices=SHAPE.action_choices,
    action_names=("vertical", "horizontal", "look", "jump", "run"),
    info_names=SHAPE.info_names,
    rollout_length=16,
    lossless=True,
)

IJEPA = {
    "class_path": "pamiq_lightning.learners.ijepa.IJEPA",
    "init_args": {
        "latent": [4, 8],
        "image_size": 24,
        "patch_size": 4,
        "width": 16,
        "depth": 2,
        "heads": 2,
        "predictor_width": 8,
        "predictor_depth": 1,
        "predictor_heads": 1,
        "pool": 3,
        "capacity": 200,
        "batch_size": 4,
        "updates": 3,
    },
}
DYNAMICS = {
    "class_path": "pamiq_lightning.learners.dynamics.SioConvDynamics",
    "init_args": {
        "latent": [4, 8],
        "state": [2, 16],
        "heads": 4,
        "mix_features": 8,
        "burn_in": 2,
        "sequence_length": 8,
        "capacity": 100,
        "batch_size": 3,
        "updates": 2,
        "lr": 1e-3,
    },
}
PPO = {
    "class_path": "pamiq_lightning.learners.ppo.PPO",
    "init_args": {
        "latent": [4, 8],
        "state": [2, 16],
        "dim": 32,
        "depth": 1,
        "mix_features": 8,
        "batch_size": 8,
    },
}
DECODER = {
    "class_path": "pamiq_lightning.learners.decoder.ConvDecoder",
    "init_args": {
        "latent": [4, 8],
        "image_size": 16,
        "channels": 8,
        "capacity": 50,
        "batch_size": 4,
        "updates": 2,
    },
}
LEARNERS = {"encoder": IJEPA, "dynamics": DYNAMICS, "policy": PPO, "decoder": DECODER}


def arrays(rows: int, start: int = 0, version: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    """Return valid random steps as numpy arrays; the very first is_first."""
    random = np.random.default_rng([seed, start])
    steps: dict[str, Any] = {}
    for key, field in SHAPE.fields().items():
        steps[key] = random.random((rows, *field.shape)).astype(field.dtype)
    steps["frame"] = random.integers(0, 256, (rows, *SHAPE.fields()["frame"].shape), np.uint8)
    steps["index"] = np.arange(start, start + rows)
    steps["time"] = steps["index"].astype(np.float64)
    steps["is_first"] = steps["index"] == 0
    actions = np.array([_action(tick, seed) for tick in range(start - 1, start + rows)])
    steps["last_action"], steps["action"] = actions[:-1], actions[1:]
    steps["last_action"][steps["is_first"]] = NO_ACTION
    steps["log_prob"] = keep_log_prob(steps["action"], steps["last_action"])
    steps["valid"] = np.ones(rows, np.bool_)
    steps["versions"] = np.full((rows, 3), version)
    return steps


def _action(tick: int, seed: int) -> np.ndarray:
    """Return the random action of a tick, the same in all rollouts."""
    return np.random.default_rng([seed, tick + 1]).integers(0, SHAPE.action_choices)


def keep_log_prob(action: np.ndarray, last_action: np.ndarray, keep: float = 0.9) -> np.ndarray:
    """Return the log-probability (N,) of actions (N, A) by an untrained policy."""
    choices = np.array(SHAPE.action_choices)
    each = np.where(action == last_action, keep, (1 - keep) / (choices - 1))
    return np.log(np.where(last_action < 0, 1 / choices, each)).sum(axis=1).astype(np.float32)


def rollout(rows: int, start: int = 0, version: int = 1, seed: int = 0) -> TensorDict:
    """Return valid random steps as a TensorDict [rows]."""
    made = arrays(rows, start, version, seed)
    return TensorDict({key: torch.from_numpy(a) for key, a in made.items()}, [rows])


def record(
    folder: Path, rollouts: Iterable[Mapping[str, Any]], spec: DatasetSpec = DATASET_SPEC
) -> Path:
    """Write rollouts as a recording; return its folder."""
    writer = RecordingWriter(folder, spec, crf=20)
    for steps in rollouts:
        writer.write(steps)
    writer.close()
    return folder
