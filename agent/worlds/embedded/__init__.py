"""The embedded 3-D world: simulation, rendering, scenes."""
