"""One image of a step: observed and predicted frame, reward, value and action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pamiq_lightning.recording.schema import DatasetSpec

SIDE, MARGIN, LINE = 288, 12, 14
CURVE_HEIGHT, CURVE_STEPS = 70, 200
WIDTH = 2 * SIDE + 3 * MARGIN
HEIGHT = MARGIN + LINE + SIDE + 2 * (LINE + CURVE_HEIGHT + MARGIN) + 4 * LINE
_BACKGROUND, _TEXT, _GREY, _LINE = (250, 249, 246), (40, 40, 40), (130, 128, 122), (205, 203, 198)
_COLOURS = {"reward": (196, 78, 30), "value": (38, 96, 164)}


class Sheet:
    """Draws steps of one recording, with even width and height as video codecs require."""

    def __init__(self, spec: DatasetSpec, curves: Mapping[str, NDArray[np.float32]]) -> None:
        self._spec, self._curves = spec, curves
        self._ranges = {name: _range(values) for name, values in curves.items()}

    def draw(
        self, at: int, step: Mapping[str, Any], predicted: NDArray[np.uint8] | None, caption: str
    ) -> Image.Image:
        """Draw a step; its frame is (3, H, W), the predicted one (3, h, w)."""
        sheet = Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND)
        pen = ImageDraw.Draw(sheet)
        left, right = MARGIN, 2 * MARGIN + SIDE
        pen.text((left, MARGIN - 4), caption, fill=_TEXT)
        pen.text((right, MARGIN - 4), "predicted", fill=_TEXT)
        top = MARGIN + LINE
        sheet.paste(enlarged(step["frame"]), (left, top))
        if predicted is not None:
            sheet.paste(enlarged(predicted), (right, top))
        else:
            pen.rectangle((right, top, right + SIDE - 1, top + SIDE - 1), outline=_LINE)
            pen.text((right + MARGIN, top + MARGIN), "none", fill=_GREY)
        top += SIDE + MARGIN
        for name in self._curves:
            self._curve(pen, name, at, top)
            top += LINE + CURVE_HEIGHT + MARGIN
        self._actions(pen, step["action"], top)
        return sheet

    def _curve(self, pen: ImageDraw.ImageDraw, name: str, at: int, top: int) -> None:
        """Draw the last steps of a curve, the present one at the right edge."""
        values = self._curves[name][max(0, at + 1 - CURVE_STEPS) : at + 1]
        least, greatest = self._ranges[name]
        pen.text((MARGIN, top - 2), f"{name} {values[-1]:.4f}", fill=_COLOURS[name])
        top += LINE
        width = WIDTH - 2 * MARGIN
        pen.rectangle((MARGIN, top, MARGIN + width, top + CURVE_HEIGHT), outline=_LINE)
        pen.text((MARGIN + 3, top + 1), f"{greatest:.3g}", fill=_GREY)
        pen.text((MARGIN + 3, top + CURVE_HEIGHT - LINE), f"{least:.3g}", fill=_GREY)
        x = MARGIN + width * (1 - np.arange(len(values))[::-1] / (CURVE_STEPS - 1))
        share = np.clip((np.nan_to_num(values) - least) / (greatest - least), 0, 1)
        y = top + CURVE_HEIGHT * (1 - share)
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=_COLOURS[name], width=2)

    def _actions(self, pen: ImageDraw.ImageDraw, action: NDArray[np.int64], top: int) -> None:
        """Draw one row of boxes for each action category, the choice taken filled."""
        left, box = MARGIN, LINE
        spec = self._spec
        for name, choices, taken in zip(
            spec.action_names, spec.action_choices, action.tolist(), strict=True
        ):
            pen.text((left, top), name, fill=_TEXT)
            for choice in range(choices):
                x = left + choice * (box + 3)
                pen.rectangle(
                    (x, top + LINE + 2, x + box, top + LINE + 2 + box),
                    fill=_TEXT if choice == taken else None,
                    outline=_TEXT,
                )
                ink = _BACKGROUND if choice == taken else _TEXT
                pen.text((x + 5, top + LINE + 3), str(choice), fill=ink)
            left += (WIDTH - 2 * MARGIN) // len(spec.action_names)


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the range of a curve: 99 % of its values, and never empty."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    least, greatest = np.percentile(finite, (0.5, 99.5)).tolist()
    return (least, greatest) if greatest > least else (least - 1.0, greatest + 1.0)


def enlarged(image: NDArray[np.uint8]) -> Image.Image:
    """Return an image (3, H, W) enlarged without interpolation."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    return picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)
