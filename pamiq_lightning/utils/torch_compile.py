"""torch.compile for nets that train and nets that act, asked for by `compile=true`.

Compiling needs a C++ compiler on a CPU and Triton on CUDA. The first time it takes minutes; torch
keeps what it made in a cache on disk.
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
    """Compile the nets a learner is made of, in place; its own code stays as it is.

    Lengths may change from batch to batch: masks keep now more, now fewer tokens.

    Args:
        learner: whose children are compiled.
        backend: what torch compiles with.
    """
    for net in learner.children():
        net.compile(dynamic=True, backend=backend)


def compile_acting(module: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """Compile what the agent calls in a tick, in place; on CUDA it runs as one graph.

    Shapes never change while acting.

    Args:
        module: what acts.
        device: where it runs.
        backend: what torch compiles with.
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
    """Return a function whose results outlast the graph's next run, which writes over its own."""

    @functools.wraps(graph)
    def run(*arguments: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()
        return tree_map_only(Tensor, torch.clone, graph(*arguments))

    return run
