"""Inject faults into the whole system and print a table of what came of it.

Needs an X display without a VRChat window on it; `xvfb-run -a python -m tools.faults` will do.
"""

from __future__ import annotations

import argparse
import sys

from tools.faults import ending, net, sight
from tools.faults.outcome import Outcome, render

GROUPS = {"ending": ending.run, "sight": sight.run, "net": net.run}


def main() -> int:
    """Run the chosen groups; exit code 1 if a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="default: all")
    parser.add_argument("--trials", type=int, default=20, help="trials a group")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    for group in options.groups or GROUPS:
        outcomes += GROUPS[group](options.trials)
    print(render(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
