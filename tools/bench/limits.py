"""Measured numbers beside the limits they must keep, as a table or as lines of JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measurement:
    """One measured number and its limit."""

    name: str
    value: float
    unit: str
    limit: float | None
    ok: bool


def measured(name: str, value: float, unit: str) -> Measurement:
    """Return a figure that is only to be known."""
    return Measurement(name, round(value, 3), unit, None, True)


def at_most(name: str, value: float, unit: str, limit: float) -> Measurement:
    """Return a figure that should be small."""
    return Measurement(name, round(value, 3), unit, limit, value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Measurement:
    """Return a figure that should be large."""
    return Measurement(name, round(value, 3), unit, limit, value >= limit)


def machine() -> str:
    """Name the processor and the system."""
    cpu = platform.processor() or platform.machine()
    table = Path("/proc/cpuinfo")
    if table.exists():
        names = [line for line in table.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{cpu}, {os.cpu_count()} cores, {system}"


def json_row(figure: Measurement) -> str:
    """Return a figure as one line for programs."""
    return json.dumps(asdict(figure))


def table_row(figure: Measurement) -> str:
    """Return a figure as one line for people."""
    if figure.limit is None:
        return f"{figure.name:36} {figure.value:10.3f} {figure.unit}"
    verdict = "ok" if figure.ok else "MISSED"
    value = f"{figure.value:10.3f} {figure.unit:12}"
    return f"{figure.name:36} {value} limit {figure.limit:7.1f}  {verdict}"


def print_measurements(figures: Iterable[Measurement], as_json: bool) -> bool:
    """Print every figure as soon as it is known; return whether all are within their limits.

    The machine's name comes first (to standard error with JSON).
    """
    print(machine(), file=sys.stderr if as_json else sys.stdout)
    kept = True
    for figure in figures:
        print(json_row(figure) if as_json else table_row(figure), flush=True)
        kept &= figure.ok
    return kept
