"""Settings of the trainer and of one learner. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pamiq_lightning.utils.ranges import Count, Factor, Range, Seconds


@dataclass
class TrainerSettings:
    """How the background trainer runs.

    Args:
        threads: torch threads of the trainer; default: all cores but one, 1 under lockstep.
        nice: niceness of the trainer on Linux and macOS, 0 to 19.
        precision: number format of the updates; weights and their averages stay float32.
        preview_every: rollouts between two saved previews (observed, reconstructed, predicted).
        save_every: rollouts between two checkpoints.
        keep_last: checkpoints kept, the newest ones.
        keep_every: checkpoints whose number this divides are kept for ever; default: none. Their
            replay rows are overwritten all the same.
        replay_when_idle: train from replay while no rollout is unread; never under lockstep.
        replay_ratio: highest number of updates from replay for each one in a training round.
        heartbeat_timeout_s: seconds without a heartbeat after which the trainer is restarted.
        aim: log to Aim too.
        step_log: log the small fields of every row (all but frame, latent and state) in the run's
            folder; under lockstep none is missing.
    """

    threads: Annotated[int, Range(1, 1024)] | None = None
    nice: Annotated[int, Range(0, 19)] = 19
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    preview_every: Count = 5
    save_every: Count = 20
    keep_last: Count = 3
    keep_every: Count | None = None
    replay_when_idle: bool = True
    replay_ratio: Factor = 3.0
    heartbeat_timeout_s: Seconds = 120.0
    aim: bool = True
    step_log: bool = False


@dataclass
class LearnerSettings:
    """One learner.

    Args:
        model: the learner's class_path and its init_args.
        init_weights: file of its initial weights: a Lightning checkpoint, or the .safetensors of a
            learner in a run's checkpoint.
        freeze: keep its weights; it acts but does not learn.
        round_limit_s: longest training round in seconds; default: no limit.
    """

    model: dict[str, Any] = field(default_factory=dict)
    init_weights: str | None = None
    freeze: bool = False
    round_limit_s: Seconds | None = None
