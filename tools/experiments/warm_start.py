"""What pretrained encoder weights are worth: the dynamics' error with and without them.

    python -m tools.experiments.warm_start                  3 seeds, 10 rollouts
    python -m tools.experiments.warm_start --json

Runs under lockstep, one after another; the error is that on the rollout before it is trained on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from tools.agent_process import AgentProcess
from tools.bench.limits import Measurement, bench_main, measured
from tools.saved_run import read_metrics

STARTS = {"blank": "japan_street", "warm": "japan_street_warm"}
METRICS = ("online_error_ratio", "online_latent_error", "online_copy_last_error")


def run(conf: str, seed: int, rollouts: int) -> dict[str, float]:
    """Run so many rollouts and one more; return the dynamics' metrics of that one."""
    settings = (
        *(f"conf={conf}", "size=tiny", f"seed={seed}", "world=embedded", "clock=lockstep"),
        *(f"steps={(rollouts + 1) * 128}", "record=false", "trainer.aim=false"),
        "learners.decoder.freeze=true",
    )
    with (
        tempfile.TemporaryDirectory(prefix="pamiq-warm-") as runs,
        AgentProcess(Path(runs), *settings) as agent,
    ):
        records = [r for r in read_metrics(agent.join(), "dynamics") if METRICS[0] in r]
    return {name: records[rollouts][name] for name in METRICS}


def measurements(seeds: int, rollouts: int) -> Iterator[Measurement]:
    """Yield the metrics of every run, and the mean of each start."""
    found: dict[str, list[dict[str, float]]] = {start: [] for start in STARTS}
    for seed in range(seeds):
        for start, conf in STARTS.items():
            found[start].append(run(conf, seed, rollouts))
            for name, value in found[start][-1].items():
                yield measured(f"{name}, {start}, seed {seed}", value, "")
    for start, runs in found.items():
        for name in METRICS:
            yield measured(f"{name}, {start}, mean", fmean(one[name] for one in runs), "")


if __name__ == "__main__":
    bench_main(
        __doc__,
        measurements,
        seeds=(3, "runs of each start"),
        rollouts=(10, "rollouts that are trained on"),
    )
