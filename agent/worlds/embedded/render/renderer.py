"""Renders the first-person view of a body."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.physics import EYE_HEIGHT
from agent.worlds.embedded.render.framebuffer import downsample, unpack
from agent.worlds.embedded.render.geometry import build_geometry
from agent.worlds.embedded.render.mesh import NO_PANEL
from agent.worlds.embedded.render.mipmaps import build_atlas
from agent.worlds.embedded.render.raster import rasterize
from agent.worlds.embedded.render.raster_data import (
    FLICKERING,
    OPAQUE,
    Camera,
    Floats,
    Fog,
    Geometry,
)
from agent.worlds.embedded.scenes.base import BuiltScene
from agent.worlds.embedded.scenes.state import SceneState

NEAR = np.float32(0.06)
"""Near plane, metres; below the body's radius, so walls are never cut open."""
_SKY_CHUNK = 1000.0
_UNMOVED = np.eye(3, 4, dtype=np.float32)[np.newaxis]


class Renderer:
    """Renders a scene into frames of one size.

    Args:
        built: the scene.
        height: of the frames, pixels.
        width: of the frames, pixels.
        field_of_view: vertical, degrees.
        supersample: rendered samples per pixel along each side.
    """

    def __init__(
        self, built: BuiltScene, height: int, width: int, field_of_view: float, supersample: int = 1
    ) -> None:
        self._check(height, width, field_of_view, supersample)
        names = list(built.textures)
        self.texture_index = {name: index for index, name in enumerate(names)}
        self.atlas = build_atlas([built.textures[name] for name in names])
        self._geometry, self._panel_of = build_geometry(built.mesh, self.texture_index)
        self._switching = np.flatnonzero(self._panel_of != NO_PANEL)
        self._panel_of_switching = self._panel_of[self._switching]
        self._sky = (
            build_geometry(built.sky, self.texture_index, _SKY_CHUNK)[0] if built.sky else None
        )
        self._height, self._width, self._supersample = height, width, supersample
        self._colours = np.empty((height * supersample, width * supersample), np.uint32)
        self._depths = np.empty(self._colours.shape, np.float32)
        atmosphere = built.atmosphere
        red, green, blue = atmosphere.zenith
        self._empty = np.uint32(red | green << 8 | blue << 16 | int(OPAQUE))
        self._fog = Fog(
            np.array(atmosphere.fog, np.float32),
            np.float32(atmosphere.fog_start),
            np.float32(1.0 / (atmosphere.fog_end - atmosphere.fog_start)),
        )
        half = math.tan(math.radians(field_of_view) / 2)
        self._projection = np.array([height / (width * half), 1.0 / half, 1.0])

    @staticmethod
    def _check(height: int, width: int, field_of_view: float, supersample: int) -> None:
        if height < 1 or width < 1:
            raise ValueError(f"a frame needs at least one pixel a side, got {height} x {width}")
        if not 1.0 <= field_of_view <= 150.0:
            raise ValueError(f"field_of_view must be 1 to 150 degrees, got {field_of_view}")
        if supersample not in (1, 2, 3, 4):
            raise ValueError(f"supersample must be 1 to 4, got {supersample}")

    def draw(self, scene_state: SceneState) -> tuple[NDArray[np.uint8], float]:
        """Return the view of the body, (3, H, W), and the share of its pixels that flicker."""
        body = scene_state.body
        eye = np.array([body.x, body.y, body.z + EYE_HEIGHT])
        self._update_panels(scene_state)
        self._colours.fill(self._empty)
        self._depths.fill(0.0)
        self._render(self._geometry, eye, body.heading, scene_state.poses)
        if self._sky is not None:
            # Last, so that it costs only the pixels still empty; it moves with the camera.
            self._render(self._sky, np.array([0.0, 0.0, eye[2]]), body.heading, _UNMOVED)
        frame = np.empty((3, self._height, self._width), np.uint8)
        if self._supersample == 1:
            flickering = unpack(self._colours, frame)
        else:
            flickering = downsample(self._colours, self._supersample, frame)
        return frame, flickering / self._colours.size

    def _update_panels(self, scene_state: SceneState) -> None:
        if len(self._switching):
            panels = self._panel_of_switching
            self._geometry.textures[self._switching] = scene_state.panels[panels]
            self._geometry.tags[self._switching] = np.where(
                scene_state.flickering[panels], FLICKERING, OPAQUE
            )

    def _render(
        self, geometry: Geometry, eye: NDArray[np.float64], heading: float, poses: Floats
    ) -> None:
        """Rasterize with a level camera at `eye`; the heading turns right from +y."""
        sine, cosine = math.sin(heading), math.cos(heading)
        view = np.array([[cosine, -sine, 0.0], [0.0, 0.0, 1.0], [sine, cosine, 0.0]])
        view *= self._projection[:, np.newaxis]
        rotations, origins = poses[:, :, :3].astype(np.float64), poses[:, :, 3].astype(np.float64)
        matrices = np.empty((len(poses), 3, 4), np.float32)
        matrices[:, :, :3] = view @ rotations
        matrices[:, :, 3] = (origins - eye) @ view.T
        # Poses are rigid, so the inverse rotation is the transpose.
        positions = np.einsum("pij,pi->pj", rotations, eye - origins).astype(np.float32)
        order = np.argsort(chunk_distances(geometry, positions), kind="stable").astype(np.int32)
        camera = Camera(matrices, positions, NEAR)
        rasterize(geometry, order, camera, self.atlas, self._fog, self._colours, self._depths)


def chunk_distances(geometry: Geometry, positions: Floats) -> Floats:
    """Return the squared distance of each chunk's bounding box from the camera (C,), 0 inside."""
    eye = positions[geometry.spans[:, 2]]
    outside = np.maximum(geometry.boxes[:, 0] - eye, eye - geometry.boxes[:, 1])
    np.maximum(outside, 0.0, out=outside)
    distances: Floats = np.einsum("ci,ci->c", outside, outside)
    return distances
