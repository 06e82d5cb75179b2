"""One screen: the street with a single flickering screen (the noisy-TV problem)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.physics import Boxes
from agent.worlds.embedded.render.mesh import Mesh
from agent.worlds.embedded.scenes.base import BuiltScene
from agent.worlds.embedded.scenes.food_room import food_textures
from agent.worlds.embedded.scenes.state import SceneEffect, SceneState
from agent.worlds.embedded.scenes.street import EAST_ALLEY_END, Street
from agent.worlds.embedded.scenes.texture_schedule import TextureSchedule, check_rate

_WIDTH, _HEIGHT, _BOTTOM = 2.6, 2.0, 0.6
_LOOKING = math.radians(20.0)
"""Largest angle between the view and the centre of the screen while it is looked at."""
_RANGE = 25.0
"""Metres from which the screen can be looked at."""
_OFF = "screen_off"


class OneScreen(Street):
    """The street with one flickering screen at the end of the eastern alley.

    Args:
        images_per_second: rate at which its picture changes, 0 to 30.
        pool: number of different pictures.
        switch_on_s: seconds that it must be looked at to switch on; 0: always on.
        street: settings of the street around it.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        images_per_second: float = 10.0,
        pool: int = 50,
        switch_on_s: float = 0.0,
        **street: Any,
    ) -> None:
        super().__init__(**street)
        if pool < 1:
            raise ValueError(f"pool must be at least 1, got {pool}")
        if switch_on_s < 0.0:
            raise ValueError(f"switch_on_s must not be negative, got {switch_on_s}")
        self.images_per_second = check_rate(images_per_second)
        self.pool = pool
        self.switch_on_s = switch_on_s

    def build(self, seed: int) -> BuiltScene:
        """Build the street and the screen; the seed decides the pictures and their order."""
        built = super().build(seed)
        panel = self._hang(built.mesh)
        textures = dict(built.textures)
        for number, texture in enumerate(food_textures(self.pool, seed)):
            textures[f"screen{number}"] = texture
        textures[_OFF] = textures["black"] // 2 | np.array([0, 0, 0, 255], np.uint8)
        built.textures = textures
        built.panels.append(_OFF)
        schedule = TextureSchedule(1, self.images_per_second, seed)
        x, y = EAST_ALLEY_END
        built.effects.append(
            ScreenEffect(panel, schedule, self.pool, (x, y), round(self.switch_on_s / TIMESTEP))
        )
        return built

    @staticmethod
    def _hang(mesh: Mesh) -> int:
        """Build the screen on the fence, facing down the alley; return its panel."""
        x, y = EAST_ALLEY_END
        left, right, top = -_WIDTH / 2, _WIDTH / 2, _BOTTOM + _HEIGHT
        panel = mesh.panel()
        with mesh.at(x, y, turn=-math.pi / 2):
            frame = (_WIDTH + 0.2, 0.1, _HEIGHT + 0.2)
            mesh.box((0.0, -0.06, _BOTTOM + _HEIGHT / 2), frame, "black")
            mesh.quad(
                ((left, -0.12, _BOTTOM), (right, -0.12, _BOTTOM),
                 (right, -0.12, top), (left, -0.12, top)),
                _OFF, 1.1, panel=panel, fog=0.3,
            )  # fmt: skip
        return panel


class ScreenEffect(SceneEffect):
    """Shows changing pictures while it is on; it then counts as flickering.

    Args:
        panel: of the screen.
        schedule: when its picture changes.
        pool: number of pictures.
        centre: x and y of the screen.
        wait_steps: consecutive steps that it must be looked at to switch on; it switches off when
            the body looks away. 0: always on.
    """

    def __init__(
        self, panel: int, schedule: TextureSchedule, pool: int, centre: tuple[float, float],
        wait_steps: int,
    ) -> None:  # fmt: skip
        self._panel, self._schedule, self._pool = panel, schedule, pool
        self._centre, self._wait = centre, wait_steps
        self._looked = 0

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return self._looked >= self._wait

    def step(self, scene_state: SceneState) -> None:
        """Count the steps that it has been looked at."""
        if self._wait:
            self._looked = self._looked + 1 if self._is_looked_at(scene_state) else 0

    def _is_looked_at(self, scene_state: SceneState) -> bool:
        body = scene_state.body
        dx, dy = self._centre[0] - body.x, self._centre[1] - body.y
        if dx <= 0.0 or math.hypot(dx, dy) > _RANGE:
            return False
        aside = math.remainder(math.atan2(dx, dy) - body.heading, math.tau)
        return abs(aside) < _LOOKING and _is_visible(body.x, body.y, dx, dy, scene_state.solids)

    def state_dict(self) -> dict[str, float]:
        """Return the steps that it has been looked at."""
        return {"looked": self._looked}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Set the steps that it has been looked at."""
        self._looked = int(state["looked"])

    def animate(self, scene_state: SceneState) -> None:
        """Show the picture of this step, or black."""
        if self.is_on:
            choice = int(self._schedule.choices(scene_state.step, self._pool)[0])
            scene_state.panels[self._panel] = scene_state.texture_index[f"screen{choice}"]
        else:
            scene_state.panels[self._panel] = scene_state.texture_index[_OFF]
        scene_state.flickering[self._panel] = (
            self.is_on and self._schedule.is_changing and self._pool > 1
        )


def _is_visible(x: float, y: float, dx: float, dy: float, solids: Boxes) -> bool:
    """Return whether the line from (x, y) meets no solid before its last half metre."""
    with np.errstate(divide="ignore", invalid="ignore"):
        near_x, far_x = np.sort([(solids[:, 0] - x) / dx, (solids[:, 2] - x) / dx], axis=0)
        near_y, far_y = np.sort([(solids[:, 1] - y) / dy, (solids[:, 3] - y) / dy], axis=0)
    enter, leave = np.fmax(near_x, near_y), np.fmin(far_x, far_y)
    last = 1.0 - 0.5 / math.hypot(dx, dy)
    return not bool(((enter < leave) & (leave > 0.0) & (enter < last)).any())
