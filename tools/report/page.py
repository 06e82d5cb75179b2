"""Puts one run on one page that needs nothing else: no server, no net, no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml

from agent.run_dir import ERROR_LOG, METRICS, SUMMARY
from tools.report import charts, maps, strips
from tools.report.run_data import RunData

MOMENTS = 4
TIMES = ("tick", "lateness", "latency")
TEMPLATE = Path(__file__).with_name("page.html")


def render(lived: RunData) -> str:
    """Return the page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    parts: dict[str, Any] = {
        "name": f"{lived.folder.parent.name}/{lived.folder.name}",
        "outcome": outcome(lived.summary, real=lived.settings["clock"] == "real"),
        "faults": faults(lived),
        "curves": [(role, charts.curves(series)) for role, series in lived.metrics.items()],
        "settings": yaml.safe_dump(lived.settings, sort_keys=False),
        **_learners(lived.summary),
        **_of_moments(lived),
    }
    titles = ["Outcome", "Faults", "Places", "Steps", "Actions", "Latency", "Curves", "Settings"]
    there = {"Places": "maps", "Steps": "highest", "Actions": "actions", "Latency": "intervals"}
    parts["sections"] = [
        (title.lower(), title) for title in titles if title not in there or parts[there[title]]
    ]
    parts["headline"] = _headline(lived)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(parts)


def _headline(lived: RunData) -> str:
    settings = lived.settings
    place = settings["scene"]["class_path"] if settings["world"] == "embedded" else "VRChat"
    reward = settings["curiosity"]["class_path"].rpartition(".")[2]
    return (
        f"{place.rpartition('.')[2]}, size {settings['size']}, {settings['rate']:g} Hz, "
        f"clock {settings['clock']}, policy {settings['policy']}, reward {reward}, "
        f"seed {settings['seed']}"
    )


def outcome(summary: dict[str, Any] | None, real: bool) -> list[tuple[str, str, bool]]:
    """Return label, value, and whether it is bad; under lockstep no time was taken."""
    if summary is None:
        return [(SUMMARY, "is missing: the run was killed, or still lives", True)]
    return [
        ("ended", str(summary["ended"]), summary["exit_code"] != 0),
        ("alive", f"{summary['alive_s'] / 3600:.2f} h", False),
        ("ticks", f"{summary['ticks']:,}", False),
        ("rate", f"{summary['rate_hz']:.3f} Hz", False),
        ("missed ticks", f"{summary['missed_ticks']:,}", summary["missed_ticks"] > 0),
        *(_percentiles(name, summary[f"{name}_ms"]) for name in (TIMES if real else ())),
        ("windows filled", f"{summary['rollouts_filled']:,}", False),
        ("windows dropped", f"{summary['rollouts_dropped']:,}", summary["rollouts_dropped"] > 0),
        ("paused", f"{summary['paused_s']:.0f} s in {summary['pauses']} pauses", False),
    ]


def _percentiles(name: str, metrics: dict[str, float | None]) -> tuple[str, str, bool]:
    shown = ", ".join(f"{k} {v:.1f}" for k, v in metrics.items() if v is not None)
    return f"{name}, ms", shown or "none", False


def _learners(summary: dict[str, Any] | None) -> dict[str, Any]:
    if summary is None or not summary["learners"]:
        return {"learners": [], "learner_heads": []}
    heads = list(next(iter(summary["learners"].values())))
    rows = [[role, *map(_cell, told.values())] for role, told in summary["learners"].items()]
    return {"learners": rows, "learner_heads": ["", *(head.replace("_", " ") for head in heads)]}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def faults(lived: RunData) -> list[str]:
    """Return in a line each what went wrong, as far as the run tells."""
    found, summary, moments = [], lived.summary, lived.moments
    if summary:
        if summary["trainer_restarts"]:
            found.append(f"the trainer was started anew {summary['trainer_restarts']} times")
        for role, told in summary["learners"].items():
            for what, name in (("skipped", "updates left out"), ("rollbacks", "rollbacks")):
                if told[what]:
                    found.append(f"{role}: {told[what]} {name}")
    if moments is not None:
        blind, breaks = int((~moments.valid).sum()), int(moments.is_first[1:].sum())
        if blind:
            found.append(f"{blind:,} recorded steps without sound senses")
        if breaks:
            found.append(f"{breaks} breaks: pauses, gaps, resumes or blindness")
    if lived.unreadable_lines:
        found.append(f"{lived.unreadable_lines} lines of {METRICS} cannot be read")
    if (lived.folder / ERROR_LOG).is_file():
        found.append(f"the agent failed: {ERROR_LOG} has the traceback")
    return found + lived.complaints()


def _of_moments(lived: RunData) -> dict[str, Any]:
    """Return what takes a recording; nothing of it where there is none."""
    moments, reader = lived.moments, lived.reader
    parts: dict[str, Any] = dict.fromkeys(("maps", "actions", "intervals"), "")
    parts |= {"highest": [], "lowest": [], "entropies": []}
    if moments is None or reader is None:
        return parts
    parts["actions"] = charts.actions(moments)
    parts["entropies"] = charts.action_entropies(moments)
    if lived.settings["clock"] == "real":
        parts["intervals"] = charts.intervals(moments)
    if maps.place_is_known(moments):
        parts["maps"] = maps.maps(moments)
    for which in ("highest", "lowest"):
        places = strips.choose(moments, which, MOMENTS)
        parts[which] = strips.strips(reader, moments, places)
    return parts
