"""What a world is made of, and the promise of everything that can be one."""

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
    """Where the body begins."""

    x: float
    y: float
    heading: float = 0.0
    """Radians from +y, positive to the right."""


@dataclass(frozen=True)
class Air:
    """What lies between the eye and things, and where there are none."""

    zenith: tuple[int, int, int] = (96, 140, 206)
    """Colour where nothing is drawn."""
    fog: tuple[int, int, int] = (226, 214, 206)
    fog_start: float = 18.0
    """Metres from the eye where fog begins."""
    fog_end: float = 150.0
    """Metres where nothing but fog is left."""


@dataclass
class BuiltScene:
    """A place as built for one seed."""

    mesh: Mesh
    images: Mapping[str, NDArray[np.uint8]]
    """RGBA (S, S, 4), S one power of two for all, by texture name."""
    bounds: Box
    """The body stays inside."""
    start: Start
    sky: Mesh | None = None
    """Drawn around the eye, wherever it goes."""
    air: Air = field(default_factory=Air)
    panels: list[str] = field(default_factory=list)
    """The picture each panel of the mesh shows at the start."""
    effects: list[SceneEffect] = field(default_factory=list)
    """In the order in which they act."""


class Scene(ABC):
    """A recipe for a world. Its arguments are the world's settings; the seed comes from the run."""

    @abstractmethod
    def build(self, seed: int) -> BuiltScene:
        """Make the scene, always the same for the same seed."""
