"""One embedded world, stepped by hand: inputs in, frames and ground truth out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.inputs import InputController
from agent.worlds.embedded.physics import Body, advance, is_clear
from agent.worlds.embedded.render.renderer import Renderer
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.state import CellGrid, Frame, SceneState

INFO_NAMES = (
    "x",
    "y",
    "z",
    "heading",
    "velocity_x",
    "velocity_y",
    "velocity_z",
    "angular_velocity",
    "grounded",
    "collided",
    "cell",
    "flicker_share",
    "step",
)
"""Ground truth in metres, seconds and radians; axes as in `agent.worlds.embedded.render.mesh`."""
Size = int | tuple[int, int]
"""Side of square frames, or (height, width)."""


class Simulation:
    """A place with a body in it, the same for the same seed and inputs.

    Args:
        place: the world's recipe.
        size: of the frames: the side of square ones, or (height, width).
        seed: of everything left to chance.
        field_of_view: vertical, degrees.
        supersample: pixels drawn for each pixel shown, along each side.

    Attributes:
        info_names: what each number of `info` means.
        stage: the state in full, for tools and tests.
    """

    def __init__(
        self,
        scene: Scene,
        size: Size,
        seed: int,
        field_of_view: float = 60.0,
        supersample: int = 1,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self.info_names = INFO_NAMES
        built = scene.build(seed)
        height, width = (size, size) if isinstance(size, int) else size
        self._renderer = Renderer(built, height, width, field_of_view, supersample)
        self._effects = built.effects
        self._inputs = InputController()
        index = self._renderer.texture_index
        self.scene_state = SceneState(
            seed=seed,
            step=0,
            body=Body(built.start.x, built.start.y, built.start.heading),
            solids=np.array(built.mesh.solids, np.float64).reshape(-1, 4),
            bounds=np.array([built.bounds], np.float64),
            cells=CellGrid.within(*built.bounds[:3]),
            poses=np.repeat(np.eye(3, 4, dtype=np.float32)[None], built.mesh.part_count, axis=0),
            panels=np.array([index[name] for name in built.panels], np.int32),
            flickering=np.zeros(len(built.panels), np.bool_),
            atlas=self._renderer.atlas,
            texture_index=index,
        )
        for effect in self._effects:
            effect.begin(self.scene_state)
        if not is_clear(
            built.start.x, built.start.y, self.scene_state.solids, self.scene_state.bounds
        ):
            raise ValueError(f"the start of {type(scene).__name__} is inside something")
        # Stand still once: what is not compiled yet is compiled now, not in the middle of a run.
        advance(
            self.scene_state.body,
            InputController().wish(),
            self.scene_state.solids,
            self.scene_state.bounds,
        )
        for effect in self._effects:
            effect.prepare(self.scene_state, self._look)
        self._flicker_share = math.nan
        self._drawn_step = -1

    def set_input(self, address: str, value: object) -> None:
        """Take one OSC message with VRChat's semantics (see `agent.worlds.embedded.inputs`).

        Raises:
            ValueError: an address that is no input, or a value that is no number.
        """
        self._inputs.set(address, value)

    def release_inputs(self) -> None:
        """Put every input back to neutral."""
        self._inputs.release_inputs()

    def step(self) -> None:
        """Take exactly one physics step of 1/30 s."""
        scene_state = self.scene_state
        scene_state.step += 1
        advance(scene_state.body, self._inputs.wish(), scene_state.solids, scene_state.bounds)
        for effect in self._effects:
            effect.advance(scene_state)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values that, with place, size and seed, say how the world stands."""
        return {
            "step": self.scene_state.step,
            "body": asdict(self.scene_state.body),
            "inputs": self._inputs.state_dict(),
            "effects": [[type(h).__name__, h.state_dict()] for h in self._effects],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the world stand as `state` says.

        Raises:
            ValueError: it is the state of another place.
        """
        names = [name for name, _ in state["effects"]]
        if names != [type(h).__name__ for h in self._effects]:
            raise ValueError(f"the state is that of a scene with {', '.join(names) or 'nothing'}")
        self.scene_state.step = state["step"]
        self.scene_state.body = Body(
            **state["body"] | {"velocity": tuple(state["body"]["velocity"])}
        )
        self._inputs.load_state_dict(state["inputs"])
        for effect, (_, told) in zip(self._effects, state["effects"], strict=True):
            effect.load_state_dict(told, self.scene_state)

    def frame(self) -> Frame:
        """Draw what the body sees now, (3, H, W)."""
        picture, share = self._draw()
        for effect in self._effects:
            covered = effect.cover(picture, self.scene_state)
            share = covered + (1.0 - covered) * share
        self._flicker_share, self._drawn_step = share, self.scene_state.step
        return picture

    def _draw(self) -> tuple[Frame, float]:
        for effect in self._effects:
            effect.arrange(self.scene_state)
        return self._renderer.draw(self.scene_state)

    def _look(self, x: float, y: float, heading: float) -> Frame:
        body = self.scene_state.body
        self.scene_state.body = Body(x, y, heading)
        picture, _ = self._draw()
        self.scene_state.body = body
        return picture

    def info(self) -> NDArray[np.float32]:
        """Return the ground truth (K,); `flicker_share` is NaN until this step's frame is drawn."""
        body, step = self.scene_state.body, self.scene_state.step
        return np.array(
            [
                body.x,
                body.y,
                body.z,
                body.heading,
                *body.velocity,
                body.angular_velocity,
                body.grounded,
                body.collided,
                self.scene_state.cells.number(body.x, body.y),
                self._flicker_share if self._drawn_step == step else math.nan,
                step,
            ],
            np.float32,
        )
