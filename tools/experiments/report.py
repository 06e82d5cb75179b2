"""Report an experiment: tables, plots and film strips of its finished runs.

    python -m tools.experiments.report conf/experiments/smoke.yaml
    python -m tools.experiments.report conf/experiments/T1.yaml --out runs/experiments --to docs/T1

Writes table.csv and table.md (interquartile mean and 95 % bootstrap interval of every metric
of every point), runs.csv (every seed), behaviour.csv (runs by class of behaviour), coverage.png,
regions.png, visits.png, reward_map.png, and a film strip of each point's first seed.
"""

from __future__ import annotations

import csv
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.errors import UsageError
from pamiq_lightning.trainer.step_log import StepLogError
from pamiq_lightning.utils.console import print_failure, safe_print
from tools.experiments.film import film
from tools.experiments.metrics import CLASSES, Run, measure, read_run
from tools.experiments.spec import Spec, point_name, read_spec, spec_parser
from tools.experiments.statistics import Estimate, estimate

Metrics = dict[str, float | str]
RANDOM, REWARD, WORLD = "random", "reward", "world"
"""Names of axes and choices by which points are compared."""
SHORT = (
    "coverage",
    "coverage_over_time",
    "x_random",
    "of_clean",
    "reward_ratio",
    "reward_ratio_then",
    "reward_drop_std",
    "reward_new_cell_std",
    "reward_return_std",
    "noisy_time_x_area",
    "flicker_correlation",
    "entered_after_s",
    "reward_spike_std",
)
"""Columns of table.md."""


class Results:
    """All finished runs of an experiment and their metrics.

    Raises:
        UsageError: none is finished.
    """

    def __init__(self, spec: Spec, out: Path) -> None:
        self.spec = spec
        jobs = spec.jobs(out)
        self.jobs = [job for job in jobs if job.finished()]
        self.missing = len(jobs) - len(self.jobs)
        if not self.jobs:
            raise UsageError(
                f"no finished run in {out / spec.name}: python -m tools.experiments makes them"
            )
        self.runs: dict[str, list[Run]] = {}
        self.seeds: dict[str, list[Metrics]] = {}
        for job in sorted(self.jobs, key=lambda each: spec.points().index(each.point)):
            folder = job.run_folder()
            assert folder is not None
            run = read_run(folder)
            name = point_name(job.point)
            self.runs.setdefault(name, []).append(run)
            self.seeds.setdefault(name, []).append({"seed": job.seed, **self._measure(run)})
        self.points = {point_name(job.point): job.point for job in self.jobs}

    def _measure(self, run: Run) -> Metrics:
        metrics = measure(run, self.spec.change_at_s)
        noisy = run.map.noisy_region()
        if noisy is not None:
            spent = metrics[f"time {noisy}"]
            assert isinstance(spent, float)
            metrics["noisy_time_x_area"] = spent / run.map.area_shares()[noisy]
        return metrics

    def table(self) -> dict[str, dict[str, Estimate]]:
        """Return every metric of every point over its seeds."""
        table = {
            name: {
                key: estimate([float(seed[key]) for seed in seeds])
                for key, value in seeds[0].items()
                if not isinstance(value, str) and key != "seed"
            }
            for name, seeds in self.seeds.items()
        }
        for name in table:
            for column, other in (
                ("x_random", self._random(name)),
                ("of_clean", self._clean(name)),
            ):
                if other in table:
                    base = table[other]["coverage"].middle
                    found = table[name]["coverage"]
                    table[name][column] = Estimate(*(value / base for value in found))
        return table

    def _random(self, name: str) -> str:
        """Return the point that differs in that it acts at random."""
        return point_name(self.points[name] | {REWARD: RANDOM})

    def _clean(self, name: str) -> str | None:
        """Return the same point in the first of the worlds."""
        if WORLD not in self.spec.axes:
            return None
        first = next(iter(self.spec.axes[WORLD]))
        return point_name(self.points[name] | {WORLD: first})


def write(results: Results, folder: Path) -> None:
    """Write the whole report into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    table = results.table()
    _write_csv(
        folder / "runs.csv",
        [{"point": name, **seed} for name, seeds in results.seeds.items() for seed in seeds],
    )
    _write_csv(
        folder / "table.csv",
        [
            {"point": name, "seeds": len(results.seeds[name]), "metric": key, **found._asdict()}
            for name, metrics in table.items()
            for key, found in metrics.items()
        ],
    )
    _write_csv(
        folder / "behaviour.csv",
        [
            {"point": name, **dict.fromkeys(CLASSES.values(), 0)}
            | Counter(str(seed["behaviour"]) for seed in seeds)
            for name, seeds in results.seeds.items()
        ],
    )
    (folder / "table.md").write_text(markdown(results, table), encoding="utf-8")
    _draw(results, folder)


def _draw(results: Results, folder: Path) -> None:
    # It needs matplotlib, which is an extra.
    from tools.experiments import plots

    plots.coverage(results.runs, folder / "coverage.png")
    plots.regions(results.runs, folder / "regions.png")
    plots.visits(results.runs, folder / "visits.png")
    plots.reward_maps(results.runs, folder / "reward_map.png")
    for name, runs in results.runs.items():
        seed = results.seeds[name][0]["seed"]
        assert isinstance(seed, int)
        film(runs[0], seed).save(folder / f"film_{name}.png")


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _rounded(value) for key, value in row.items()})


def _rounded(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def markdown(results: Results, table: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Return the table with intervals and the coverage of every seed."""
    shown = [key for key in SHORT if any(key in metrics for metrics in table.values())]
    lines = ["| " + " | ".join(("point", "seeds", *shown, "coverage of every seed")) + " |"]
    lines.append("|---" * (len(shown) + 3) + "|")
    for name, metrics in table.items():
        seeds = results.seeds[name]
        each = ", ".join(f"{float(seed['coverage']):.3f}" for seed in seeds)
        cells = [_cell(metrics.get(key)) for key in shown]
        lines.append("| " + " | ".join((name, str(len(seeds)), *cells, each)) + " |")
    return "\n".join(lines) + "\n"


def _cell(found: Estimate | None) -> str:
    if found is None or math.isnan(found.middle):
        return "-"
    if math.isnan(found.low):
        return f"{found.middle:.3g}"
    return f"{found.middle:.3g} [{found.low:.3g}, {found.high:.3g}]"


def main() -> None:
    """Write the report of an experiment and print its table."""
    parser = spec_parser(__doc__)
    parser.add_argument("--to", type=Path, help="folder of the report; default: with the runs")
    options = parser.parse_args()
    try:
        spec = read_spec(options.spec)
        out = options.out.resolve()
        results = Results(spec, out)
        folder = options.to or out / spec.name / "report"
        write(results, folder)
    except (UsageError, StepLogError) as error:
        sys.exit(print_failure(error, 2))
    except ModuleNotFoundError as error:
        sys.exit(print_failure(f"{error}; install it with pip install -e '.[report]'", 2))
    safe_print((folder / "table.md").read_text(encoding="utf-8"))
    if results.missing:
        safe_print(f"{results.missing} runs are not finished and omitted.")
    safe_print(f"Report: {folder}")


if __name__ == "__main__":
    main()
