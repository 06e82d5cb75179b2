"""What the learners cost, as ratios measured in one run on one thread.

    python -m tools.bench.learners
    python -m tools.bench.learners --json

Compared jobs run in turn several times, and the least processor time of each counts: other programs
slow all of them alike, and waiting for a core does not count.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from unittest.mock import patch

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.learners.masks import Masks
from pamiq_lightning.nets import sioconv as nets_sioconv
from pamiq_lightning.nets.sioconv import SioConvStack, decay_scan
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.utils.torch_compile import compile_acting
from tools.bench.limits import Measurement, at_least, at_most, bench_main
from tools.bench.ppo import ppo
from tools.bench.recall import equal_gru, parameters
from tools.bench.timing import compare
from tools.bench.updater import learner_updates, updater_overhead

B, DIM, HEADS, DEPTH = 4, 256, 8, 3


def forward_backward(stack: nn.Module, length: int) -> Callable[[], None]:
    """Return a job: one pass forward and backward over sequences of `length`."""
    x = torch.randn(B, length, DIM)
    state = torch.zeros(B, DEPTH, DIM)

    def job() -> None:
        y = stack(x, state)[0] if isinstance(stack, SioConvStack) else stack(x)[0]
        y.sum().backward()

    return job


def full_matrix_scan(
    ln_a: Tensor, z: Tensor, state: Tensor, is_first: Tensor | None = None
) -> Tensor:
    """The plain form: one L x L matrix a head, S[l, m] = exp(sum of ln_a over m+1..l)."""
    total = ln_a.cumsum(dim=1).transpose(1, 2)
    exponent = total[..., :, None] - total[..., None, :]
    future = torch.ones(exponent.shape[-2:], dtype=torch.bool).triu(1)
    S = exponent.masked_fill(future, -math.inf).exp()
    h = S @ z.transpose(1, 2) + total.exp()[..., None] * state[:, :, None]
    return h.transpose(1, 2)


def with_full_matrix(job: Callable[[], object]) -> Callable[[], object]:
    """Return a job that does the same with the plain form in the stack."""

    def other_job() -> None:
        with patch.object(nets_sioconv, "decay_scan", full_matrix_scan):
            job()

    return other_job


def sioconv() -> Iterator[Measurement]:
    """Yield growth with length, and SioConv against the full matrix and a GRU."""
    stack = SioConvStack(DEPTH, DIM, HEADS)
    lengths = [256, 512, 1024, 2048, 4096]
    times = compare(*(forward_backward(stack, n) for n in lengths), tries=5)
    worst = max(b / a / 2 for a, b in itertools.pairwise(times))
    yield at_most("SioConv time a doubling, beyond linear", worst, "x", 1.15)
    memory = [saved_bytes(forward_backward(stack, n)) for n in (1024, 4096)]
    yield at_most("SioConv memory 1024 -> 4096, / 4", memory[1] / memory[0] / 4, "x", 1.05)

    ln_a = -torch.rand(B, 1024, HEADS).requires_grad_()
    z = torch.randn(B, 1024, HEADS, DIM // HEADS, requires_grad=True)
    state = torch.zeros(B, HEADS, DIM // HEADS)
    chunked, full = compare(
        lambda: decay_scan(ln_a, z, state).sum().backward(),
        lambda: full_matrix_scan(ln_a, z, state).sum().backward(),
    )
    yield at_least("scan at 1024, full matrix / chunks", full / chunked, "x", 4.0)

    ours = forward_backward(stack, 1024)
    gru = forward_backward(equal_gru(stack, DIM, DEPTH, itertools.count(64, 8)), 1024)
    here, theirs, recurrent = compare(ours, with_full_matrix(ours), gru, tries=5)
    yield at_least("stack at 1024, full matrix / chunks", theirs / here, "x", 2.0)
    yield at_least("stack at 1024, GRU / ours", recurrent / here, "x", 1.0)
    yield from acting_step()


def acting_step() -> Iterator[Measurement]:
    """Yield one step at size small against one of a GRU of equal size, plain and compiled."""
    stack = SioConvStack(6, 1024, 8).eval().requires_grad_(False)
    compiled = copy.deepcopy(stack)
    compile_acting(compiled, torch.device("cpu"))
    wanted = parameters(stack)
    hidden = next(h for h in itertools.count(1024, 32) if 6 * (6 * h * h + 6 * h) >= wanted)
    gru = nn.GRU(hidden, hidden, 6, batch_first=True).eval()
    x, state = torch.randn(1, 1024), torch.zeros(1, 6, 1024)
    y, memory = torch.randn(1, 1, hidden), torch.zeros(6, 1, hidden)
    with torch.inference_mode():
        ours, fast, theirs = compare(
            lambda: stack.step(x, state),
            lambda: compiled.step(x, state),
            lambda: gru(y, memory),
            tries=30,
        )
    yield at_most("acting step at small, ours / GRU", ours / theirs, "x", 1.1)
    yield at_most("the same with compile=true", fast / theirs, "x", 1.1)


def saved_bytes(job: Callable[[], None]) -> int:
    """Return the bytes that autograd keeps for the backward pass."""
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        job()
    return sum(saved.values())


class MaskedInput(IJEPA):
    """I-JEPA as the originals had it: hidden patches are replaced, so the encoder takes all 144."""

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Encode every patch, which is the work that replacing costs."""
        sampler = self.masks
        everything = torch.arange(sampler.grid**2).expand(len(batch), -1)
        self.masks = lambda n: Masks(everything, sampler(n).targets)  # type: ignore[assignment]
        loss = super().training_step(batch, batch_idx)
        self.masks = sampler
        return loss


def ijepa() -> Iterator[Measurement]:
    """Yield dropped against replaced tokens."""
    batch = TensorDict({"frame": torch.randint(0, 256, (16, 3, 144, 144), dtype=torch.uint8)}, [16])
    updaters = [
        Updater(cls(latent=(36, 32), pool=2, batch_size=16), "cpu", "32-true")
        for cls in (IJEPA, MaskedInput)
    ]
    dropped, replaced = compare(*(lambda d=d: d.update(batch) for d in updaters))
    yield at_least("I-JEPA update, replaced / dropped", replaced / dropped, "x", 1.5)


def measurements() -> Iterator[Measurement]:
    """Yield all."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield from sioconv()
    yield from ijepa()
    yield from updater_overhead()
    yield from learner_updates()
    yield from ppo()


if __name__ == "__main__":
    bench_main(__doc__, measurements)
