"""Inject faults into the whole system and print a table of their outcomes.

    python -m tools.faults                  all of them
    python -m tools.faults F1 F8 --trials 3
    python -m tools.faults disk             a group by its name

Faults of the body (F2, F4 to F7) need an X display without a VRChat window on it:
`xvfb-run -a python -m tools.faults F2`. Faults that hurt the machine (F8, F17, F18, F21, F22) are
skipped with a reason where this user may not inject them. Exit code 1 if a limit is missed.
"""

from __future__ import annotations

import sys

from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.ranges import Count, option
from tools.cli import let_children_heed_signals, make_parser
from tools.faults import (
    capture_faults,
    containers,
    disk,
    imports,
    instances,
    kill_all,
    learning,
    long_run,
    net,
    offline,
    refused_start,
    shutdown,
    time_faults,
    trainer,
    weight_tearing,
)
from tools.faults.machine import FaultNotPossibleError
from tools.faults.outcome import Outcome, render

_MODULES = (
    *(trainer, kill_all, disk, shutdown, learning, capture_faults, net, instances, time_faults),
    *(long_run, weight_tearing, containers, refused_start, imports, offline),
)
GROUPS = {module.__name__.rpartition(".")[2]: module.run for module in _MODULES}
FAULTS = {
    "F1": "trainer",
    "F1-all": "kill_all",
    "F2": "shutdown",
    "F3": "learning",
    "F4": "capture_faults",
    "F5": "capture_faults",
    "F6": "net",
    "F7": "net",
    "F8": "disk",
    "F11": "time_faults",
    "F12": "instances",
    "F13": "long_run",
    "F14": "weight_tearing",
    "F16": "learning",
    "F17": "containers",
    "F18": "refused_start",
    "F21": "imports",
    "F22": "offline",
}
"""Which group injects a fault; a group injects all of its faults."""


def main() -> int:
    """Run the chosen groups; return the exit code."""
    let_children_heed_signals()
    parser = make_parser(__doc__)
    parser.add_argument(
        "faults",
        nargs="*",
        choices=[*FAULTS, *GROUPS, []],
        metavar="FAULT",
        help=f"one of {', '.join([*FAULTS, *GROUPS])}; default: all",
    )
    parser.add_argument("--trials", type=option(Count), default=20, help="trials per group")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    for group in dict.fromkeys(FAULTS.get(name, name) for name in options.faults or GROUPS):
        try:
            outcomes += GROUPS[group](options.trials)
        except FaultNotPossibleError as error:
            outcomes.append(Outcome(group, "", 0, "", skipped=str(error)))
    safe_print(render(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
