"""`python -m pamiq_lightning fit --config conf/learners/ijepa.yaml ...`: the Lightning CLI."""

import sys

from pamiq_lightning.offline.cli import main

if __name__ == "__main__":
    sys.exit(main())
