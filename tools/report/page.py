"""Renders one run as one page that needs nothing else: no server, no network, no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from agent.run_dir import ERROR_LOG, METRICS, SUMMARY
from pamiq_lightning.utils.yaml_files import dump_yaml
from tools.report import charts, maps, strips
from tools.report.run_data import RunData
from tools.series import action_entropies

STRIPS = 4
TIMES = ("tick", "lateness", "latency")
TEMPLATE = Path(__file__).with_name("page.html")


def render(run: RunData) -> str:
    """Return the page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    parts: dict[str, Any] = {
        "name": f"{run.folder.parent.name}/{run.folder.name}",
        "outcome": outcome(run.summary, real=run.settings["clock"] == "real"),
        "faults": faults(run),
        "curves": [(role, charts.curves(series)) for role, series in run.metrics.items()],
        "settings": dump_yaml(run.settings),
        **_learners(run.summary),
        **_recorded(run),
    }
    titles = ["Outcome", "Faults", "Maps", "Steps", "Actions", "Latency", "Curves", "Settings"]
    optional = {"Maps": "maps", "Steps": "highest", "Actions": "actions", "Latency": "intervals"}
    parts["sections"] = [
        (title.lower(), title)
        for title in titles
        if title not in optional or parts[optional[title]]
    ]
    parts["headline"] = _headline(run.settings)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(parts)


def _headline(settings: dict[str, Any]) -> str:
    scene = settings["scene"]["class_path"] if settings["world"] == "embedded" else "VRChat"
    reward = settings["curiosity"]["class_path"].rpartition(".")[2]
    return (
        f"{scene.rpartition('.')[2]}, size {settings['size']}, {settings['rate']:g} Hz, "
        f"clock {settings['clock']}, policy {settings['policy']}, reward {reward}, "
        f"seed {settings['seed']}"
    )


def outcome(summary: dict[str, Any] | None, real: bool) -> list[tuple[str, str, bool]]:
    """Return label, value, and whether it is bad; under lockstep there are no times."""
    if summary is None:
        return [(SUMMARY, "is missing or damaged: the run was killed, or still runs", True)]
    return [
        ("ended", str(summary["ended"]), summary["exit_code"] != 0),
        ("alive", f"{summary['alive_s'] / 3600:.2f} h", False),
        ("ticks", f"{summary['ticks']:,}", False),
        ("rate", f"{summary['rate_hz']:.3f} Hz", False),
        ("missed ticks", f"{summary['missed_ticks']:,}", summary["missed_ticks"] > 0),
        *(_percentiles(name, summary[f"{name}_ms"]) for name in (TIMES if real else ())),
        ("rollouts filled", f"{summary['rollouts_filled']:,}", False),
        ("rollouts dropped", f"{summary['rollouts_dropped']:,}", summary["rollouts_dropped"] > 0),
        ("paused", f"{summary['paused_s']:.0f} s in {summary['pauses']} pauses", False),
    ]


def _percentiles(name: str, values: dict[str, float | None]) -> tuple[str, str, bool]:
    shown = ", ".join(f"{k} {v:.1f}" for k, v in values.items() if v is not None)
    return f"{name}, ms", shown or "none", False


def _learners(summary: dict[str, Any] | None) -> dict[str, Any]:
    if summary is None or not summary["learners"]:
        return {"learners": [], "learner_heads": []}
    heads = list(next(iter(summary["learners"].values())))
    rows = [[role, *map(_cell, counts.values())] for role, counts in summary["learners"].items()]
    return {"learners": rows, "learner_heads": ["", *(head.replace("_", " ") for head in heads)]}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def faults(run: RunData) -> list[str]:
    """Return a line for each fault that the run's files report."""
    found, summary, steps = [], run.summary, run.steps
    if summary:
        if summary["trainer_restarts"]:
            found.append(f"the trainer was restarted {summary['trainer_restarts']} times")
        for role, counts in summary["learners"].items():
            for key, name in (("skipped", "updates skipped"), ("rollbacks", "rollbacks")):
                if counts[key]:
                    found.append(f"{role}: {counts[key]} {name}")
    if steps is not None:
        invalid, breaks = int((~steps.valid).sum()), int(steps.is_first[1:].sum())
        if invalid:
            found.append(f"{invalid:,} recorded steps are not valid")
        if breaks:
            found.append(f"{breaks} breaks: pauses, gaps, resumes or invalid frames")
    if run.unreadable_lines:
        found.append(f"{run.unreadable_lines} lines of {METRICS} cannot be read")
    if (run.folder / ERROR_LOG).is_file():
        found.append(f"the agent failed: {ERROR_LOG} has the traceback")
    return found + run.warnings()


def _recorded(run: RunData) -> dict[str, Any]:
    """Return the parts that need a recording; empty ones without."""
    steps, reader = run.steps, run.reader
    parts: dict[str, Any] = dict.fromkeys(("maps", "actions", "intervals"), "")
    parts |= {"highest": [], "lowest": [], "entropies": []}
    if steps is None or reader is None:
        return parts
    parts["actions"] = charts.actions(steps)
    entropies = action_entropies(steps.action)
    parts["entropies"] = [(name, bits, most) for name, (bits, most) in entropies.items()]
    if run.settings["clock"] == "real":
        parts["intervals"] = charts.intervals(steps)
    if maps.has_positions(steps):
        parts["maps"] = maps.maps(steps)
    for which in ("highest", "lowest"):
        parts[which] = strips.strips(reader, steps, strips.choose(steps, which, STRIPS))
    return parts
