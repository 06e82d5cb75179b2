"""Updates and weights that are not finite are skipped, counted, rolled back, never published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tensordict import TensorDict

from pamiq_lightning.exchange.weights import (
    WeightsReader,
    WeightsSpec,
    WeightsWriter,
    create,
    flat_size,
    tensors_of,
)
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import DYNAMICS, LEARNERS, rollout

BAD = [float("nan"), float("inf"), -float("inf")]


def slices(bad: float | None = None) -> TensorDict:
    steps = rollout(27).reshape(3, 9)
    if bad is not None:
        steps["latent"][1, 5, 0, 0] = bad
    return steps


def state(learner: Learner) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in learner.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("bad", BAD)
def test_updater_skips_and_counts_a_nonfinite_update(bad: float) -> None:
    learner = build(Learner, DYNAMICS)
    updater = Updater(learner, "cpu", "32-true")
    before = state(learner)
    updater.update(slices(bad))
    assert same(before, state(learner))
    assert (updater.batches, updater.skipped, updater.rollbacks) == (0, 1, 0)
    updater.update(slices())
    assert not same(before, state(learner))
    assert (updater.batches, updater.skipped, updater.rollbacks) == (1, 1, 0)


def test_updater_rolls_back_after_three_skips_in_a_row() -> None:
    learner = build(Learner, DYNAMICS)
    updater = Updater(learner, "cpu", "32-true")
    updater.update(slices())
    updater.snapshot()
    good = state(learner)
    updater.update(slices())
    for _ in range(3):
        updater.update(slices(BAD[0]))
    assert updater.rollbacks == 1
    assert same(good, state(learner))
    updater.update(slices())
    assert all(torch.isfinite(value).all() for value in learner.state_dict().values())


def test_worker_rolls_back_nonfinite_weights_instead_of_publishing(tmp_path: Path) -> None:
    learner = build(Learner, DYNAMICS)
    acting = learner.acting_module
    assert acting is not None
    spec = WeightsSpec(tmp_path / "w", flat_size(acting))
    create(spec)
    updater = Updater(learner, "cpu", "32-true")
    worker = LearnerWorker(
        "dynamics", learner, updater, WeightsWriter(spec, acting), LearnerSettings()
    )
    worker.publish()
    with torch.no_grad():
        tensors_of(acting)[0].fill_(float("nan"))
    worker.publish()
    assert updater.rollbacks == 1
    assert WeightsReader(spec, acting).latest_version == 1
    worker.publish()
    assert WeightsReader(spec, acting).latest_version == 2


@pytest.mark.parametrize("role", list(LEARNERS))
@pytest.mark.parametrize("bad", BAD)
def test_nonfinite_rows_are_never_trained_on(role: str, bad: float) -> None:
    learner = build(Learner, LEARNERS[role])
    updater = Updater(learner, "cpu", "32-true")
    replay = make_replay(learner.replay)
    steps = rollout(32)
    for key in ("latent", "state", "reward", "log_prob"):
        steps[key][10] = bad
    steps["info"][:] = float("nan")
    for batch in training_round(learner, replay, [steps]):
        assert all(v.isfinite().all() for v in batch.values() if v.is_floating_point())
        updater.update(batch)
    assert updater.batches > 0 and updater.skipped == 0
    assert all(torch.isfinite(value).all() for value in learner.state_dict().values())


def test_weights_stay_finite_after_a_huge_reward() -> None:
    learner = build(Learner, LEARNERS["policy"])
    updater = Updater(learner, "cpu", "32-true")
    replay = make_replay(learner.replay)
    for number in range(3):
        steps = rollout(32, 32 * number)
        steps["reward"][7] = 1e8 if number == 1 else 0.5
        for batch in training_round(learner, replay, [steps]):
            updater.update(batch)
    assert all(torch.isfinite(value).all() for value in learner.state_dict().values())
