"""VRChat's OSC protocol: sending inputs, parameters, and the watchdog."""
