"""One screen: the street with a single flickering screen, the noisy television of the textbooks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.physics import Boxes
from agent.worlds.embedded.render.mesh import Mesh
from agent.worlds.embedded.scenes.base import BuiltScene
from agent.worlds.embedded.scenes.food_room import food_pictures
from agent.worlds.embedded.scenes.state import SceneEffect, SceneState
from agent.worlds.embedded.scenes.street import EAST_ALLEY_END, Street
from agent.worlds.embedded.scenes.texture_schedule import PictureClock

_WIDTH, _HEIGHT, _BOTTOM = 2.6, 2.0, 0.6
_LOOKING = math.radians(20.0)
"""The middle of the screen must be this near to the middle of the view."""
_SEEN_FROM = 25.0
_OFF = "screen_off"


class OneScreen(Street):
    """The street with one flickering screen at the end of the eastern alley.

    Args:
        images_per_second: how often its picture is replaced, 0 to 30.
        pool: how many different pictures there are.
        switch_on_s: seconds it must be looked at before it goes on; 0: it is always on.
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
        PictureClock(0, images_per_second, 0)
        if pool < 1:
            raise ValueError(f"pool must be at least 1, got {pool}")
        if switch_on_s < 0.0:
            raise ValueError(f"switch_on_s must not be negative, got {switch_on_s}")
        self.images_per_second = images_per_second
        self.pool = pool
        self.switch_on_s = switch_on_s

    def build(self, seed: int) -> BuiltScene:
        """Build the street and hang the screen; the seed decides the pictures and their order."""
        built = super().build(seed)
        panel = self._hang(built.mesh)
        pictures = food_pictures(self.pool, seed)
        images = dict(built.images)
        images |= {f"screen{number}": picture for number, picture in enumerate(pictures)}
        images[_OFF] = images["black"] // 2 | np.array([0, 0, 0, 255], np.uint8)
        built.images = images
        built.panels.append(_OFF)
        clock = PictureClock(1, self.images_per_second, seed)
        x, y = EAST_ALLEY_END
        built.effects.append(
            Screen(panel, clock, self.pool, (x, y), round(self.switch_on_s / TIMESTEP))
        )
        return built

    @staticmethod
    def _hang(mesh: Mesh) -> int:
        """Hang the screen on the fence, looking down the alley; returns its panel."""
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


class Screen(SceneEffect):
    """Shows pictures while it is on; on, it counts as flickering.

    Args:
        panel: what it is drawn on.
        clock: when its picture changes.
        pool: pictures to choose from.
        place: x and y of its middle.
        wait_steps: steps it must be looked at without a break before it goes on; it goes off when
            the body looks away. 0: always on.
    """

    def __init__(
        self, panel: int, clock: PictureClock, pool: int, scene: tuple[float, float],
        wait_steps: int,
    ) -> None:  # fmt: skip
        self._panel, self._clock, self._pool = panel, clock, pool
        self._scene, self._wait = scene, wait_steps
        self._looked = 0

    @property
    def is_on(self) -> bool:
        """Whether it shows pictures."""
        return self._looked >= self._wait

    def advance(self, scene_state: SceneState) -> None:
        """Count how long it has been looked at."""
        if self._wait:
            self._looked = self._looked + 1 if self._is_looked_at(scene_state) else 0

    def _is_looked_at(self, scene_state: SceneState) -> bool:
        body = scene_state.body
        dx, dy = self._scene[0] - body.x, self._scene[1] - body.y
        if dx <= 0.0 or math.hypot(dx, dy) > _SEEN_FROM:
            return False
        aside = math.remainder(math.atan2(dx, dy) - body.heading, math.tau)
        return abs(aside) < _LOOKING and _in_sight(body.x, body.y, dx, dy, scene_state.solids)

    def state_dict(self) -> dict[str, float]:
        """Return for how many steps it has been looked at."""
        return {"looked": self._looked}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Have been looked at for as many."""
        self._looked = int(state["looked"])

    def arrange(self, scene_state: SceneState) -> None:
        """Show the picture of this moment, or black."""
        if self.is_on:
            choice = int(self._clock.choices(scene_state.step, self._pool)[0])
            scene_state.panels[self._panel] = scene_state.texture_index[f"screen{choice}"]
        else:
            scene_state.panels[self._panel] = scene_state.texture_index[_OFF]
        scene_state.flickering[self._panel] = self.is_on and self._clock.runs and self._pool > 1


def _in_sight(x: float, y: float, dx: float, dy: float, solids: Boxes) -> bool:
    """Tell whether the straight line from (x, y) meets no solid before its last half metre."""
    with np.errstate(divide="ignore", invalid="ignore"):
        near_x, far_x = np.sort([(solids[:, 0] - x) / dx, (solids[:, 2] - x) / dx], axis=0)
        near_y, far_y = np.sort([(solids[:, 1] - y) / dy, (solids[:, 3] - y) / dy], axis=0)
    enter, leave = np.fmax(near_x, near_y), np.fmin(far_x, far_y)
    last = 1.0 - 0.5 / math.hypot(dx, dy)
    return not bool(((enter < leave) & (leave > 0.0) & (enter < last)).any())
