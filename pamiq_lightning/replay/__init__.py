"""Replay buffers: what each learner remembers of its experience, on TorchRL's buffers."""
