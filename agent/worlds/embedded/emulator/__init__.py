"""A VRChat emulator: the embedded world in a window, driven over OSC."""
