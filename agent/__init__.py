"""What acts: the real-time loop, the actor, capture and OSC, and the worlds."""

import sys

if sys.argv[:1] == ["-m"]:
    # `python -m agent.NAME` imports this before the program.
    from pamiq_lightning.utils.console import end_on_interrupt

    end_on_interrupt()
