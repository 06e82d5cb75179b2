from __future__ import annotations

import copy

import lightning as L
import pytest
import torch
from tensordict import TensorDict
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import IJEPA, rollout


class AllHooks(Learner):
    """Uses every hook and a scheduler, to show any difference between Updater and Trainer."""

    gradient_clip = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 4)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.calls: list[str] = []

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        self.calls.append(f"training_step {batch_idx}")
        loss = (self.net(batch["x"]) - self.average(batch["x"]) - 1).square().mean()
        self.log("loss", loss)
        return loss

    def on_before_backward(self, loss: Tensor) -> None:
        self.calls.append("on_before_backward")

    def on_after_backward(self) -> None:
        self.calls.append("on_after_backward")

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        self.calls.append("on_train_batch_end")
        with torch.no_grad():
            for p, q in zip(self.net.parameters(), self.average.parameters(), strict=True):
                q.lerp_(p, 0.1)

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def identity(batch: TensorDict) -> TensorDict:
    return batch


def train_with_lightning(learner: Learner, batches: list[TensorDict]) -> None:
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=len(batches),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    # Own generator: a loader draws its seed from the default one, which masks are sampled from.
    loader = DataLoader(batches, batch_size=None, collate_fn=identity, generator=torch.Generator())
    trainer.fit(learner, loader)


@pytest.fixture
def twins() -> tuple[AllHooks, AllHooks]:
    learner = AllHooks()
    return learner, copy.deepcopy(learner)


def test_updater_equals_lightning_trainer(twins: tuple[AllHooks, AllHooks]) -> None:
    mine, theirs = twins
    batches = [TensorDict({"x": torch.randn(8, 4)}, [8]) for _ in range(7)]
    updater = Updater(mine, "cpu", "32-true")
    for batch in batches:
        updater.update(batch)
    train_with_lightning(theirs, batches)
    for name, value in mine.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name
    assert mine.calls == theirs.calls
    assert mine.n_updates == 7


def test_updater_equals_lightning_trainer_on_ijepa() -> None:
    mine, theirs = build(Learner, IJEPA), build(Learner, IJEPA)
    theirs.load_state_dict(mine.state_dict())
    batches = [rollout(4, start) for start in range(0, 20, 4)]
    torch.manual_seed(5)
    updater = Updater(mine, "cpu", "32-true")
    for batch in batches:
        updater.update(batch)
    torch.manual_seed(5)
    train_with_lightning(theirs, batches)
    for name, value in mine.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


def test_updater_collects_what_self_log_logs() -> None:
    learner = AllHooks()
    updater = Updater(learner, "cpu", "32-true")
    learner.log_later({"extra": 4.0})
    loss = updater.update(TensorDict({"x": torch.randn(8, 4)}, [8]))
    metrics = updater.metrics.take()
    assert metrics["loss"] == pytest.approx(loss)
    assert metrics["extra"] == 4.0
    assert metrics["grad_norm"] > 0
    assert updater.metrics.take() == {}


def test_bf16_updates_run_in_autocast_and_keep_float32_weights() -> None:
    learner = AllHooks()
    dtypes: list[torch.dtype] = []
    learner.net.register_forward_hook(lambda _, __, out: dtypes.append(out.dtype))
    updater = Updater(learner, "cpu", "bf16-mixed")
    updater.update(TensorDict({"x": torch.randn(8, 4)}, [8]))
    assert dtypes == [torch.bfloat16]
    assert {p.dtype for p in learner.parameters()} == {torch.float32}


def test_updater_refuses_two_optimizers() -> None:
    class Two(AllHooks):
        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return [torch.optim.SGD(self.net.parameters(), 0.1) for _ in range(2)]

    with pytest.raises(ValueError, match="one optimizer"):
        Updater(Two(), "cpu", "32-true")
