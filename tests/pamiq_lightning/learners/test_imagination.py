from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.imagination import HORIZONS, imagination_errors
from pamiq_lightning.nets.forward_dynamics import Prediction
from tests.pamiq_lightning.learners.second.gru_dynamics import GRUDynamics


class Counter(GRUDynamics):
    """Expects every feature to grow by the action, or by one where `wrong`."""

    wrong = False

    def step(self, latent: Tensor, action: Tensor, state: Tensor) -> tuple[Prediction, Tensor]:
        growth = torch.ones(len(action)) if self.wrong else action[:, 0].float()
        prediction, state = super().step(latent, action, state)
        return prediction._replace(mean=latent + growth[:, None, None]), state


def steps(count: int) -> TensorDict:
    action = torch.randint(0, 2, (count, 1))
    latent = action[:, 0].cumsum(0) - action[:, 0]
    rows = {"latent": latent[:, None, None].expand(-1, 2, 3).float(), "action": action}
    return TensorDict(rows, [count])  # type: ignore[arg-type]


def test_imagination_errors_compare_with_shuffled_actions_and_copying() -> None:
    dynamics, rows = Counter((2, 3), (1, 4), (2,)), steps(40)
    errors, count = imagination_errors(dynamics, rows, burn_in=2)
    assert count == 40 - HORIZONS[-1] - 2
    value = rows["latent"][:, 0, 0]
    for ahead in HORIZONS:
        moved = value[2 + ahead : 2 + ahead + count] - value[2 : 2 + count]
        assert errors[f"true_error_{ahead}"] == 0
        assert errors[f"shuffled_error_{ahead}"] > 0
        assert errors[f"copied_error_{ahead}"].item() == pytest.approx(moved.square().mean().item())
    dynamics.wrong = True
    errors, _ = imagination_errors(dynamics, rows, burn_in=2)
    assert errors["true_error_8"] > errors["true_error_1"] > 0


def test_imagination_errors_are_empty_for_too_few_steps() -> None:
    dynamics = Counter((2, 3), (1, 4), (2,))
    assert imagination_errors(dynamics, steps(HORIZONS[-1] + 2), burn_in=2) == ({}, 0)
