"""`python -m pamiq_lightning fit --config conf/learners/ijepa.yaml ...`: the Lightning CLI."""

import sys

from pamiq_lightning.utils.console import print_error


def _main() -> int:
    try:
        # Loading torch takes seconds, in which a person may press Ctrl-C.
        from pamiq_lightning.offline.cli import main

        return main()
    except KeyboardInterrupt:
        print_error("Stopped before it began.")
        return 130


if __name__ == "__main__":
    sys.exit(_main())
