"""What the agent sends the trainer process at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pamiq_lightning.exchange.rollouts import RolloutsSpec
from pamiq_lightning.exchange.status_board import StatusBoardSpec
from pamiq_lightning.exchange.weights import WeightsSpec
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings


@dataclass(frozen=True)
class TrainerConfig:
    """Everything the trainer process needs: picklable.

    Attributes:
        learners: by role, in the order of training.
        weights: by role, of the learners with an acting module.
        lockstep: the agent waits for every round, so rounds must not depend on time.
        settings: the run's resolved settings, to be logged.
        checkpoint: resume from this checkpoint.
        resume: replace a trainer of this run that died.
        agent_core: the core reserved for the agent.
        compile: compile the nets.
    """

    trainer: TrainerSettings
    learners: dict[str, LearnerSettings]
    rollouts: RolloutsSpec
    weights: dict[str, WeightsSpec]
    board: StatusBoardSpec
    run_folder: Path
    device: str
    seed: int
    lockstep: bool
    settings: dict[str, Any]
    checkpoint: Path | None = None
    resume: bool = False
    agent_core: int | None = None
    compile: bool = False
