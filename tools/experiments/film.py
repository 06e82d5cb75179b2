"""A film strip of the most and the least surprising moments of a run.

No frame was kept: under lockstep the same seed and actions make the same world again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.scenes.state import Picture
from tools.experiments.metrics import Run

MOMENTS = 6
APART_S = 5.0
"""Between any two moments of a strip."""
SETTLED = 0.1
"""Share of a life that is left out: at its beginning all is surprising."""
STEPS = (-2, -1, 0)
"""Ticks shown of each moment; the reward is of the step into the last."""
SIZE, LABEL = 144, 14


class ReplayError(Exception):
    """The world did not come out as it was."""


def moments(run: Run, count: int = MOMENTS) -> tuple[list[int], list[int]]:
    """Return the rows into which the most and the least surprising transitions led."""
    reward = np.full(len(run.rows), np.nan)
    reward[1:] = run.gained[:-1]
    reward[: max(int(SETTLED * len(reward)), -STEPS[0])] = np.nan
    apart = int(APART_S * run.rate)
    return _picked(-reward, count, apart), _picked(reward, count, apart)


def _picked(key: NDArray[np.float64], count: int, apart: int) -> list[int]:
    """Return the places of the smallest values, none nearer than `apart` to one before."""
    picked: list[int] = []
    for scene in np.argsort(key, kind="stable").tolist():
        if np.isnan(key[scene]) or len(picked) == count:
            break
        if all(abs(scene - other) >= apart for other in picked):
            picked.append(scene)
    return picked


def replay(run: Run, seed: int, wanted: Sequence[int], size: int = SIZE) -> dict[int, Picture]:
    """Live the run's actions again, and return the frames (3, size, size) of the rows wanted.

    Raises:
        ReplayError: the body did not go where it went.
    """
    world = LockstepWorld(run.map.scene, size, seed, run.rate)
    simulation, frames, left = world.simulation, dict[int, Picture](), set(wanted)
    steps = round(PHYSICS_HZ / run.rate)
    for row in range(max(wanted) + 1):
        for _ in range(steps if row else 0):
            simulation.step()
        if row in left:
            body = simulation.scene_state.body
            if np.hypot(body.x - run.info["x"][row], body.y - run.info["y"][row]) > 1e-3:
                raise ReplayError(
                    f"{run.folder}: tick {row} of the replay is elsewhere than it was: the code of "
                    "the worlds has changed since, or the run was no lockstep one"
                )
            frames[row] = simulation.frame()
        world.act(run.rows["action"][row])
    return frames


def film(run: Run, seed: int) -> Image.Image:
    """Draw the strip: the most surprising moments above, the least surprising below."""
    rows = moments(run)
    shown = sorted({scene + step for row in rows for scene in row for step in STEPS})
    frames = replay(run, seed, shown)
    width = max(len(row) for row in rows) * (len(STEPS) * SIZE + 6)
    strip = Image.new("RGB", (width, 2 * (SIZE + LABEL)), "white")
    pen = ImageDraw.Draw(strip)
    for line, row in enumerate(rows):
        for number, scene in enumerate(row):
            left, top = number * (len(STEPS) * SIZE + 6), line * (SIZE + LABEL)
            told = f"tick {scene}: reward {run.gained[scene - 1]:.3g}"
            pen.text((left + 2, top + 1), told, fill="black")
            for n, step in enumerate(STEPS):
                picture = Image.fromarray(frames[scene + step].transpose(1, 2, 0))
                strip.paste(picture, (left + n * SIZE, top + LABEL))
    return strip
