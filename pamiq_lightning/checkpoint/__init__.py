"""Checkpoints: file formats, storage, snapshots, RNG state."""
