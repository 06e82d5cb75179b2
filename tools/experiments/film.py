"""A film strip of the most and the least rewarded transitions of a run.

No frame is stored: under lockstep the same seed and actions render the same frames again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.scenes.state import Frame
from tools.experiments.metrics import Run
from tools.series import largest_apart

COUNT = 6
APART_S = 5.0
"""Least time between two transitions of a strip."""
SETTLED = 0.1
"""Share of a run that is left out at its start, where all is surprising."""
STEPS = (-2, -1, 0)
"""Ticks shown of each transition, which ends with the last."""
SIZE, LABEL = 144, 14


class RenderError(Exception):
    """The world did not repeat a run."""


def surprising_rows(run: Run, count: int = COUNT) -> tuple[list[int], list[int]]:
    """Return the rows at the end of the most and the least rewarded transitions."""
    reward = np.full(len(run.rows), np.nan)
    reward[1:] = run.gained[:-1]
    reward[: max(int(SETTLED * len(reward)), -STEPS[0])] = np.nan
    apart = int(APART_S * run.rate)
    return largest_apart(reward, count, apart), largest_apart(-reward, count, apart)


def render_again(run: Run, seed: int, wanted: Sequence[int], size: int = SIZE) -> dict[int, Frame]:
    """Repeat the run's actions, and return the frames (3, size, size) of the rows wanted.

    Raises:
        RenderError: the body went elsewhere.
    """
    world = LockstepWorld(run.map.scene, size, seed, run.rate)
    simulation, frames, left = world.simulation, dict[int, Frame](), set(wanted)
    steps = round(PHYSICS_HZ / run.rate)
    for row in range(max(wanted) + 1):
        for _ in range(steps if row else 0):
            simulation.step()
        if row in left:
            body = simulation.scene_state.body
            if np.hypot(body.x - run.info["x"][row], body.y - run.info["y"][row]) > 1e-3:
                raise RenderError(
                    f"{run.folder}: the body is elsewhere at tick {row}: the worlds' code has "
                    "changed since, or the run was no lockstep run"
                )
            frames[row] = simulation.frame()
        world.act(run.rows["action"][row])
    return frames


def film(run: Run, seed: int) -> Image.Image:
    """Draw the strip: the most rewarded transitions above, the least rewarded below."""
    lines = surprising_rows(run)
    shown = sorted({row + step for rows in lines for row in rows for step in STEPS})
    frames = render_again(run, seed, shown)
    width = max(len(rows) for rows in lines) * (len(STEPS) * SIZE + 6)
    strip = Image.new("RGB", (width, 2 * (SIZE + LABEL)), "white")
    pen = ImageDraw.Draw(strip)
    for line, rows in enumerate(lines):
        for number, row in enumerate(rows):
            left, top = number * (len(STEPS) * SIZE + 6), line * (SIZE + LABEL)
            caption = f"tick {row}: reward {run.gained[row - 1]:.3g}"
            pen.text((left + 2, top + 1), caption, fill="black")
            for n, step in enumerate(STEPS):
                picture = Image.fromarray(frames[row + step].transpose(1, 2, 0))
                strip.paste(picture, (left + n * SIZE, top + LABEL))
    return strip
