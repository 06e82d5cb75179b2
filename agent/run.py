"""The entry: `python -m agent.run conf=NAME key=value ...`.

Reads the settings, starts the trainer, builds the agent and its world, runs the loop, and prints a
summary. Exit codes: 0 stopped on request, 1 a failure, 2 wrong usage, 130 stopped at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agent.errors import RunFailure, StoppedEarly, UsageError
from agent.lifecycle.signals import ForceQuit, StopRequest
from pamiq_lightning.utils.console import open_missing_streams, print_error, print_failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one run; return the exit code."""
    open_missing_streams()
    try:
        with StopRequest() as stop:
            # Loading the rest takes a second, in which a person may press Ctrl-C.
            from agent.lifecycle.start import start

            return start(sys.argv[1:] if arguments is None else arguments, stop)
    except UsageError as error:
        return print_failure(error, 2)
    except RunFailure as error:
        return print_failure(error)
    except StoppedEarly:
        print_error("Stopped before the first tick.")
        return 0
    except (KeyboardInterrupt, ForceQuit):
        print_error("Stopped at once.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
