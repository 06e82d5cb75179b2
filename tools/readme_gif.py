"""The README's moving picture: a recorded run as four panels.

    python -m agent.run conf=japan_street clock=lockstep steps=6144 seed=1
    python -m tools.readme_gif RUN --start 490 --seconds 20 --out docs/pictures/run.gif

The panels are the observed frame, its reconstruction by the decoder, the prediction of the dynamics
one step before, and the path on the map. The newest weights of the run draw all frames. It needs a
run in an embedded world, with its recording and its checkpoints.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tensordict import TensorDict

from pamiq_lightning.checkpoint.files import newest_weights
from pamiq_lightning.learners.roles import Decoder, Dynamics
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.offline.frozen import FrozenEncoders, from_checkpoint
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.trainer.previews import newest_preview
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.ranges import Seconds, Start, option
from tools.cli import make_parser
from tools.experiments.regions import Map, map_of
from tools.saved_run import read_settings
from tools.tour import save_film

SIDE, CAPTION, MARGIN = 144, 16, 4
TRAIL_S = 20.0
"""The newest part of the path is drawn stronger."""
EVERY, COLOURS = 2, 128
"""Steps from one picture to the next; colours of the palette."""
ROLES = ("encoder", "dynamics", "decoder")
CAPTIONS = ("observed", "reconstructed", "predicted", "map")
PAPER, INK = (250, 249, 246), (40, 40, 40)
FLOOR, PATH, TRAIL, BODY = (222, 220, 214), (150, 170, 200), (38, 96, 164), (196, 78, 30)


class MapPanel:
    """Draws the path, positions [N, 2] in metres, on the reachable cells of a map."""

    def __init__(self, plan: Map, xy: NDArray[np.float32]) -> None:
        corners = np.array([plan.cells.corner(cell) for cell in plan.reachable.tolist()])
        self._low, high = corners.min(axis=0), corners.max(axis=0) + 1
        self._scale = (SIDE - 2 * MARGIN) / (high - self._low).max()
        self._offset = (SIDE - self._scale * (high - self._low)) / 2
        self._points = [self._pixel(x, y) for x, y in xy.tolist()]
        self._floor = Image.new("RGB", (SIDE, SIDE), PAPER)
        pen = ImageDraw.Draw(self._floor)
        for x, y in corners.tolist():
            (left, bottom), (right, top) = self._pixel(x, y), self._pixel(x + 1, y + 1)
            pen.rectangle((left, top, right, bottom), fill=FLOOR)

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a point; north is up."""
        column, row = (np.array([x, y]) - self._low) * self._scale + self._offset
        return float(column), SIDE - float(row)

    def draw(self, at: int, trail: int) -> Image.Image:
        """Draw the path up to step `at`, its last `trail` steps stronger."""
        panel = self._floor.copy()
        pen = ImageDraw.Draw(panel)
        pen.line(self._points[: at + 1], fill=PATH, width=1)
        pen.line(self._points[max(0, at - trail) : at + 1], fill=TRAIL, width=2)
        x, y = self._points[at]
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=BODY)
        return panel


def panels(frame: NDArray[np.uint8], preview: Image.Image, path: Image.Image) -> Image.Image:
    """Lay out a frame (3, H, W), two of the three images of its preview, and the map."""
    width = preview.width // 3
    decoded = [preview.crop((n * width, 0, (n + 1) * width, width)) for n in (1, 2)]
    images = [Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0))), *decoded, path]
    whole = Image.new("RGB", (4 * SIDE + 3 * MARGIN, CAPTION + SIDE), PAPER)
    pen = ImageDraw.Draw(whole)
    for number, (caption, image) in enumerate(zip(CAPTIONS, images, strict=True)):
        left = number * (SIDE + MARGIN)
        pen.text((left + 2, 2), caption, fill=INK)
        whole.paste(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), (left, CAPTION))
    return whole


def main() -> None:
    """Write the animation."""
    parser = make_parser(__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/run.gif"))
    parser.add_argument("--start", type=option(Start), default=0.0, help="seconds to begin at")
    parser.add_argument("--seconds", type=option(Seconds), default=20.0, help="seconds of the run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder, dynamics, decoder = (newest_weights(options.run, role) for role in ROLES)
    if not (encoder and dynamics and decoder):
        parser.error(f"{options.run} has no checkpoint with {', '.join(ROLES)}")
    reader = RecordingReader(options.run)
    dataset = RecordingDataset(reader.folder, FrozenEncoders(encoder, dynamics))
    drawn_by = from_checkpoint(decoder, Decoder), from_checkpoint(dynamics, Dynamics)
    settings = read_settings(options.run)
    names, fps = reader.spec.info_names, reader.spec.fps
    xy = reader.column("info")[:, [names.index("x"), names.index("y")]]
    path = MapPanel(map_of(settings["scene"], settings["seed"]), xy)
    start, count = round(options.start * fps), round(options.seconds * fps)
    numbers = np.arange(len(reader))
    wanted = (numbers >= start) & (numbers <= start + count)
    steps = TensorDict.cat(list(dataset.rollouts(wanted, {"frame", "latent", "state"})))
    pictures = []
    for at in range(1, len(steps), EVERY):
        if preview := newest_preview(steps[at - 1 : at + 1], *drawn_by):
            trail = path.draw(start + at, round(TRAIL_S * fps))
            pictures.append(panels(steps["frame"][at].numpy(), preview, trail))
    save_film(pictures, options.out, round(fps), COLOURS)
    safe_print(
        f"{len(pictures)} pictures, {options.out.stat().st_size / 1e6:.1f} MB in {options.out}"
    )


if __name__ == "__main__":
    main()
