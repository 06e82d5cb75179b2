"""The contract of a scene, and what a scene builds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.render.mesh import Box, Mesh
from agent.worlds.embedded.scenes.state import SceneEffect


@dataclass(frozen=True)
class Start:
    """Where the body starts."""

    x: float
    y: float
    heading: float = 0.0
    """Radians from +y, positive to the right."""


@dataclass(frozen=True)
class Atmosphere:
    """Background colour and fog."""

    zenith: tuple[int, int, int] = (96, 140, 206)
    """Colour where nothing is drawn."""
    fog: tuple[int, int, int] = (226, 214, 206)
    fog_start: float = 18.0
    """Distance where fog starts, metres."""
    fog_end: float = 150.0
    """Distance where only fog is left, metres."""


@dataclass
class BuiltScene:
    """A scene built for one seed."""

    mesh: Mesh
    textures: Mapping[str, NDArray[np.uint8]]
    """RGBA (S, S, 4) by name; S is one power of two for all."""
    bounds: Box
    """The body stays inside."""
    start: Start
    sky: Mesh | None = None
    """Drawn around the camera, wherever it goes."""
    atmosphere: Atmosphere = field(default_factory=Atmosphere)
    panels: list[str] = field(default_factory=list)
    """The first texture of each panel of the mesh."""
    effects: list[SceneEffect] = field(default_factory=list)
    """In the order in which they act."""


class Scene(ABC):
    """A recipe for a world. Its arguments are its settings; the seed comes from the run."""

    @abstractmethod
    def build(self, seed: int) -> BuiltScene:
        """Build the scene, the same for the same seed."""
