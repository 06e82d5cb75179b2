"""Inject faults into the whole system and print a table of what came of it.

The faults of the body (F2, F4 to F7) need an X display without a VRChat window on it;
`xvfb-run -a python -m tools.faults` will do.
"""

from __future__ import annotations

import argparse
import sys

from tools.faults import (
    capture_faults,
    disk,
    instances,
    kill_all,
    learning,
    long_run,
    net,
    shutdown,
    time_faults,
    trainer,
    weight_tearing,
)
from tools.faults.outcome import Outcome, render

GROUPS = {
    "trainer": trainer.run,
    "everyone": kill_all.run,
    "disk": disk.run,
    "ending": shutdown.run,
    "learning": learning.run,
    "sight": capture_faults.run,
    "net": net.run,
    "instances": instances.run,
    "time": time_faults.run,
    "long": long_run.run,
    "torn": weight_tearing.run,
}
FAULTS = {
    "F1": "trainer",
    "F1-all": "everyone",
    "F2": "ending",
    "F3": "learning",
    "F4": "sight",
    "F5": "sight",
    "F6": "net",
    "F7": "net",
    "F8": "disk",
    "F11": "time",
    "F12": "instances",
    "F13": "long",
    "F14": "torn",
    "F16": "learning",
}
"""Which group injects a fault; a group brings all of its faults."""


def main() -> int:
    """Run the chosen groups; exit code 1 if a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument(
        "faults",
        nargs="*",
        choices=[*FAULTS, *GROUPS, []],
        metavar="FAULT",
        help=f"one of {', '.join([*FAULTS, *GROUPS])}; default: all",
    )
    parser.add_argument("--trials", type=int, default=20, help="trials a group")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    for group in dict.fromkeys(FAULTS.get(name, name) for name in options.faults or GROUPS):
        outcomes += GROUPS[group](options.trials)
    print(render(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
