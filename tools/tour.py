"""Pictures of the embedded worlds: stills and an animation of a walk through each scene.

    python -m tools.tour --out docs/pictures
    python -m tools.tour --worlds street --film .webp --width 320 --height 180

Writes NAME.png (640 x 360), NAME_144.png (the agent's view) and tour_NAME.gif. The walks use the
agent's own inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.blackout import Blackout
from agent.worlds.embedded.scenes.block_noise import BlockNoise
from agent.worlds.embedded.scenes.flicker import Flicker
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.one_screen import OneScreen
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.scenes.white_noise import WhiteNoise
from agent.worlds.embedded.simulation import Simulation
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.ranges import Range, option
from tools.cli import make_parser

Point = tuple[float, float]
_NEAR = 0.6
"""Metres from a waypoint at which the next one becomes the target."""
_STEEP = math.radians(35.0)
"""Above this angle to the target the walker turns on the spot."""
_AIMED = math.radians(3.0)
_LONGEST = 3000
"""Steps after which a walk is given up, because the way is blocked."""
_STILL = (360, 640)
_AGENT = (144, 144)


@dataclass(frozen=True)
class Tour:
    """A scene and a walk through it.

    Attributes:
        scene: builds the scene.
        waypoints: to walk to, metres.
        still_at: steps after which the stills are rendered.
        run: whether to run.
    """

    scene: Callable[[], Scene]
    waypoints: Sequence[Point]
    still_at: int = 60
    run: bool = False


_DOWN_THE_STREET = ((0.5, 30.0), (-0.5, 38.0))
TOURS = {
    "street": Tour(
        Street,
        ((1.0, 22.5), (5.0, 21.6), (14.0, 21.6), (4.5, 21.6), (0.6, 17.5), (1.6, 11.4), (6.6, 11.3),
         (7.6, 12.4), (6.0, 11.3), (2.0, 11.4), (-0.3, 20.0), (0.4, 38.0), (-3.5, 41.6),
         (-12.0, 41.6), (-3.5, 41.6), (0.0, 46.0), (0.0, 60.0), (0.3, 67.0), (-5.0, 69.0)),
        still_at=1,
        run=True,
    ),
    "food_room": Tour(FoodRoom, ((2.0, 8.0), (-2.0, 12.0), (-4.0, 6.0))),
    "procedural_food_room": Tour(lambda: FoodRoom(pool=None), ((2.0, 8.0), (-2.0, 12.0))),
    "one_screen": Tour(OneScreen, ((1.0, 22.5), (6.0, 21.6), (18.0, 21.6)), still_at=320),
    "blackout": Tour(lambda: Blackout(blackouts_per_minute=20.0, seconds=1.0), _DOWN_THE_STREET),
    "white_noise": Tour(WhiteNoise, _DOWN_THE_STREET),
    "flicker": Tour(Flicker, _DOWN_THE_STREET),
    "block_noise": Tour(BlockNoise, _DOWN_THE_STREET),
}  # fmt: skip


def steer(simulation: Simulation, target: Point) -> bool:
    """Set the inputs that lead towards a point; return whether it is reached."""
    body = simulation.scene_state.body
    dx, dy = target[0] - body.x, target[1] - body.y
    if math.hypot(dx, dy) < _NEAR:
        return True
    off = math.remainder(math.atan2(dx, dy) - body.heading, math.tau)
    turn = 0.0 if abs(off) < _AIMED else math.copysign(1.0 if abs(off) > _STEEP else 0.51, off)
    simulation.set_input("/input/LookHorizontal", turn)
    simulation.set_input("/input/Vertical", float(abs(off) < _STEEP))
    return False


def walk(simulation: Simulation, tour: Tour) -> Iterator[int]:
    """Walk along all waypoints, one physics step at a time; yield the number of each step.

    Raises:
        RuntimeError: the way is blocked.
    """
    simulation.set_input("/input/Run", tour.run)
    for target in tour.waypoints:
        while not steer(simulation, target):
            simulation.step()
            yield simulation.scene_state.step
            if simulation.scene_state.step > _LONGEST:
                raise RuntimeError(f"the way to {target} is blocked")


def to_image(frame: NDArray[np.uint8]) -> Image.Image:
    """Convert a frame (3, H, W) to an image."""
    return Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))


def film(tour: Tour, size: tuple[int, int], rate: int) -> list[Image.Image]:
    """Render the whole walk, 2x supersampled, at `rate` frames per second."""
    simulation = Simulation(tour.scene(), size, 0, supersample=2)
    every = round(PHYSICS_HZ / rate)
    return [to_image(simulation.frame()) for step in walk(simulation, tour) if step % every == 0]


def save_film(pictures: list[Image.Image], path: Path, rate: int, colours: int) -> None:
    """Write an animation in the format of its suffix; a GIF gets one palette for all frames."""
    if path.suffix == ".gif":
        palette = _sheet(pictures[:: max(1, len(pictures) // 16)]).quantize(colours)
        dither = Image.Dither.NONE
        pictures = [picture.quantize(palette=palette, dither=dither) for picture in pictures]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=1000 // rate, loop=0)


def _sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Stack images of one size vertically."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width, height * len(pictures)))
    for row, picture in enumerate(pictures):
        sheet.paste(picture, (0, row * height))
    return sheet


def still(tour: Tour, size: tuple[int, int]) -> Image.Image:
    """Render one step of the walk."""
    simulation = Simulation(tour.scene(), size, 0, supersample=1 if size == _AGENT else 2)
    for step in walk(simulation, tour):
        if step == tour.still_at:
            break
    return to_image(simulation.frame())


def main() -> None:
    """Write all requested files."""
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), help="folder")
    parser.add_argument("--worlds", nargs="+", choices=sorted(TOURS), default=sorted(TOURS))
    parser.add_argument("--film", default=".gif", help="format of the films: .gif or .webp")
    count = option(Annotated[int, Range(1, 4096)])
    parser.add_argument("--width", type=count, default=256, help="of the films, pixels")
    parser.add_argument("--height", type=count, default=144, help="of the films, pixels")
    parser.add_argument("--rate", type=count, default=5, help="pictures a second of the films")
    parser.add_argument(
        "--colours", type=option(Annotated[int, Range(2, 256)]), default=96, help="of a GIF"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.worlds:
        tour = TOURS[name]
        still(tour, _STILL).save(options.out / f"{name}.png", optimize=True)
        still(tour, _AGENT).save(options.out / f"{name}_144.png", optimize=True)
        pictures = film(tour, (options.height, options.width), options.rate)
        path = options.out / f"tour_{name}{options.film}"
        save_film(pictures, path, options.rate, options.colours)
        safe_print(f"{name}: {len(pictures)} pictures, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
