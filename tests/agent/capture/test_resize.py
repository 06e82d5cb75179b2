from __future__ import annotations

import numpy as np

from agent.capture.resize import from_bgrx


def test_bgr_becomes_rgb() -> None:
    pixels = np.tile(np.array([10, 20, 30, 0], np.uint8), (40, 40, 1))
    frame = from_bgrx(pixels.tobytes(), 40, 40, 8)
    assert frame.shape == (3, 8, 8)
    assert frame.dtype == np.uint8
    assert frame[:, 3, 5].tolist() == [30, 20, 10]


def test_resize_averages_areas() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 4), np.uint8)
    frame = from_bgrx(pixels.tobytes(), 32, 32, 8)
    mean = pixels.reshape(8, 4, 8, 4, 4).mean(axis=(1, 3))[..., 2::-1].transpose(2, 0, 1)
    # Pillow rounds twice: after the rows and after the columns.
    assert np.abs(frame - mean).max() <= 1.0


def test_resize_ignores_the_fourth_channel() -> None:
    pixels = np.full((16, 16, 4), 200, np.uint8)
    pixels[..., 3] = np.arange(16, dtype=np.uint8)
    assert (from_bgrx(pixels.tobytes(), 16, 16, 4) == 200).all()


def test_resize_enlarges_a_small_capture() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 1] = 255
    frame = from_bgrx(pixels.tobytes(), 2, 2, 8)
    assert (frame[:, :4, 4:] == 255).all()
    assert frame.sum() == 3 * 16 * 255
