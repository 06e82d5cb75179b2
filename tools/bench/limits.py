"""Measured numbers beside their limits, as a table or as lines of JSON.

Every program of `tools.bench` prints its measurements with this module: the name of the machine
first (to standard error with --json), then one line per measurement as soon as it is known. With
--json a line is an object with name, value, unit, limit, ok. The exit code is 1 if a limit is
missed.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from pamiq_lightning.utils.console import print_error, safe_print
from pamiq_lightning.utils.json_text import json_text
from pamiq_lightning.utils.ranges import Count, Seconds, option
from tools.cli import make_parser

_TYPES = {int: option(Count), float: option(Seconds)}


@dataclass(frozen=True)
class Measurement:
    """One measured number and its limit; None where there is none."""

    name: str
    value: float
    unit: str
    limit: float | None
    ok: bool

    def table_row(self) -> str:
        """Return one line for people."""
        if self.limit is None:
            return f"{self.name:36} {self.value:10.3f} {self.unit}"
        verdict = "ok" if self.ok else "MISSED"
        value = f"{self.value:10.3f} {self.unit:12}"
        return f"{self.name:36} {value} limit {self.limit:7.1f}  {verdict}"


def measured(name: str, value: float, unit: str) -> Measurement:
    """Return a measurement without a limit."""
    return Measurement(name, round(value, 3), unit, None, True)


def at_most(name: str, value: float, unit: str, limit: float) -> Measurement:
    """Return a measurement that should be small."""
    return Measurement(name, round(value, 3), unit, limit, value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Measurement:
    """Return a measurement that should be large."""
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


def bench_main(
    doc: str | None, measure: Callable[..., Iterable[Measurement]], **options: tuple[Any, str]
) -> NoReturn:
    """Print each measurement of a benchmark as soon as it is known; exit with 1 if one is missed.

    Args:
        doc: docstring of its module.
        measure: takes the options by name.
        options: of the command line, default and help of each; False is a flag, a list takes
            several values, and a tuple takes those that follow no option.
    """
    parser = make_parser(doc)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    for name, (default, text) in options.items():
        if default is False:
            parser.add_argument(f"--{name}", action="store_true", help=text)
        elif isinstance(default, tuple):
            parser.add_argument(name, nargs="*", help=text)
        else:
            one, several = (default[0], "+") if isinstance(default, list) else (default, None)
            kind = _TYPES.get(type(one), type(one))
            parser.add_argument(f"--{name}", type=kind, nargs=several, default=default, help=text)
    given = vars(parser.parse_args())
    as_json = given.pop("json")
    (print_error if as_json else safe_print)(machine())
    all_ok = True
    for measurement in measure(**given):
        safe_print(json_text(asdict(measurement)) if as_json else measurement.table_row())
        all_ok &= measurement.ok
    sys.exit(not all_ok)
