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
from tools.cli import make_parser
from tools.experiments.regions import Map, map_of
from tools.run_files import read_settings
from tools.tour import save_film

SIDE, CAPTION, MARGIN = 144, 16, 4
TRAIL_S = 20.0
"""The newest part of the path is drawn stronger."""
CAPTIONS = ("observed", "reconstructed", "predicted", "map")
PAPER, INK = (250, 249, 246), (40, 40, 40)
FLOOR, PATH, TRAIL, BODY = (222, 220, 214), (150, 170, 200), (38, 96, 164), (196, 78, 30)


class MapPanel:
    """Draws the path on the reachable cells.

    Args:
        plan: the map of the world.
        xy: positions in metres, [N, 2].
    """

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
    """Lay out one picture.

    Args:
        frame: the observed frame (3, H, W).
        preview: observed, reconstructed, predicted, side by side.
        path: the map.
    """
    width = preview.width // 3
    drawn = [preview.crop((n * width, 0, (n + 1) * width, width)) for n in (1, 2)]
    observed = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    whole = Image.new("RGB", (4 * SIDE + 3 * MARGIN, CAPTION + SIDE), PAPER)
    pen = ImageDraw.Draw(whole)
    for number, (caption, image) in enumerate(zip(CAPTIONS, (observed, *drawn, path), strict=True)):
        left = number * (SIDE + MARGIN)
        pen.text((left + 2, 2), caption, fill=INK)
        whole.paste(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), (left, CAPTION))
    return whole


def film(run: Path, start_s: float, seconds: float, every: int) -> tuple[list[Image.Image], float]:
    """Return the pictures of a part of a run, and its steps a second.

    Raises:
        RecordingError: the run has no recording.
        CheckpointError: its checkpoints cannot be used.
    """
    weights = {role: newest_weights(run, role) for role in ("encoder", "dynamics", "decoder")}
    assert weights["dynamics"] and weights["decoder"], f"{run} has no checkpoints"
    dynamics = from_checkpoint(weights["dynamics"], Dynamics)
    decoder = from_checkpoint(weights["decoder"], Decoder)
    reader = RecordingReader(run)
    dataset = RecordingDataset(
        reader.folder, FrozenEncoders(weights["encoder"], weights["dynamics"])
    )
    settings = read_settings(run)
    names, fps = reader.spec.info_names, reader.spec.fps
    info = reader.column("info")[:, [names.index("x"), names.index("y")]]
    path = MapPanel(map_of(settings["scene"], settings["seed"]), info)
    start = max(1, round(start_s * fps))
    stop = min(start + round(seconds * fps), len(reader))
    rows = np.zeros(len(reader), np.bool_)
    rows[start - 1 : stop] = True
    steps = TensorDict.cat(list(dataset.rollouts(rows, {"frame", "latent", "state"})))
    pictures = []
    for at in range(1, len(steps), every):
        preview = newest_preview(steps[at - 1 : at + 1], decoder, dynamics)
        if preview is not None:
            way = path.draw(start - 1 + at, round(TRAIL_S * fps))
            pictures.append(panels(steps["frame"][at].numpy(), preview, way))
    return pictures, fps


def main() -> None:
    """Write the film."""
    parser = make_parser(__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/run.gif"))
    parser.add_argument("--start", type=float, default=0.0, help="seconds to begin at")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of the run")
    parser.add_argument("--every", type=int, default=2, help="steps from one picture to the next")
    parser.add_argument("--colours", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures, fps = film(options.run, options.start, options.seconds, options.every)
    save_film(pictures, options.out, round(fps), options.colours)
    print(f"{len(pictures)} pictures, {options.out.stat().st_size / 1e6:.1f} MB in {options.out}")


if __name__ == "__main__":
    main()
