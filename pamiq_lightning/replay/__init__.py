"""Replay buffers on TorchRL."""
