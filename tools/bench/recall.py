"""Delayed recall: which sequence model reproduces ten symbols after a long pause?

    python -m tools.bench.recall                    after 64 and 256 blanks
    python -m tools.bench.recall --delays 64 --json

A sequence is 10 of 8 symbols, `delay` blanks, 10 cues; at the k-th cue the k-th symbol is asked
for. SioConvStack and a torch.nn.GRU of as many parameters make the same number of updates on the
same batches, each at two learning rates, of which the better one counts. Guessing gives 0.125.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from pamiq_lightning.nets.sioconv import SioConvStack
from tools.bench.limits import Measurement, bench_main, measured

TOKENS, SYMBOLS = 10, 8
BLANK, CUE = SYMBOLS, SYMBOLS + 1
DIM, DEPTH, HEADS = 32, 2, 8
RATES = (1e-3, 3e-3)
BATCH, CLIP = 16, 1.0


def sequences(
    n: int, delay: int, generator: torch.Generator
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B K"]]:
    """Return n inputs and the symbols asked for."""
    symbols = torch.randint(SYMBOLS, (n, TOKENS), generator=generator)
    blanks, cues = torch.full((n, delay), BLANK), torch.full((n, TOKENS), CUE)
    return torch.cat([symbols, blanks, cues], dim=1), symbols


def parameters(module: nn.Module) -> int:
    """Count the parameters."""
    return sum(p.numel() for p in module.parameters())


def equal_gru(stack: nn.Module, dim: int, depth: int, hidden: Iterable[int]) -> nn.GRU:
    """Return a GRU of at least as many parameters as a stack, in as many layers.

    Sizes of `hidden` are tried in their order.
    """
    sizes = (nn.GRU(dim, size, depth, batch_first=True) for size in hidden)
    return next(gru for gru in sizes if parameters(gru) >= parameters(stack))


def recall_gru() -> nn.GRU:
    """Return the GRU of the task."""
    return equal_gru(SioConvStack(DEPTH, DIM, HEADS), DIM, DEPTH, itertools.count(DIM))


class Recaller(nn.Module):
    """Embedding, core, and the logits of the symbol at every cue."""

    def __init__(self, core: SioConvStack | nn.GRU) -> None:
        super().__init__()
        self.core = core
        width = DIM if isinstance(core, SioConvStack) else core.hidden_size
        self.embed, self.norm = nn.Embedding(SYMBOLS + 2, DIM), nn.RMSNorm(width)
        self.head = nn.Linear(width, SYMBOLS)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B K S"]:
        """Return the logits at the cues."""
        x = self.embed(tokens)
        if isinstance(self.core, SioConvStack):
            x, _ = self.core(x, x.new_zeros(len(x), DEPTH, DIM))
        else:
            x, _ = self.core(x)
        logits: Tensor = self.head(self.norm(x[:, -TOKENS:]))
        return logits


def recall(name: str, delay: int, lr: float, updates: int) -> float:
    """Train one core; return the share of right symbols in 1,024 new sequences."""
    torch.manual_seed(0)
    core = SioConvStack(DEPTH, DIM, HEADS, dropout=0.0) if name == "SioConv" else recall_gru()
    net, generator = Recaller(core), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), lr)
    for _ in range(updates):
        tokens, symbols = sequences(BATCH, delay, generator)
        optimizer.zero_grad()
        F.cross_entropy(net(tokens).flatten(0, 1), symbols.flatten()).backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
    with torch.no_grad():
        tokens, symbols = sequences(1024, delay, generator)
        return float((net(tokens).argmax(-1) == symbols).float().mean())


def measurements(delays: Sequence[int], updates: int) -> Iterator[Measurement]:
    """Yield the sizes, then accuracies and times."""
    torch.set_num_threads(1)
    yield measured("SioConv: parameters", parameters(SioConvStack(DEPTH, DIM, HEADS)), "")
    yield measured("GRU: parameters", parameters(recall_gru()), "")
    for delay, name in itertools.product(delays, ("SioConv", "GRU")):
        began = time.perf_counter()
        right = [recall(name, delay, lr, updates) for lr in RATES]
        for lr, share in zip(RATES, right, strict=True):
            yield measured(f"{name} after {delay}, lr {lr:g}", share, "")
        yield measured(f"{name} after {delay}, best", max(right), "")
        yield measured(f"{name} after {delay}, time of a run",
                       (time.perf_counter() - began) / len(RATES), "s")  # fmt: skip


if __name__ == "__main__":
    bench_main(
        __doc__, measurements, delays=([64, 256], "blanks"), updates=(2000, "of 16 sequences each")
    )
