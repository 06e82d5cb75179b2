"""Software rasterizer: textured, lit, fogged triangles with a z-buffer, compiled by numba.

Scanline rasterization with a perspective division every 8 pixels (Chris Hecker, "Perspective
Texture Mapping", 1995), one mip level per span of 8 pixels, alpha test, linear fog, and
Gouraud-interpolated light. Without fast-math and threads, the same input gives the same bits. Every
argument has one fixed dtype, so nothing compiles during a run.
"""

# All functions that `rasterize` calls are in this file: numba's cache notices changes only in the
# file of the function that is called from outside.
# mypy: disable-error-code="arg-type, return-value, operator, no-any-return"
# numba gives these functions 32-bit types where Python knows only float.

from __future__ import annotations

import numpy as np

from agent.worlds.embedded.render.jit import jit, jit_inline
from agent.worlds.embedded.render.raster_data import (
    Atlas,
    Camera,
    Floats,
    Fog,
    Geometry,
    Ints,
    Pixels,
)

SPAN = 8
"""Pixels between two perspective divisions."""
X, Y, W, U, V, LIGHT = range(6)
"""Columns of a clip-space vertex; W is the distance in front of the camera."""
_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_ZERO = np.float32(0.0)


@jit
def _project_box(matrix: Floats, box: Floats, near: float, view: Floats) -> float:
    """Write the screen bounds x0, y0, x1, y1 (-1 to 1) of a bounding box into `view`.

    Returns:
        The w of its nearest corner, at least `near`; -1 if the box is outside the frustum.
    """
    view[0] = view[1] = np.float32(1e9)
    view[2] = view[3] = np.float32(-1e9)
    nearest = np.float32(1e9)
    behind = 0
    for corner in range(8):
        x, y, z = box[corner & 1, 0], box[(corner >> 1) & 1, 1], box[corner >> 2, 2]
        w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        nearest = min(nearest, w)
        if w < near:
            behind += 1
            continue
        clip_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        clip_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        view[0], view[2] = min(view[0], clip_x / w), max(view[2], clip_x / w)
        view[1], view[3] = min(view[1], clip_y / w), max(view[3], clip_y / w)
    if behind == 8:
        return np.float32(-1.0)
    if behind > 0:
        view[0] = view[1] = -_ONE
        view[2] = view[3] = _ONE
        return near
    if view[0] > _ONE or view[1] > _ONE or view[2] < -_ONE or view[3] < -_ONE:
        return np.float32(-1.0)
    return nearest


@jit
def _occluded(view: Floats, nearest: float, depths: Floats) -> bool:
    """Return whether the z-buffer is nearer than `nearest` everywhere in `view`."""
    height, width = depths.shape
    inverse = _ONE / nearest
    left = max(0, int((view[0] + _ONE) * _HALF * np.float32(width)) - 1)
    right = min(width, int((view[2] + _ONE) * _HALF * np.float32(width)) + 2)
    top = max(0, int((_ONE - view[3]) * _HALF * np.float32(height)) - 1)
    bottom = min(height, int((_ONE - view[1]) * _HALF * np.float32(height)) + 2)
    for y in range(top, bottom):
        row = depths[y]
        for x in range(left, right):
            if row[x] < inverse:
                return False
    return True


@jit
def _to_clip(triangle: Floats, matrix: Floats, near: float, corners: Floats) -> int:
    """Transform a triangle to clip space; return its vertices nearer than `near`, -1: culled."""
    left = right = above = below = close = 0
    for k in range(3):
        x, y, z = triangle[k, 0], triangle[k, 1], triangle[k, 2]
        clip_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        clip_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        left += clip_x < -w
        right += clip_x > w
        below += clip_y < -w
        above += clip_y > w
        close += w < near
        corners[k, X] = clip_x
        corners[k, Y] = clip_y
        corners[k, W] = w
    if left == 3 or right == 3 or above == 3 or below == 3 or close == 3:
        return -1
    for k in range(3):
        corners[k, U] = triangle[k, 3]
        corners[k, V] = triangle[k, 4]
        corners[k, LIGHT] = triangle[k, 5]
    return close


@jit
def _clip_near(corners: Floats, near: float, clipped: Floats) -> int:
    """Clip a triangle at the near plane; return the number of vertices left, 3 or 4."""
    count = 0
    for k in range(3):
        following = (k + 1) % 3
        inside = corners[k, W] >= near
        if inside:
            for j in range(6):
                clipped[count, j] = corners[k, j]
            count += 1
        if inside != (corners[following, W] >= near):
            share = (near - corners[k, W]) / (corners[following, W] - corners[k, W])
            for j in range(6):
                clipped[count, j] = corners[k, j] + share * (corners[following, j] - corners[k, j])
            count += 1
    return count


@jit
def _to_screen(corners: Floats, count: int, width: int, height: int) -> None:
    """Divide by w: x, y become pixels, W becomes 1/w, and u, v, light are multiplied by 1/w."""
    for k in range(count):
        inverse = _ONE / corners[k, W]
        corners[k, X] = (corners[k, X] * inverse + _ONE) * _HALF * np.float32(width)
        corners[k, Y] = (_ONE - corners[k, Y] * inverse) * _HALF * np.float32(height)
        corners[k, W] = inverse
        corners[k, U] *= inverse
        corners[k, V] *= inverse
        corners[k, LIGHT] *= inverse


@jit
def _gradients(a: Floats, b: Floats, c: Floats, area: float, slopes: Floats) -> None:
    """Write the gradients of 1/w, u/w, v/w and light/w per pixel in x (0) and y (1)."""
    inverse = _ONE / area
    x1, y1 = (b[X] - a[X]) * inverse, (b[Y] - a[Y]) * inverse
    x2, y2 = (c[X] - a[X]) * inverse, (c[Y] - a[Y]) * inverse
    for j in range(4):
        first, second = b[W + j] - a[W + j], c[W + j] - a[W + j]
        slopes[0, j] = first * y2 - second * y1
        slopes[1, j] = second * x1 - first * x2


@jit
def _edge_x(upper: Floats, lower: Floats, y: float) -> float:
    """Return the x where an edge crosses the row y; the caller ensures that it does."""
    return upper[X] + (y - upper[Y]) * (lower[X] - upper[X]) / (lower[Y] - upper[Y])


@jit_inline
def _scanline(a: Floats, b: Floats, c: Floats, y: float) -> tuple[float, float]:
    """Return the left and right end of a triangle on the row y; right < left: empty."""
    left = np.float32(1e9)
    right = np.float32(-1e9)
    if (a[Y] <= y) != (b[Y] <= y):
        x = _edge_x(a, b, y)
        left, right = min(left, x), max(right, x)
    if (b[Y] <= y) != (c[Y] <= y):
        x = _edge_x(b, c, y)
        left, right = min(left, x), max(right, x)
    if (c[Y] <= y) != (a[Y] <= y):
        x = _edge_x(c, a, y)
        left, right = min(left, x), max(right, x)
    return left, right


@jit
def _shade(texel: int, light: int, fog_red: int, fog_green: int, fog_blue: int, tag: int) -> int:
    """Light a texel, add the fog and pack the colour with the tag."""
    red = ((np.int64(texel & 255) * light) >> 8) + fog_red
    green = ((np.int64((texel >> 8) & 255) * light) >> 8) + fog_green
    blue = ((np.int64((texel >> 16) & 255) * light) >> 8) + fog_blue
    return np.uint32(min(red, 255) | (min(green, 255) << 8) | (min(blue, 255) << 16) | tag)


@jit_inline
def _draw_row(
    colours: Pixels, depths: Floats, first: int, last: int, start: Floats, slopes: Floats,
    texture: Pixels, atlas: Atlas, fog: Fog, fog_share: float, tag: int,
) -> None:  # fmt: skip
    """Draw pixels first..last of one row; `start` is 1/w, u/w, v/w, light/w at `first`."""
    du, dv = slopes[0, 1], slopes[0, 2]
    dw = slopes[0, 0]
    inverse = start[0]
    begin = first
    while first <= last and inverse <= depths[first]:
        inverse += dw
        first += 1
    end_inverse = start[0] + dw * np.float32(last - begin)
    while last > first and end_inverse <= depths[last]:
        end_inverse -= dw
        last -= 1
    skipped = np.float32(first - begin)
    u_w, v_w = start[1] + du * skipped, start[2] + dv * skipped
    light_w = start[3] + slopes[0, 3] * skipped
    w = _ONE / inverse
    u, v, light = u_w * w, v_w * w, light_w * w
    base = np.float32(atlas.sizes[0])
    x = first
    while x <= last:
        count = min(SPAN, last - x + 1)
        steps = np.float32(count)
        across = max(abs(du - u * dw), abs(dv - v * dw))
        down = max(abs(slopes[1, 1] - u * slopes[1, 0]), abs(slopes[1, 2] - v * slopes[1, 0]))
        texels = max(across, down) * w * base
        level = 0
        while texels > np.float32(1.5) and level < atlas.sizes.shape[0] - 1:
            texels *= _HALF
            level += 1
        size = np.int64(atlas.sizes[level])
        offset = np.int64(atlas.offsets[level])
        mask = size - 1
        share = min(_ONE, max(_ZERO, (w - fog.start) * fog.per_metre)) * fog_share
        end_inverse = max(inverse + dw * steps, np.float32(1e-6))
        u_w += du * steps
        v_w += dv * steps
        light_w += slopes[0, 3] * steps
        end_w = _ONE / end_inverse
        end_u, end_v, end_light = u_w * end_w, v_w * end_w, light_w * end_w
        scale = np.float32(65536.0) * np.float32(size)
        per_step = _ONE / steps
        u_fixed, v_fixed = np.int64(u * scale), np.int64(v * scale)
        u_step = np.int64((end_u - u) * per_step * scale)
        v_step = np.int64((end_v - v) * per_step * scale)
        strength = (_ONE - share) * np.float32(256.0)
        lit = light * strength + _HALF
        lit_step = (end_light - light) * per_step * strength
        red = np.int64(fog.colour[0] * share)
        green = np.int64(fog.colour[1] * share)
        blue = np.int64(fog.colour[2] * share)
        for _ in range(count):
            if inverse > depths[x]:
                texel = texture[offset + ((v_fixed >> 16) & mask) * size + ((u_fixed >> 16) & mask)]
                if texel >= np.uint32(0x80000000):
                    depths[x] = inverse
                    colours[x] = _shade(texel, np.int64(lit), red, green, blue, tag)
            inverse += dw
            u_fixed += u_step
            v_fixed += v_step
            lit += lit_step
            x += 1
        inverse, w, u, v, light = end_inverse, end_w, end_u, end_v, end_light


@jit_inline
def _draw_triangle(
    a: Floats, b: Floats, c: Floats, slopes: Floats, start: Floats,
    colours: Pixels, depths: Floats, texture: Pixels, atlas: Atlas, fog: Fog,
    fog_share: float, tag: int,
) -> None:  # fmt: skip
    """Rasterize one screen-space triangle; back faces have a positive area and are skipped."""
    height, width = colours.shape
    area = (b[X] - a[X]) * (c[Y] - a[Y]) - (c[X] - a[X]) * (b[Y] - a[Y])
    if area >= 0:
        return
    top = max(0, int(np.ceil(min(a[Y], b[Y], c[Y]) - _HALF)))
    bottom = min(height - 1, int(np.floor(max(a[Y], b[Y], c[Y]) - _HALF)))
    if top > bottom:
        return
    _gradients(a, b, c, area, slopes)
    for y in range(top, bottom + 1):
        centre = np.float32(y) + _HALF
        left, right = _scanline(a, b, c, centre)
        if right < left:
            continue
        first = max(0, int(np.ceil(left - _HALF)))
        last = min(width - 1, int(np.ceil(right - _HALF)) - 1)
        if first > last:
            continue
        dx, dy = np.float32(first) + _HALF - a[X], centre - a[Y]
        for j in range(4):
            start[j] = a[W + j] + slopes[0, j] * dx + slopes[1, j] * dy
        _draw_row(
            colours[y], depths[y], first, last, start, slopes, texture, atlas, fog, fog_share, tag
        )


@jit
def rasterize(
    geometry: Geometry, order: Ints, camera: Camera, atlas: Atlas, fog: Fog,
    colours: Pixels, depths: Floats,
) -> None:  # fmt: skip
    """Rasterize chunks into the colour buffer and the z-buffer, both (H, W) and not cleared here.

    Args:
        geometry: of all chunks.
        order: chunks to draw; front to back is fastest.
        camera: one matrix and position per part.
        atlas: of all textures.
        fog: linear in distance.
        colours: packed colours, top byte the tag.
        depths: 1/w; larger is nearer, 0 is empty.
    """
    height, width = colours.shape
    corners = np.empty((3, 6), np.float32)
    clipped = np.empty((4, 6), np.float32)
    slopes = np.empty((2, 4), np.float32)
    start = np.empty(4, np.float32)
    view = np.empty(4, np.float32)
    for chunk in order:
        part = geometry.spans[chunk, 2]
        matrix, position = camera.matrices[part], camera.positions[part]
        nearest = _project_box(matrix, geometry.boxes[chunk], camera.near, view)
        if nearest < _ZERO or _occluded(view, nearest, depths):
            continue
        for t in range(geometry.spans[chunk, 0], geometry.spans[chunk, 1]):
            plane = geometry.planes[t]
            facing = plane[0] * position[0] + plane[1] * position[1] + plane[2] * position[2]
            if facing <= plane[3]:
                continue
            close = _to_clip(geometry.vertices[t], matrix, camera.near, corners)
            if close < 0:
                continue
            count = 3
            polygon = corners
            if close > 0:
                count = _clip_near(corners, camera.near, clipped)
                polygon = clipped
            _to_screen(polygon, count, width, height)
            texture = atlas.texels[geometry.textures[t]]
            for k in range(1, count - 1):
                _draw_triangle(
                    polygon[0], polygon[k], polygon[k + 1], slopes, start, colours, depths,
                    texture, atlas, fog, geometry.fogs[t], np.int64(geometry.tags[t]),
                )  # fmt: skip
