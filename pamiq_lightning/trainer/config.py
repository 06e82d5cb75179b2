"""What the agent hands the trainer process when it starts."""

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
    """All that the trainer process needs: picklable.

    Attributes:
        learners: by role, in the order they are trained in.
        weights: by role, of the learners that act.
        lockstep: the agent waits for every round, so rounds must not depend on time.
        settings: the run's resolved settings, to be logged.
        checkpoint: the run goes on from this one.
        resume: another trainer had this job before and died: go on where it was.
        agent_core: the core that the agent has to itself.
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
