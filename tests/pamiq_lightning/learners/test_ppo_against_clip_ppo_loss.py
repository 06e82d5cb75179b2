"""Our loss and TorchRL's ClipPPOLoss, on the same net and the same numbers."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from pamiq_lightning.learners.ppo import PPO
from tools.bench.ppo import clip_ppo_loss, columns, random_batch


def learner_and_batch(rows: int, **changes: float) -> tuple[PPO, TensorDict]:
    torch.manual_seed(rows)
    # TorchRL has no pull towards a prior.
    arguments = {"entropy_coef": 0.01, "prior_coef": 0.0, **changes}
    learner = PPO((4, 8), (2, 16), dim=32, depth=2, mix_features=8, **arguments)  # type: ignore[arg-type]
    # A new policy has its keep prior alone; this one prefers something.
    torch.nn.init.orthogonal_(learner.net.actor.weight, 1.0)
    return learner, random_batch(learner, rows)


def gradient(learner: PPO, loss: torch.Tensor) -> torch.Tensor:
    parameters = list(learner.net.parameters())
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


@pytest.mark.parametrize("rows", [32, 257])
@pytest.mark.parametrize(
    "changes", [{}, {"clip": 0.1, "entropy_coef": 0.3, "value_coef": 2.0}, {"entropy_coef": 0.0}]
)
def test_ppo_loss_and_gradient_equal_clip_ppo_loss(rows: int, changes: dict[str, float]) -> None:
    learner, batch = learner_and_batch(rows, **changes)
    logged: dict[str, torch.Tensor] = {}
    learner.log_dict = logged.update  # type: ignore[method-assign, assignment]
    ours = learner.training_step(batch, 0)
    theirs = clip_ppo_loss(learner)(columns(batch))
    assert 0.1 < theirs["clip_fraction"] < 0.9
    parts = {
        "loss_objective": logged["policy_loss"],
        "loss_critic": learner.value_coef * logged["value_loss"],
        "loss_entropy": -learner.entropy_coef * logged["entropy"],
        "entropy": logged["entropy"],
        "clip_fraction": logged["clip_fraction"],
    }
    for name, part in parts.items():
        torch.testing.assert_close(part, theirs[name], atol=1e-5, rtol=1e-5, msg=name)
    whole = theirs["loss_objective"] + theirs["loss_critic"] + theirs["loss_entropy"]
    torch.testing.assert_close(ours, whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        gradient(learner, ours), gradient(learner, whole), atol=1e-5, rtol=1e-4
    )
