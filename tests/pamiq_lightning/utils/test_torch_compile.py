"""Compiled nets against plain ones, in processes without runtime type checks."""

from __future__ import annotations

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.nets.sioconv import SioConvStack
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.warm_up import noise
from pamiq_lightning.utils.instantiate import build
from pamiq_lightning.utils.torch_compile import compile_acting, compile_training
from tests.synthetic import DYNAMICS, IJEPA, PPO, SHAPE

BACKENDS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]
"""aot_eager captures and differentiates like inductor, and needs no C++ compiler."""


def in_fresh_process(function: Any, *arguments: Any) -> Any:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (1,)) as fresh:
        return fresh.submit(function, *arguments).result()


def differences_of_acting(spec: dict[str, Any], backend: str) -> list[float]:
    """Return the largest difference of each result, and how often each entry was captured."""
    torch.manual_seed(0)
    acting = build(Learner, spec).acting_module
    assert acting is not None
    plain = acting.requires_grad_(False).eval()
    fast = copy.deepcopy(plain)
    compile_acting(fast, torch.device("cpu"), backend)
    latent, state = torch.randn(1, *SHAPE.latent), torch.randn(1, *SHAPE.state)
    action = torch.tensor([[1, 2, 0, 1, 0]])
    frame = torch.randint(0, 256, (1, 3, 24, 24), dtype=torch.uint8)
    calls: dict[str, tuple[str, tuple[torch.Tensor, ...]]] = {
        IJEPA["class_path"]: ("forward", (frame,)),
        DYNAMICS["class_path"]: ("step", (latent, action, state)),
        PPO["class_path"]: ("forward", (latent, state, action)),
    }
    name, given = calls[spec["class_path"]]
    assert getattr(fast, name) is not getattr(plain, name)
    with torch.inference_mode():
        pairs = zip(
            tree_leaves(getattr(plain, name)(*given)),
            tree_leaves(getattr(fast, name)(*given)),
            strict=True,
        )
        # Outputs of heads that are off are None.
        return [float((a - b).abs().max()) for a, b in pairs if a is not None]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spec", [IJEPA, DYNAMICS, PPO], ids=["encoder", "dynamics", "policy"])
def test_compiled_acting_equals_plain(spec: dict[str, Any], backend: str) -> None:
    differences = in_fresh_process(differences_of_acting, spec, backend)
    assert differences
    assert max(differences) < 1e-5


def weights_after(spec: dict[str, Any], backend: str | None) -> list[torch.Tensor]:
    torch.manual_seed(0)
    learner = build(Learner, spec)
    updater = Updater(learner, "cpu", "32-true")
    if backend:
        compile_training(learner, backend)
    steps = noise(SHAPE, 32)
    torch.manual_seed(1)
    for batch in training_round(learner, make_replay(learner.replay), [steps]):
        updater.update(batch)
    return [parameter.detach() for parameter in learner.parameters()]


def differences_of_training(spec: dict[str, Any], backend: str) -> list[float]:
    pairs = zip(weights_after(spec, None), weights_after(spec, backend), strict=True)
    return [float((a - b).abs().max()) for a, b in pairs]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spec", [IJEPA, PPO], ids=["encoder", "policy"])
def test_compiled_training_equals_plain(spec: dict[str, Any], backend: str) -> None:
    differences = in_fresh_process(differences_of_training, spec, backend)
    assert differences
    assert max(differences) < 1e-4


def test_the_scan_is_captured_whole_with_its_gradient() -> None:
    """The scan loops over chunks; a compiler must take it as one operator."""
    assert in_fresh_process(scan_difference) < 1e-5


def scan_difference() -> float:
    torch.manual_seed(0)
    stack = SioConvStack(2, 16, 4)
    stack.eval()
    fast = torch.compile(copy.deepcopy(stack), backend="aot_eager", fullgraph=True, dynamic=True)
    x, state = torch.randn(2, 50, 16), torch.randn(2, 2, 16)
    gradients = []
    for each in (stack, fast):
        given = x.clone().requires_grad_()
        each(given, state)[0].square().sum().backward()
        gradients.append(given.grad)
    return float((gradients[0] - gradients[1]).abs().max())
