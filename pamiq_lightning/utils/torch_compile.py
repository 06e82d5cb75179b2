"""torch.compile for training and acting nets, enabled by `compile=true`.

Compiling needs a C++ compiler on a CPU and Triton on CUDA. The first time it takes minutes; torch
caches the result on disk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

ENTRIES = ("forward", "step")
"""Methods of an acting module that a tick may call."""


def compile_training(learner: nn.Module, backend: str = "inductor") -> None:
    """Compile a learner's child modules in place, but not the learner's own code.

    Lengths may change from batch to batch, because masks keep different numbers of tokens.

    Args:
        learner: the learner.
        backend: of torch.compile.
    """
    for net in learner.children():
        net.compile(dynamic=True, backend=backend)


def compile_acting(module: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """Compile the methods that the agent calls in a tick, in place; on CUDA as one graph.

    Shapes do not change while acting.

    Args:
        module: the acting module.
        device: where it runs.
        backend: of torch.compile.
    """
    graphs = device.type == "cuda"
    for name in ENTRIES:
        method = getattr(module, name, None)
        if method is None:
            continue
        mode = "reduce-overhead" if graphs else None
        fast = torch.compile(method, fullgraph=True, dynamic=False, backend=backend, mode=mode)
        setattr(module, name, _owning(fast) if graphs else fast)


def _owning(graph: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that copies its results, because the graph's next run overwrites them."""

    @functools.wraps(graph)
    def run(*arguments: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()
        return tree_map_only(Tensor, torch.clone, graph(*arguments))

    return run
