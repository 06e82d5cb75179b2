"""Plays a recording in a window or into a film: `python -m tools.player RUN`."""
