"""The short command of the VRChat emulator: `python -m agent.worlds`."""

import sys

from agent.worlds.embedded.emulator.main import main

if __name__ == "__main__":
    sys.exit(main())
