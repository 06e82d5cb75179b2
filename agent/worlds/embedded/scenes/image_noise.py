"""The base of scenes that add noise to the frames of another scene."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from agent.worlds.embedded.physics import Body
from agent.worlds.embedded.scenes.base import BuiltScene, Scene
from agent.worlds.embedded.scenes.state import SceneEffect
from agent.worlds.embedded.scenes.street import Street


class Zone:
    """The region where noise occurs.

    Args:
        box: x0, y0, x1, y1 in metres; None: everywhere.

    Raises:
        ValueError: not a box.
    """

    def __init__(self, box: Sequence[float] | None) -> None:
        if box is not None and (len(box) != 4 or box[0] >= box[2] or box[1] >= box[3]):
            raise ValueError(f"zone must be x0, y0, x1, y1 with x0 < x1 and y0 < y1, got {box}")
        self._box = box

    def contains(self, body: Body) -> bool:
        """Return whether the body is in it."""
        if self._box is None:
            return True
        x0, y0, x1, y1 = self._box
        return x0 <= body.x < x1 and y0 <= body.y < y1


class ImageNoise(Scene):
    """A scene with noise over its frames.

    Args:
        scene: the scene below; default: the street.
        zone: x0, y0, x1, y1 of the region with noise, metres; null: everywhere.
    """

    def __init__(self, scene: Scene | None = None, zone: Sequence[float] | None = None) -> None:
        self.scene = scene or Street()
        self.zone = Zone(zone)

    def build(self, seed: int) -> BuiltScene:
        """Build the scene below and add the noise to its effects."""
        built = self.scene.build(seed)
        built.effects.append(self.noise())
        return built

    @abstractmethod
    def noise(self) -> SceneEffect:
        """Return the effect that changes the frames."""


def check_share(name: str, value: float) -> float:
    """Return a number from 0 to 1.

    Raises:
        ValueError: it is out of range.
    """
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be 0 to 1, got {value}")
    return value
