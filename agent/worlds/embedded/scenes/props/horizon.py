"""The sky: a textured cylinder around the camera."""

from __future__ import annotations

import math

from agent.worlds.embedded.render.mesh import Mesh
from agent.worlds.embedded.scenes.textures.sky import PANELS

_SIDES, _RADIUS, _BOTTOM, _TOP = 24, 150.0, -6.0, 120.0


def horizon() -> Mesh:
    """Build the panorama as a cylinder seen from inside, free of fog."""
    mesh = Mesh()
    per_panel = _SIDES // PANELS
    for side in range(_SIDES):
        (x0, y0), (x1, y1) = (
            (_RADIUS * math.cos(angle), _RADIUS * math.sin(angle))
            for angle in (math.tau * side / _SIDES, math.tau * (side + 1) / _SIDES)
        )
        u0 = side % per_panel / per_panel
        u1, bottom = u0 + 1 / per_panel, 0.999
        mesh.quad(
            ((x1, y1, _BOTTOM), (x0, y0, _BOTTOM), (x0, y0, _TOP), (x1, y1, _TOP)),
            f"sky{side // per_panel}",
            1.0,
            ((u1, bottom), (u0, bottom), (u0, 0.0), (u1, 0.0)),
            fog=0.0,
        )
    return mesh
