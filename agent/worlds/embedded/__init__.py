"""The embedded 3-D world: simulation, physics, rasterizer, scenes, emulator."""
