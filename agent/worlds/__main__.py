"""The short command of the VRChat emulator: `python -m agent.worlds`."""

from agent.worlds.embedded.emulator.main import main

if __name__ == "__main__":
    main()
