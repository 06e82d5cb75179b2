"""The VRChat emulator: an embedded scene in a window, driven over VRChat's OSC protocol."""
