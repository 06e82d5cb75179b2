"""Builds the rasterizer's geometry from a mesh, in chunks that are culled as a whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.render.mesh import NO_PANEL, STATIC, Mesh
from agent.worlds.embedded.render.raster_data import FLICKERING, OPAQUE, Geometry

CHUNK = 5.0
"""Side of a chunk of the static part, metres: small enough to cull, few enough to sort."""


def build_geometry(
    mesh: Mesh, texture_index: dict[str, int], chunk: float = CHUNK
) -> tuple[Geometry, NDArray[np.int32]]:
    """Sort the triangles of a mesh into chunks by part and ground cell.

    Args:
        mesh: with at least one triangle.
        texture_index: index of each texture in the atlas.
        chunk: side of the ground cells, metres.

    Returns:
        The geometry, and the panel of each of its triangles (T,), NO_PANEL where there is none.
    """
    triangles = mesh.triangles
    vertices = np.array(triangles.vertices, np.float32)
    parts = np.array(triangles.parts, np.int64)
    cells = np.floor(vertices[:, :, :2].mean(axis=1) / chunk).astype(np.int64)
    cells[parts != STATIC] = 0
    keys = np.column_stack([cells, parts])
    order = np.lexsort(keys.T)
    vertices, keys = np.ascontiguousarray(vertices[order]), keys[order]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    ends = np.r_[starts[1:], len(keys)]
    corners = vertices[:, :, :3].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    distances = (normals * corners[:, 0]).sum(axis=1, keepdims=True)
    names = np.array([texture_index[name] for name in mesh.texture_names], np.int32)
    panels = np.array(triangles.panels, np.int32)[order]
    geometry = Geometry(
        vertices=vertices,
        planes=np.concatenate([normals, distances], axis=1).astype(np.float32),
        textures=names[np.array(triangles.textures, np.int64)[order]],
        fogs=np.array(triangles.fogs, np.float32)[order],
        tags=np.where(panels == NO_PANEL, OPAQUE, FLICKERING).astype(np.uint32),
        boxes=_boxes(vertices[:, :, :3], starts, ends),
        spans=np.column_stack([starts, ends, keys[starts, 2]]).astype(np.int32),
    )
    return geometry, panels


def _boxes(
    corners: NDArray[np.float32], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Axis-aligned bounding box of each chunk, (C, 2, 3)."""
    boxes = np.empty((len(starts), 2, 3), np.float32)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        points = corners[start:end].reshape(-1, 3)
        boxes[row] = points.min(axis=0), points.max(axis=0)
    return boxes
