from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from agent.lifecycle.actor_state import check_agent_state
from pamiq_lightning.checkpoint.files import CheckpointError, value_bytes
from pamiq_lightning.checkpoint.snapshot import Checkpoint

NAN = float("nan")


def rewards(mean: float) -> torch.Tensor:
    content = value_bytes({"rewards": [{"mean": torch.tensor(mean)}]})
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("tensors", "name"),
    [
        ({"state": torch.tensor([[1.0, NAN]])}, "state"),
        ({"rewards": rewards(NAN)}, r"rewards\.0\.mean"),
    ],
)
def test_an_agent_state_that_is_not_finite_is_refused_by_name(
    tmp_path: Path, tensors: dict[str, Any], name: str
) -> None:
    def check(agent: dict[str, Any]) -> None:
        check_agent_state(Checkpoint(tmp_path, {}, {}, {}, {}, {}, (agent, {}), {}))

    # Worlds without ground truth have NaN there.
    check({"state": torch.zeros(2), "rewards": rewards(1.0), "last_info": torch.tensor([NAN])})
    with pytest.raises(CheckpointError, match=rf"agent\.safetensors: {name} has 1 of"):
        check(tensors)
