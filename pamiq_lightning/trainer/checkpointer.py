"""Saves checkpoints at the set interval, prunes old ones, and loads one into the workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch

from pamiq_lightning.checkpoint.files import WEIGHTS, fit_weights, save, value_bytes
from pamiq_lightning.checkpoint.rng_state import load_rng_state_dict, rng_state_dict
from pamiq_lightning.checkpoint.snapshot import (
    AGENT,
    TRAINER,
    Checkpoint,
    check_roles,
    learner_files,
    misfit,
    pack_rollouts,
    unpack_rollouts,
)
from pamiq_lightning.checkpoint.store import SETTINGS, checkpoints_folder, prune, write_checkpoint
from pamiq_lightning.exchange.rollouts import Rollout, RolloutReader
from pamiq_lightning.trainer.settings import TrainerSettings
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.json_text import json_text
from pamiq_lightning.utils.outage import Outage


class Checkpointer:
    """Saves the state of all workers every `save_every` rollouts.

    Args:
        run_folder: of the run.
        workers: the learners with all their state.
        reader: where the rollouts come from.
        trainer: how often to save, and what to keep.
        settings: of the run, stored in each checkpoint.
        exact: also save the weights published before the latest, so that a lockstep run resumes
            exactly.
        notify: takes messages for the person.
    """

    def __init__(
        self,
        run_folder: Path,
        workers: Sequence[LearnerWorker],
        reader: RolloutReader,
        trainer: TrainerSettings,
        settings: Mapping[str, Any],
        exact: bool,
        notify: Callable[[str], object] = safe_print,
    ) -> None:
        self._run_folder, self._workers, self._reader = run_folder, workers, reader
        self._trainer, self._settings, self._exact = trainer, settings, exact
        self._agent_state: bytes | None = None
        # The first after one rollout: an encoder's early updates are not all in its acting module.
        self._next = reader.cursor + 1
        self._notify = notify
        self._outage = Outage(notify, "checkpoints are saved again")

    def __call__(self, rollout: Rollout) -> None:
        """Save if it is time; a failed save is tried again at the next rollout."""
        if rollout.number + 1 >= self._next and self.try_to_save():
            self._next = rollout.number + 1 + self._trainer.save_every

    def try_to_save(self) -> bool:
        """Save; on a disk error report it, once a minute, and return False."""
        try:
            self.save()
        except OSError as error:
            self._outage.failed(
                f"no checkpoint can be saved ({error.strerror or error}): agent and trainer "
                "continue, and every rollout saving is tried again"
            )
            return False
        self._outage.succeeded()
        return True

    def save(self) -> Path:
        """Write a checkpoint, remove those that are not kept, and return its folder.

        Raises:
            OSError: the disk refuses; earlier checkpoints are still whole.
        """
        began = time.monotonic()
        for worker in self._workers:
            worker.rollback_if_nonfinite()
            worker.replay.flush()
        folder = write_checkpoint(self._run_folder, self._files(), self._manifest())
        prune(self._run_folder, self._trainer.keep_last, self._trainer.keep_every)
        safe_print(f"saved {folder.name} in {time.monotonic() - began:.3f} s")
        return folder

    def save_for_lightning(self) -> None:
        """Write each learner as a Lightning checkpoint beside the run's checkpoints.

        Raises:
            OSError: the disk refuses.
        """
        for worker in self._workers:
            path = checkpoints_folder(self._run_folder) / f"{worker.role}.ckpt"
            save(worker.learner, worker.updater.optimizer, path)

    def _files(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each file of a checkpoint."""
        for worker in self._workers:
            previous = worker.writer.previous if worker.writer and self._exact else None
            yield from learner_files(worker.role, worker.learner, worker.state_dict(), previous)
        yield TRAINER, value_bytes(self._trainer_state())
        agent_state = self._reader.agent_state or self._agent_state
        if agent_state:
            yield AGENT, agent_state
        yield SETTINGS, json_text(self._settings, indent=1).encode()

    def _manifest(self) -> dict[str, Any]:
        return {
            "roles": [worker.role for worker in self._workers],
            "rollout": self._reader.cursor,
            "updates": {worker.role: worker.updater.batches for worker in self._workers},
            "torch": torch.__version__,
            "lightning": L.__version__,
        }

    def _trainer_state(self) -> dict[str, Any]:
        pending = {r.number: r for worker in self._workers for r in worker.pending}
        return {
            "cursor": self._reader.cursor,
            "dropped": self._reader.dropped,
            "rollouts": pack_rollouts(pending.values()),
            "pending": {w.role: [rollout.number for rollout in w.pending] for w in self._workers},
            "rng": rng_state_dict(),
        }

    def load_learners(self, checkpoint: Checkpoint) -> None:
        """Load all learners' state and the RNG state from a checkpoint.

        Raises:
            CheckpointError: it is a checkpoint of other learners.
        """
        check_roles(checkpoint, [worker.role for worker in self._workers])
        for worker in self._workers:
            role = worker.role
            path = checkpoint.folder / (role + WEIGHTS)
            fit_weights(worker.learner, checkpoint.weights[role], path)
            try:
                lost = worker.load_state_dict(checkpoint.learners[role])
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                raise misfit(checkpoint, role, error) from error
            if lost:
                self._notify(f"{role}: part of the replay buffer is lost: {lost}")
        if checkpoint.agent is not None:
            self._agent_state = (checkpoint.folder / AGENT).read_bytes()
        load_rng_state_dict(checkpoint.trainer["rng"])

    def load_rollouts(self, checkpoint: Checkpoint) -> None:
        """Enqueue the rollouts that were pending when the checkpoint was saved."""
        state = checkpoint.trainer
        rollouts = unpack_rollouts(state["rollouts"])
        for worker in self._workers:
            worker.pending = [rollouts[number] for number in state["pending"][worker.role]]
        self._reader.dropped = state["dropped"]
        self._next = self._reader.cursor + self._trainer.save_every
