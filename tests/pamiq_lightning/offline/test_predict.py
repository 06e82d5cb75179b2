from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.learners.ppo import PPO
from pamiq_lightning.offline.cli import main
from pamiq_lightning.offline.frozen import from_checkpoint
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.pamiq_lightning.offline.test_evaluate import here
from tests.synthetic import DYNAMICS, LEARNERS, rollout
from tests.synthetic import PPO as PPO_SPEC

__all__ = ["here"]
SAYS = {
    "encoder": {"latent": (4, 8)},
    "dynamics": {"mean": (4, 8), "log_var": (4, 8), "action_logits": (13,), "reward": ()},
    "policy": {"logits": (13,), "value": ()},
    "decoder": {"image": (3, 16, 16)},
}


def command(here: Path, verb: str, role: str) -> list[str]:
    (here / f"{role}.yaml").write_text(yaml.safe_dump({"model": LEARNERS[role]}))
    made = {name: str(checkpoint(here, name)) for name in LEARNERS}
    frozen = ["--data.encoder", made["encoder"], "--data.dynamics", made["dynamics"]]
    return [
        *(verb, "--config", f"{role}.yaml", "--data.recording", "recording", *frozen),
        *("--ckpt_path", made[role], "--trainer.enable_progress_bar=false"),
        "--trainer.accelerator=cpu",
    ]


@pytest.mark.parametrize("role", list(SAYS))
def test_predict_writes_every_step_for_every_learner(
    here: Path, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(here, "predict", role)) == 0
    (output,) = [line for line in capsys.readouterr().out.splitlines() if "predictions" in line]
    files = sorted((here / output.split(": ")[1]).glob("*.safetensors"))
    rows = [load_file(path) for path in files]
    index = torch.cat([part.pop("index") for part in rows])
    assert torch.equal(index, torch.arange(660))
    for name, shape in SAYS[role].items():
        whole = torch.cat([part[name] for part in rows])
        assert whole.shape == (660, *shape) and whole.isfinite().all()
    assert rows[0].keys() == SAYS[role].keys()


def test_predictions_of_dynamics_equal_stepping_by_hand(here: Path) -> None:
    net = from_checkpoint(checkpoint(here, "dynamics"), SioConvDynamics).net
    learner = build(Learner, DYNAMICS)
    assert isinstance(learner, SioConvDynamics)
    learner.net = net
    steps = rollout(9)
    steps["is_first"][5] = True
    output = learner.predict_step(steps, 0)["mean"]
    state = torch.zeros(1, 2, 16)
    for row in range(9):
        if row == 5:
            state = torch.zeros(1, 2, 16)
        prediction, state = net.step(steps["latent"][row][None], steps["action"][row][None], state)
        torch.testing.assert_close(output[row], prediction.mean[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("role", "metric"),
    [
        ("encoder", "feature_std"),
        ("dynamics", "true_error_1"),
        ("policy", "explained_variance"),
        ("decoder", "reconstruction_error"),
    ],
)
def test_every_learner_runs_the_test_command(
    here: Path, role: str, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(here, "test", role)) == 0
    output = capsys.readouterr().out
    assert metric in output
    assert "1 minutes, evaluated on 50 steps of them" in output


def test_ppo_validation_logs_the_explained_variance() -> None:
    learner = build(Learner, PPO_SPEC)
    assert isinstance(learner, PPO)
    logged: dict[str, torch.Tensor] = {}
    learner.log_dict = lambda metrics, **_: logged.update(metrics)  # type: ignore[method-assign, assignment]
    steps = rollout(20)
    learner.validation_step(steps, 0)
    actor_critic = learner.net(steps["latent"], steps["state"], steps["last_action"])
    value = learner.value_norm.denormalize(actor_critic.value).float()
    valid = torch.ones(19, dtype=torch.bool)
    advantage = learner.advantages(value, steps["reward"], valid)
    target = advantage + value[:-1]
    expected = 1 - advantage.var() / target.var()
    torch.testing.assert_close(logged["explained_variance"], expected)
    assert np.isfinite(float(logged["approx_kl"])) and logged["entropy"] > 0
