"""What a trained encoder is worth to a new life: its dynamics' error beside a blank start's.

    python -m tools.experiments.warm_start                  a table, 3 seeds, 10 windows
    python -m tools.experiments.warm_start --json  one line a figure: name, value, unit, limit, ok

Lives under lockstep, one after another; the error is that of the window before it is trained on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from agent.run_dir import METRICS
from tools.bench.limits import Measurement, measured, print_measurements

STARTS = {"blank": "japan_street", "warm": "japan_street_warm"}
FIGURES = ("online_error_ratio", "online_latent_error", "online_copy_last_error")


def live(conf: str, seed: int, rollouts: int) -> dict[str, float]:
    """Live so many windows and one more; return the dynamics' figures of that one."""
    with tempfile.TemporaryDirectory(prefix="pamiq-warm-") as runs:
        subprocess.run(
            [
                *(sys.executable, "-m", "agent.run", f"conf={conf}", "size=tiny", f"seed={seed}"),
                *("world=embedded", "clock=lockstep", f"steps={(rollouts + 1) * 128}"),
                *("record=false", "trainer.aim=false", "learners.decoder.freeze=true"),
                f"runs={runs}",
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        (path,) = Path(runs).glob(f"*/*/{METRICS}")
        records = [json.loads(line) for line in path.read_text().splitlines()]
    told = [r for r in records if r["role"] == "dynamics" and FIGURES[0] in r]
    return {name: told[rollouts][name] for name in FIGURES}


def measurements(seeds: int, rollouts: int) -> Iterator[Measurement]:
    """Yield the figures of every life, and the mean of each start."""
    found: dict[str, list[dict[str, float]]] = {start: [] for start in STARTS}
    for seed in range(seeds):
        for start, conf in STARTS.items():
            found[start].append(live(conf, seed, rollouts))
            for name, value in found[start][-1].items():
                yield measured(f"{name}, {start}, seed {seed}", value, "")
    for start, lives in found.items():
        for name in FIGURES:
            yield measured(f"{name}, {start}, mean", fmean(one[name] for one in lives), "")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seeds", type=int, default=3, help="lives of each start")
    parser.add_argument("--windows", type=int, default=10, help="windows that are trained on")
    options = parser.parse_args()
    print_measurements(measurements(options.seeds, options.rollouts), options.json)


if __name__ == "__main__":
    main()
