"""Faults injected into the whole system, with wall-clock figures: `python -m tools.faults`."""
