from __future__ import annotations

import torch
from tensordict import TensorDict

from pamiq_lightning.learners.decoder import ConvDecoder


def test_decoder_learns_to_reconstruct() -> None:
    learner = ConvDecoder(latent=(4, 3), image_size=8, channels=16, lr=3e-3)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    optimizer = learner.configure_optimizers()
    losses = []
    for step in range(150):
        colours = torch.randint(0, 256, (8, 3, 2, 2), dtype=torch.uint8)
        frames = torch.nn.functional.interpolate(colours.float(), size=24).to(torch.uint8)
        latent = colours.float().flatten(2).transpose(1, 2) / 128 - 1
        batch = TensorDict({"frame": frames, "latent": latent}, [8])
        loss = learner.training_step(batch, step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) / 10 < 0.3 * losses[0]


def test_decoder_has_no_acting_module() -> None:
    assert ConvDecoder(latent=(4, 3), image_size=8, channels=8).acting_module is None
