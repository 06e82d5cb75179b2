"""One embedded world, stepped by hand: inputs in, frames and ground truth out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.inputs import InputController
from agent.worlds.embedded.physics import Body, is_clear, step_body
from agent.worlds.embedded.render.renderer import Renderer
from agent.worlds.embedded.scenes.base import BuiltScene, Scene
from agent.worlds.embedded.scenes.state import CellGrid, Frame, SceneState
from pamiq_lightning.utils.instantiate import user_code

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
"""Side of square frames, or (height, width), pixels."""


class Simulation:
    """A scene with a body in it; the same seed and inputs give the same frames.

    Args:
        scene: to build.
        size: side of square frames, or (height, width), pixels.
        seed: of all randomness.
        field_of_view: vertical, degrees.
        supersample: rendered samples per pixel along each side.

    Attributes:
        info_names: what each number of `info` means.
        scene_state: the complete state, for tools and tests.

    Raises:
        ValueError: a negative seed, an impossible view, or a start inside a solid.
    """

    def __init__(
        self, scene: Scene, size: Size, seed: int, field_of_view: float = 60.0, supersample: int = 1
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self.info_names = INFO_NAMES
        with user_code(f"scene: {type(scene).__qualname__} cannot be built"):
            built = scene.build(seed)
        height, width = (size, size) if isinstance(size, int) else size
        self._renderer = Renderer(built, height, width, field_of_view, supersample)
        self._effects = built.effects
        self._inputs = InputController()
        self.scene_state = state = _initial_state(built, seed, self._renderer)
        for effect in self._effects:
            effect.reset(state)
        if not is_clear(state.body.x, state.body.y, state.solids, state.bounds):
            raise ValueError(f"the start of {type(scene).__name__} is inside something")
        # A step without inputs compiles what is not compiled yet, before the run begins.
        step_body(state.body, InputController().next_command(), state.solids, state.bounds)
        for effect in self._effects:
            effect.prepare(state, self._render_view)
        self._flicker_share = math.nan
        self._rendered_step = -1

    def set_input(self, address: str, value: object) -> None:
        """Set one input by its OSC address (see `agent.worlds.embedded.inputs`).

        Raises:
            ValueError: an unknown address, or a value that is not a number.
        """
        self._inputs.set(address, value)

    def release_inputs(self) -> None:
        """Set every input to neutral."""
        self._inputs.release_inputs()

    def step(self) -> None:
        """Take one physics step."""
        state = self.scene_state
        state.step += 1
        step_body(state.body, self._inputs.next_command(), state.solids, state.bounds)
        for effect in self._effects:
            effect.step(state)

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes with time, as built-in types."""
        return {
            "step": self.scene_state.step,
            "body": asdict(self.scene_state.body),
            "inputs": self._inputs.state_dict(),
            "effects": [[type(effect).__name__, effect.state_dict()] for effect in self._effects],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of the same scene, size and seed.

        Raises:
            ValueError: the state of another scene.
        """
        names = [name for name, _ in state["effects"]]
        if names != [type(effect).__name__ for effect in self._effects]:
            raise ValueError(f"the state is that of a scene with {', '.join(names) or 'nothing'}")
        self.scene_state.step = state["step"]
        velocity = tuple(state["body"]["velocity"])
        self.scene_state.body = Body(**state["body"] | {"velocity": velocity})
        self._inputs.load_state_dict(state["inputs"])
        for effect, (_, saved) in zip(self._effects, state["effects"], strict=True):
            effect.load_state_dict(saved, self.scene_state)

    def frame(self) -> Frame:
        """Render the view of the body, (3, H, W)."""
        frame, share = self._render()
        for effect in self._effects:
            covered = effect.post_process(frame, self.scene_state)
            share = covered + (1.0 - covered) * share
        self._flicker_share, self._rendered_step = share, self.scene_state.step
        return frame

    def _render(self) -> tuple[Frame, float]:
        for effect in self._effects:
            effect.animate(self.scene_state)
        return self._renderer.draw(self.scene_state)

    def _render_view(self, x: float, y: float, heading: float) -> Frame:
        body = self.scene_state.body
        self.scene_state.body = Body(x, y, heading)
        frame, _ = self._render()
        self.scene_state.body = body
        return frame

    def info(self) -> NDArray[np.float32]:
        """Return the ground truth (K,); `flicker_share` is NaN until this step is rendered."""
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
                self._flicker_share if self._rendered_step == step else math.nan,
                step,
            ],
            np.float32,
        )


def _initial_state(built: BuiltScene, seed: int, renderer: Renderer) -> SceneState:
    index = renderer.texture_index
    return SceneState(
        seed=seed,
        step=0,
        body=Body(built.start.x, built.start.y, built.start.heading),
        solids=np.array(built.mesh.solids, np.float64).reshape(-1, 4),
        bounds=np.array([built.bounds], np.float64),
        cells=CellGrid.within(*built.bounds[:3]),
        poses=np.repeat(np.eye(3, 4, dtype=np.float32)[None], built.mesh.part_count, axis=0),
        panels=np.array([index[name] for name in built.panels], np.int32),
        flickering=np.zeros(len(built.panels), np.bool_),
        atlas=renderer.atlas,
        texture_index=index,
    )
