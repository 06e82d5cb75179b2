"""`python -m pamiq_lightning fit --config conf/learners/ijepa.yaml ...`: the Lightning CLI."""

import sys

from pamiq_lightning.utils.console import print_error, print_failure
from pamiq_lightning.utils.usage_error import UsageError, check_interpreter


def _main() -> int:
    try:
        check_interpreter()
        # Loading torch takes seconds, in which a person may press Ctrl-C.
        from pamiq_lightning.offline.cli import main

        return main()
    except UsageError as error:
        return print_failure(error, 2)
    except KeyboardInterrupt:
        print_error("Stopped before it began.")
        return 130


if __name__ == "__main__":
    sys.exit(_main())
