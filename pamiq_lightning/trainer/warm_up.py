"""Makes a learner's first update before the agent acts: first calls are many times slower."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import torch
from tensordict import TensorDict

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.step import NO_ACTION, StepShape
from pamiq_lightning.trainer.update import Updater


def warm_up(
    learner: Learner, shape: StepShape, device: str, precision: str, compiled: bool = False
) -> None:
    """Make one update on random steps.

    Args:
        learner: a throw-away copy of the real one.
        shape: the layout of the steps.
        device: where the real one will train.
        precision: the real one's.
        compiled: compile it; the compiled code serves the real one too.
    """
    rows = max(2 * learner.replay.length, 64)
    updater = Updater(learner, device, precision, compiled)
    replay = make_replay(replace(learner.replay, capacity=rows))
    batches = training_round(learner, replay, [noise(shape, rows)])
    for batch in itertools.islice(batches, 1):
        updater.update(batch)


def noise(shape: StepShape, rows: int) -> TensorDict:
    """Return a rollout of random steps, all valid."""
    steps = TensorDict({}, [rows])
    for key, field in shape.fields().items():
        dtype = torch.from_numpy(np.zeros(0, field.dtype)).dtype
        steps[key] = torch.rand(rows, *field.shape).mul(255 if key == "frame" else 1).to(dtype)
    steps["index"] = torch.arange(rows)
    # A uniform policy's, as an untrained one is without a last action: a policy drops actions whose
    # probability has changed much.
    steps["last_action"][:] = NO_ACTION
    steps["log_prob"][:] = -sum(math.log(choices) for choices in shape.action_choices)
    steps["valid"][:], steps["is_first"][:] = True, False
    return steps
