"""Writes checkpoints of everything, and makes a trainer go on from one."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from pamiq_lightning.checkpoint.files import (
    WEIGHTS,
    CheckpointError,
    fit_weights,
    read_tensors,
    read_values,
    save,
    tensor_bytes,
    value_bytes,
    weights_bytes,
)
from pamiq_lightning.checkpoint.rng_state import restore_rng_state, rng_state
from pamiq_lightning.checkpoint.store import (
    SETTINGS,
    checkpoints_folder,
    prune,
    read_settings,
    verify,
    write_checkpoint,
)
from pamiq_lightning.exchange.rollouts import Rollout, RolloutReader
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.base import check_same_spec
from pamiq_lightning.trainer.settings import TrainerSettings
from pamiq_lightning.trainer.update import configure
from pamiq_lightning.trainer.worker import LearnerWorker, as_tensors
from pamiq_lightning.utils.safe_print import safe_print

TRAINER, AGENT, BEFORE = "trainer.pt", "agent.safetensors", "_before.safetensors"
_OF_A_LEARNER = {"updater", "learner", "version", "replay", "metrics"}
_OF_THE_TRAINER = {"cursor", "dropped", "rollouts", "pending", "random"}
_WARN_EVERY_S = 60.0


@dataclass(frozen=True)
class Checkpoint:
    """All that is in a checkpoint.

    Attributes:
        folder: where it was read from.
        manifest: what it tells of itself.
        settings: of the run when it was written.
        weights: of every learner, by role.
        learners: what else belongs to each.
        trainer: where the trainer stood.
        agent: the agent's own state, tensors and texts; None where no window was full yet.
        before: under lockstep, version and weights that acted before the newest ones, by role.
    """

    folder: Path
    manifest: dict[str, Any]
    settings: dict[str, Any]
    weights: dict[str, dict[str, Tensor]]
    learners: dict[str, dict[str, Any]]
    trainer: dict[str, Any]
    agent: tuple[dict[str, Tensor], dict[str, str]] | None
    before: dict[str, tuple[int, list[Tensor]]]


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint, every file checked, nothing that is in them executed.

    Raises:
        CheckpointError: something is missing, damaged, unsafe, or of a newer version.
    """
    manifest = verify(folder)
    names, roles = set(manifest["files"]), manifest["roles"]
    wanted = {TRAINER, SETTINGS, *(r + WEIGHTS for r in roles), *(r + ".pt" for r in roles)}
    if not wanted <= names:
        raise CheckpointError(f"{folder} has no {', no '.join(sorted(wanted - names))}")
    before = {}
    for role in roles:
        if role + BEFORE in names:
            tensors, told = read_tensors(folder / (role + BEFORE))
            before[role] = int(told["version"]), [tensors[str(i)] for i in range(len(tensors))]
    agent = read_tensors(folder / AGENT) if AGENT in names else None
    return Checkpoint(
        folder,
        manifest,
        read_settings(folder),
        {role: read_tensors(folder / (role + WEIGHTS))[0] for role in roles},
        {role: _read_dictionary(folder / (role + ".pt"), _OF_A_LEARNER) for role in roles},
        _read_dictionary(folder / TRAINER, _OF_THE_TRAINER),
        agent,
        before,
    )


def _read_dictionary(path: Path, keys: set[str]) -> dict[str, Any]:
    """Return plain values by name.

    Raises:
        CheckpointError: they are damaged, unsafe, or not those that belong there.
    """
    values = read_values(path)
    if not isinstance(values, dict) or not keys <= set(values):
        raise CheckpointError(f"{path} does not hold {', '.join(sorted(keys))}")
    return values


def check_fit(checkpoint: Checkpoint, learners: Mapping[str, Learner]) -> None:
    """Load a checkpoint's weights into learners, and see that all the rest is theirs too.

    Raises:
        CheckpointError: it is of other learners; the message names the file.
    """
    _check_roles(checkpoint, list(learners))
    for role, learner in learners.items():
        path = checkpoint.folder / (role + WEIGHTS)
        fit_weights(learner, checkpoint.weights[role], path)
        state = checkpoint.learners[role]
        try:
            optimizer, _ = configure(learner)
            optimizer.load_state_dict(state["updater"]["optimizer"])
            check_same_spec(state["replay"], learner.replay)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise _unfit(checkpoint, role, error) from error


def _check_roles(checkpoint: Checkpoint, roles: list[str]) -> None:
    had = checkpoint.manifest["roles"]
    if sorted(roles) != sorted(had):
        raise CheckpointError(
            f"{checkpoint.folder} has the learners {', '.join(had)}; the settings have "
            f"{', '.join(roles)}"
        )


def _unfit(checkpoint: Checkpoint, role: str, error: Exception) -> CheckpointError:
    path = checkpoint.folder / (role + ".pt")
    return CheckpointError(f"{path} does not fit learners.{role} as it is set: {error}")


class Checkpointer:
    """Saves everything every so many windows.

    Args:
        run_folder: of the run.
        workers: the learners with all that belongs to them.
        reader: where the windows come from.
        trainer: how often to save, and what to keep.
        settings: of the run, to be kept beside.
        exact: keep what acted before the newest weights too, so that the agent can go on as if
            nothing had been; under lockstep.
        on_saved: called after each save with the system's number of what it failed of, or 0.
    """

    def __init__(
        self,
        run_folder: Path,
        workers: Sequence[LearnerWorker],
        reader: RolloutReader,
        trainer: TrainerSettings,
        settings: Mapping[str, Any],
        exact: bool,
        on_saved: Callable[[int], None] = lambda number: None,
    ) -> None:
        self._run_folder, self._trainees, self._reader = run_folder, workers, reader
        self._trainer, self._settings, self._exact = trainer, settings, exact
        self._agent: bytes | None = None
        # The first at once: what a young encoder has learned is not all in what acts.
        self._next = reader.cursor + 1
        self._warned = -_WARN_EVERY_S
        self._on_saved = on_saved

    def __call__(self, rollout: Rollout) -> None:
        """Save if it is time; a disk that refuses is tried again at the next window."""
        if rollout.number + 1 >= self._next and self.try_to_save():
            self._next = rollout.number + 1 + self._trainer.save_every

    def try_to_save(self) -> bool:
        """Save; say so in the log, once a minute, and return False where the disk refuses."""
        try:
            self.save()
        except OSError as error:
            self._on_saved(error.errno or errno.EIO)
            if time.monotonic() - self._warned >= _WARN_EVERY_S:
                self._warned = time.monotonic()
                safe_print(f"not saved: {error}")
            return False
        self._on_saved(0)
        return True

    def save(self) -> Path:
        """Write a checkpoint and remove those that are not to be kept; return its folder.

        Raises:
            OSError: the disk refuses; the checkpoints before are still whole.
        """
        began = time.monotonic()
        for worker in self._trainees:
            worker.rollback_if_nonfinite()
            worker.replay.flush()
        folder = write_checkpoint(self._run_folder, self._files(), self._about())
        prune(self._run_folder, self._trainer.keep_last, self._trainer.keep_every)
        safe_print(f"saved {folder.name} in {time.monotonic() - began:.3f} s")
        return folder

    def save_for_lightning(self) -> None:
        """Write each learner as Lightning reads it, beside the checkpoints.

        Raises:
            OSError: the disk refuses.
        """
        for worker in self._trainees:
            path = checkpoints_folder(self._run_folder) / f"{worker.role}.ckpt"
            save(worker.learner, worker.updater.optimizer, path)

    def _about(self) -> dict[str, Any]:
        return {
            "roles": [worker.role for worker in self._trainees],
            "rollout": self._reader.cursor,
            "updates": {worker.role: worker.updater.batches for worker in self._trainees},
            "torch": torch.__version__,
            "lightning": L.__version__,
        }

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for worker in self._trainees:
            yield worker.role + WEIGHTS, weights_bytes(worker.learner)
            yield worker.role + ".pt", value_bytes(worker.state())
            before = worker.writer.before if worker.writer else None
            if self._exact and before:
                named = {str(number): tensor for number, tensor in enumerate(before[1])}
                yield worker.role + BEFORE, tensor_bytes(named, {"version": str(before[0])})
        yield TRAINER, value_bytes(self._trainer_state())
        agent = self._reader.agent_state or self._agent
        if agent:
            yield AGENT, agent
        yield SETTINGS, json.dumps(self._settings, indent=1).encode()

    def _trainer_state(self) -> dict[str, Any]:
        waiting = {w.number: w for worker in self._trainees for w in worker.pending}
        return {
            "cursor": self._reader.cursor,
            "dropped": self._reader.dropped,
            "rollouts": {
                number: {"steps": as_tensors(rollout).to_dict(), "metrics": rollout.metrics}
                for number, rollout in waiting.items()
            },
            "pending": {t.role: [rollout.number for rollout in t.pending] for t in self._trainees},
            "random": rng_state(),
        }

    def restore_learners(self, checkpoint: Checkpoint) -> None:
        """Make all learners, and chance, go on from a checkpoint.

        Raises:
            CheckpointError: it is of other learners.
        """
        _check_roles(checkpoint, [worker.role for worker in self._trainees])
        for worker in self._trainees:
            role = worker.role
            fit_weights(
                worker.learner, checkpoint.weights[role], checkpoint.folder / (role + WEIGHTS)
            )
            try:
                lost = worker.restore(checkpoint.learners[role])
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                raise _unfit(checkpoint, role, error) from error
            if lost:
                safe_print(f"{role}: a part of what it remembers is lost: {lost}")
        if checkpoint.agent is not None:
            self._agent = (checkpoint.folder / AGENT).read_bytes()
        restore_rng_state(checkpoint.trainer["random"])

    def restore_rollouts(self, checkpoint: Checkpoint) -> None:
        """Let the windows that waited wait again; under lockstep read on where it was read."""
        told = checkpoint.trainer
        rollouts = {
            number: Rollout(
                number,
                {key: tensor.numpy() for key, tensor in rollout["steps"].items()},
                rollout["metrics"],
            )
            for number, rollout in told["rollouts"].items()
        }
        for worker in self._trainees:
            worker.pending = [rollouts[number] for number in told["pending"][worker.role]]
        self._reader.dropped = told["dropped"]
        self._next = self._reader.cursor + self._trainer.save_every
