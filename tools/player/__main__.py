"""Play a recording: observed and predicted frames, with reward, value and action.

    python -m tools.player RUN                        in a window
    python -m tools.player RUN --mp4 FILE             into a video
    python -m tools.player RUN --start 600 --seconds 60 --mp4 FILE
    python -m tools.player RUN --mp4 FILE --frames-only    the observed frames alone

In the window, space pauses, left and right jump ten seconds, up and down change the speed, and
escape ends. Predicted frames need the checkpoints of encoder, dynamics and decoder: the run's own,
or those named. All steps are then encoded once, and the latents stored with the recording.

A film written here is H.264 4:2:0, which every player and browser shows. The recording's own videos
are 4:4:4, which many do not.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pamiq_lightning.checkpoint.files import CheckpointError, newest_weights
from pamiq_lightning.learners.roles import Decoder, Dynamics
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.offline.frozen import FrozenEncoders, from_checkpoint
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.step import is_transition
from pamiq_lightning.trainer.previews import colour
from pamiq_lightning.utils.atomic_io import staged
from pamiq_lightning.utils.console import print_error, print_failure, safe_print
from pamiq_lightning.utils.ranges import Seconds, Start, option
from tools.cli import make_parser
from tools.player.sheet import HEIGHT, WIDTH, Sheet, enlarged

JUMP_S = 10.0
ROLES = ("encoder", "dynamics", "decoder")
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Predictor:
    """Renders the frame that the step before predicted."""

    def __init__(self, reader: RecordingReader, frozen: FrozenEncoders, decoder: Path) -> None:
        assert frozen.dynamics is not None
        self._dataset = RecordingDataset(reader.folder, frozen)
        self._dataset.recompute({"latent", "state"})
        self._dynamics = from_checkpoint(frozen.dynamics, Dynamics)
        self._decoder = from_checkpoint(decoder, Decoder)

    @torch.inference_mode()
    def predict(self, at: int, pair: dict[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
        """Return the frame (3, s, s) predicted for a step; None where no transition leads there.

        `pair` is the step before and this one, with the frame of this one only.
        """
        if not is_transition(pair)[0]:
            return None
        latent, state = (
            torch.from_numpy(stored[at - 1 : at].copy())
            for stored in (self._dataset.latents, self._dataset.states)
        )
        action = torch.from_numpy(pair["action"][:1])
        prediction, _ = self._dynamics.step(latent, action, state)
        decoded = self._decoder.decode(prediction.mean)
        image = colour(decoded, torch.from_numpy(pair["frame"]).float())
        picture: NDArray[np.uint8] = image[0].clamp(0, 255).to(torch.uint8).numpy()
        return picture


@dataclass
class Player:
    """Draws any step of a recording."""

    reader: RecordingReader
    predictor: Predictor | None

    def __post_init__(self) -> None:
        curves = {name: self.reader.column(name) for name in ("reward", "value")}
        self._sheet = Sheet(self.reader.spec, curves)
        self._last: tuple[int, dict[str, NDArray[Any]]] | None = None

    def draw(self, at: int) -> Image.Image:
        """Draw a step."""
        row, before, predicted = self.reader.read(at, at + 1), self._before(at), None
        if self.predictor and before is not None:
            pair = {key: np.concatenate([before[key], row[key]]) for key in row if key != "frame"}
            pair["frame"] = row["frame"]
            predicted = self.predictor.predict(at, pair)
        self._last = at, row
        step = {key: values[0] for key, values in row.items()}
        fps = self.reader.spec.fps
        caption = (
            f"observed   {at / fps:.1f} of {len(self.reader) / fps:.1f} s   tick {step['index']}"
        )
        if not step["valid"]:
            caption += "   not valid"
        return self._sheet.draw(at, step, predicted, caption)

    def _before(self, at: int) -> dict[str, NDArray[Any]] | None:
        """Return the step before, which is the one drawn last while playing; None at the first."""
        if self._last and self._last[0] == at - 1:
            return self._last[1]
        return self.reader.read(at - 1, at, without={"frame"}) if at else None


def enlarged_frames(reader: RecordingReader, start: int, stop: int) -> Iterator[Image.Image]:
    """Yield the observed frames of some steps."""
    for at in range(start, stop):
        yield enlarged(reader.read(at, at + 1)["frame"][0])


def write_video(images: Iterator[Image.Image], path: Path, fps: float) -> int:
    """Write images as an MP4 that plays anywhere; return their number.

    Raises:
        OSError: the disk refuses.
    """
    import av
    from av.video import VideoStream

    count = 0
    # Opened here: PyAV takes some file names for URLs.
    with (
        staged(path) as part,
        part.open("wb") as file,
        av.open(file, "w", format="mp4") as container,
    ):
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "20"})
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv420p"
        for image in images:
            if not count:
                stream.width, stream.height = image.size
            frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count


def play_in_window(player: Player, start: int, stop: int) -> None:
    """Play in a window until it is closed."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    pygame.init()
    pygame.display.set_caption(str(player.reader.folder))
    surface, clock = pygame.display.set_mode((WIDTH, HEIGHT)), pygame.time.Clock()
    at, speed, playing, fps = start, SPEEDS.index(1.0), True, player.reader.spec.fps
    while True:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return
            if event.type != pygame.KEYDOWN:
                continue
            if event.key == pygame.K_ESCAPE:
                return
            if event.key == pygame.K_SPACE:
                playing = not playing
            jump = {pygame.K_LEFT: -1, pygame.K_RIGHT: 1}.get(event.key, 0)
            at = min(max(at + round(jump * JUMP_S * fps), start), stop - 1)
            faster = {pygame.K_DOWN: -1, pygame.K_UP: 1}.get(event.key, 0)
            speed = min(max(speed + faster, 0), len(SPEEDS) - 1)
        image = player.draw(at)
        surface.blit(pygame.image.frombytes(image.tobytes(), image.size, "RGB"), (0, 0))
        pygame.display.flip()
        at = min(at + playing, stop - 1)
        clock.tick(fps * SPEEDS[speed])


def make_predictor(reader: RecordingReader, named: dict[str, Path | None]) -> Predictor | None:
    """Return a predictor; None where a checkpoint is neither named nor in the run."""
    run = reader.folder.resolve().parent
    paths = {role: path or newest_weights(run, role) for role, path in named.items()}
    for role, path in paths.items():
        if path is None:
            print_error(f"predicted frames are not drawn: {run} has no {role}")
            return None
    decoder = paths["decoder"]
    assert decoder is not None
    return Predictor(reader, FrozenEncoders(paths["encoder"], paths["dynamics"]), decoder)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("recording", type=Path, metavar="RUN", help="folder of a run or recording")
    parser.add_argument("--mp4", type=Path, metavar="FILE", help="write a video, open no window")
    parser.add_argument("--frames-only", action="store_true", help="with --mp4: no curves")
    parser.add_argument("--start", type=option(Start), default=0.0, help="seconds to start at")
    parser.add_argument("--seconds", type=option(Seconds), help="how many to play; default: all")
    for role in ROLES:
        parser.add_argument(
            f"--{role}", type=Path, metavar="FILE", help=f"checkpoint of the {role}"
        )
    options: argparse.Namespace = parser.parse_args(arguments)
    if options.frames_only and not options.mp4:
        parser.error("--frames-only needs --mp4 FILE")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Play; return the exit code."""
    options = _parse(arguments)
    torch.set_num_threads(1)
    try:
        reader = RecordingReader(options.recording)
        fps = reader.spec.fps
        start = round(options.start * fps)
        wanted = len(reader) if options.seconds is None else round(options.seconds * fps)
        stop = min(start + wanted, len(reader))
        if not 0 <= start < stop:
            raise RecordingError(
                f"there is nothing to play: the recording has {len(reader) / fps:.1f} s"
            )
        if options.frames_only:
            images = enlarged_frames(reader, start, stop)
        else:
            named = {role: getattr(options, role) for role in ROLES}
            player = Player(reader, make_predictor(reader, named))
            images = map(player.draw, range(start, stop))
        if options.mp4:
            count = write_video(images, options.mp4, fps)
            safe_print(f"{count} steps are in {options.mp4}")
        else:
            play_in_window(player, start, stop)
    except ModuleNotFoundError as error:
        return print_failure(f"{error}; pip install -e '.[window]', or --mp4 FILE")
    except (RecordingError, CheckpointError, ValueError, OSError) as error:
        return print_failure(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
