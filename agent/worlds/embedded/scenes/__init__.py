"""Scenes of the embedded world, one a file."""
