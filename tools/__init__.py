"""What people run on results: benchmarks, experiments, faults, reports."""

import sys

if sys.argv[:1] == ["-m"]:
    # `python -m tools.NAME` imports this before the program.
    from pamiq_lightning.utils.console import end_on_interrupt

    end_on_interrupt()
