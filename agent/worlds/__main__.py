"""The short command of the VRChat emulator: `python -m agent.worlds`."""

import sys


def _main() -> int:
    try:
        # Loading the renderer takes a second, in which a person may press Ctrl-C.
        from agent.worlds.embedded.emulator.main import main

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(_main())
