"""Faults injected into the whole system, with wall-clock measurements: `python -m tools.faults`."""
