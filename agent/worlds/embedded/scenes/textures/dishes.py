"""Food seen from above, each kind drawn with its own free parameters; baked and fried things."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, blend, darker

Dish = Callable[[Canvas, random.Random], None]
RED, GREEN = (200, 48, 36), (86, 150, 62)


def around(rng: random.Random, colour: Colour, spread: int = 18) -> Colour:
    """Vary a colour."""
    red, green, blue = (max(0, min(255, v + rng.randint(-spread, spread))) for v in colour)
    return red, green, blue


def scatter(rng: random.Random, radius: float, count: int) -> list[tuple[float, float]]:
    """Return points spread evenly over a disc in the middle of the texture."""
    points = []
    for _ in range(count):
        angle, distance = rng.random() * math.tau, math.sqrt(rng.random()) * radius
        points.append((0.5 + math.cos(angle) * distance, 0.5 + math.sin(angle) * distance))
    return points


def plate(
    canvas: Canvas, rng: random.Random, radius: float = 0.44, *, coloured: bool = False
) -> None:
    """Lay a round plate with a rim; a coloured one for food that is white itself."""
    rim = rng.choice(((252, 250, 244), (60, 90, 150), (190, 70, 60), (70, 70, 76)))
    glaze: Colour = (244, 240, 232)
    if coloured:
        glaze = rng.choice(((70, 110, 150), (90, 130, 110), (70, 66, 70), (176, 110, 84)))
    canvas.shadow(0.5, 0.52, radius, radius)
    canvas.ellipse(0.5, 0.5, radius, radius, around(rng, rim))
    canvas.ellipse(0.5, 0.5, radius * 0.93, radius * 0.93, around(rng, glaze, 8))
    canvas.ellipse(0.5, 0.5, radius * 0.74, radius * 0.74, darker(glaze, 1.04))


def pizza(canvas: Canvas, rng: random.Random) -> None:
    """Draw cheese, salami and basil."""
    plate(canvas, rng)
    canvas.ellipse(0.5, 0.5, 0.38, 0.38, around(rng, (206, 136, 62)))
    canvas.ellipse(0.5, 0.5, 0.34, 0.34, around(rng, (206, 70, 40)))
    canvas.ellipse(0.5, 0.5, 0.32, 0.32, around(rng, (246, 206, 98)))
    for x, y in scatter(rng, 0.3, 26):
        canvas.ellipse(x, y, 0.03, 0.022, around(rng, (252, 226, 150)))
    for x, y in scatter(rng, 0.26, rng.randint(6, 13)):
        size = 0.045 + rng.random() * 0.02
        canvas.ellipse(x, y, size, size, around(rng, (178, 40, 30)), (140, 26, 22))
        canvas.ellipse(x - 0.012, y - 0.012, 0.012, 0.01, (226, 110, 90))
    for x, y in scatter(rng, 0.26, rng.randint(3, 9)):
        canvas.ellipse(x, y, 0.03, 0.018, around(rng, GREEN))


def doughnut(canvas: Canvas, rng: random.Random) -> None:
    """Draw icing of any colour and sprinkles."""
    plate(canvas, rng)
    icing = rng.choice(((250, 128, 176), (110, 60, 36), (250, 240, 220), (150, 200, 120)))
    canvas.ellipse(0.5, 0.5, 0.34, 0.34, around(rng, (198, 130, 66)))
    canvas.ellipse(0.5, 0.49, 0.31, 0.31, around(rng, icing))
    canvas.arc(0.5, 0.49, 0.25, 0.25, 190, 280, blend(icing, (255, 255, 255), 0.5), 0.03)
    for _ in range(rng.randint(20, 60)):
        angle, distance = rng.random() * math.tau, 0.14 + rng.random() * 0.14
        x, y = 0.5 + math.cos(angle) * distance, 0.49 + math.sin(angle) * distance
        turn = rng.random() * math.tau
        colour = rng.choice(
            ((240, 60, 60), (250, 220, 70), (80, 190, 230), (120, 220, 100), (255, 255, 255))
        )
        end = (x + 0.03 * math.cos(turn), y + 0.03 * math.sin(turn))
        canvas.line([(x, y), end], colour, 0.014)
    canvas.ellipse(0.5, 0.5, 0.105, 0.105, around(rng, (176, 112, 56)))
    canvas.ellipse(0.5, 0.5, 0.085, 0.085, (246, 242, 234))


def burger(canvas: Canvas, rng: random.Random) -> None:
    """Draw a bun with layers between, seen from the side."""
    bun = around(rng, (212, 142, 66))
    canvas.shadow(0.5, 0.8, 0.4, 0.1)
    canvas.rounded(0.14, 0.68, 0.86, 0.84, 0.07, darker(bun, 0.95))
    y = 0.68
    fillings = [(110, 58, 36), (110, 58, 36), (252, 196, 56), (90, 168, 66), (206, 50, 40)]
    for filling in rng.sample(fillings, rng.randint(3, 5)):
        height = 0.05 + rng.random() * 0.035
        canvas.rounded(0.11, y - height, 0.89, y, 0.02, around(rng, filling))
        y -= height
    canvas.slice(0.5, y, 0.39, 0.34, 180, 360, bun)
    canvas.arc(0.5, y, 0.33, 0.28, 205, 265, blend(bun, (255, 255, 255), 0.4), 0.03)
    for _ in range(rng.randint(10, 26)):
        angle, distance = math.pi * (1 + rng.random()), 0.25 * rng.random() + 0.05
        x, top = 0.5 + math.cos(angle) * distance * 1.1, y + math.sin(angle) * distance * 1.05
        canvas.ellipse(x, top, 0.014, 0.009, (252, 236, 190))


def pancakes(canvas: Canvas, rng: random.Random) -> None:
    """Draw a pile with butter and syrup, seen from the side."""
    canvas.shadow(0.5, 0.78, 0.42, 0.12)
    canvas.ellipse(0.5, 0.78, 0.44, 0.12, around(rng, (240, 238, 232), 8))
    count = rng.randint(3, 6)
    top = 0.76 - count * 0.075
    for layer in range(count):
        y = 0.76 - layer * 0.075
        width = 0.34 + rng.uniform(-0.02, 0.02)
        canvas.ellipse(0.5, y, width, 0.09, around(rng, (196, 120, 48)))
        canvas.ellipse(0.5, y - 0.025, width, 0.085, around(rng, (238, 192, 112), 8))
    y = top + 0.05
    canvas.ellipse(0.5, y, 0.3, 0.07, around(rng, (206, 132, 52)))
    syrup = around(rng, (150, 72, 20))
    canvas.ellipse(0.5, y, 0.2, 0.045, syrup)
    for _ in range(rng.randint(2, 5)):
        x = 0.5 + rng.uniform(-0.28, 0.28)
        canvas.line([(x, y), (x, y + 0.08 + rng.random() * 0.14)], syrup, 0.04)
    canvas.rounded(0.43, y - 0.07, 0.57, y, 0.01, (252, 228, 120))


def toast(canvas: Canvas, rng: random.Random) -> None:
    """Draw a slice with jam, or an egg in the middle."""
    plate(canvas, rng)
    canvas.rounded(0.2, 0.2, 0.8, 0.8, 0.1, around(rng, (176, 108, 48)))
    canvas.rounded(0.23, 0.23, 0.77, 0.77, 0.08, around(rng, (236, 196, 130)))
    if rng.random() < 0.5:
        canvas.ellipse(0.5, 0.5, 0.22, 0.19, (255, 253, 246))
        canvas.ellipse(0.5, 0.5, 0.1, 0.1, around(rng, (254, 186, 34)))
        canvas.ellipse(0.47, 0.47, 0.028, 0.02, (255, 230, 150))
        return
    jam = rng.choice(((190, 30, 60), (110, 40, 110), (236, 140, 30), (120, 70, 30)))
    for x, y in scatter(rng, 0.17, 22):
        canvas.ellipse(x, y, 0.07, 0.06, around(rng, jam, 12))
    for x, y in scatter(rng, 0.16, 8):
        canvas.ellipse(x, y, 0.015, 0.01, blend(jam, (255, 255, 255), 0.5))


def fried_egg(canvas: Canvas, rng: random.Random) -> None:
    """Draw one to three eggs and strips of bacon."""
    plate(canvas, rng, coloured=True)
    for strip in range(rng.randint(0, 3)):
        y = 0.28 + strip * 0.1
        points = [(0.2 + k * 0.06, y + 0.02 * (k % 2)) for k in range(11)]
        canvas.line(points, around(rng, (170, 56, 44)), 0.07)
        canvas.line(points, around(rng, (246, 196, 170)), 0.018)
    for x, y in scatter(rng, 0.13, rng.randint(1, 3)):
        for lobe in range(7):
            angle = lobe / 7 * math.tau
            reach = 0.08 + rng.random() * 0.05
            scene = (x + math.cos(angle) * reach, y + 0.06 + math.sin(angle) * reach)
            canvas.ellipse(*scene, 0.09, 0.08, (255, 254, 248))
        canvas.ellipse(x, y + 0.06, 0.075, 0.075, around(rng, (254, 182, 30)))
        canvas.ellipse(x - 0.022, y + 0.035, 0.022, 0.016, (255, 232, 160))


def cake(canvas: Canvas, rng: random.Random) -> None:
    """Draw a slice of layer cake with fruit on top, seen from the side."""
    cream = rng.choice(((255, 250, 244), (250, 206, 220), (112, 66, 42), (206, 226, 170)))
    sponge = around(rng, (238, 206, 140))
    canvas.shadow(0.5, 0.8, 0.42, 0.1)
    canvas.ellipse(0.5, 0.8, 0.44, 0.1, (244, 242, 238))
    canvas.polygon([(0.14, 0.8), (0.86, 0.8), (0.86, 0.4), (0.14, 0.4)], sponge)
    for layer in range(rng.randint(1, 3)):
        y = 0.5 + layer * 0.11
        canvas.rectangle(0.14, y, 0.86, y + 0.035, cream)
        canvas.rectangle(0.14, y + 0.035, 0.86, y + 0.05, around(rng, RED))
    canvas.polygon([(0.14, 0.42), (0.86, 0.42), (0.72, 0.28), (0.26, 0.28)], cream)
    canvas.rectangle(0.14, 0.4, 0.86, 0.45, darker(cream, 0.94))
    for berry in range(rng.randint(1, 4)):
        x = 0.3 + berry * 0.13
        canvas.ellipse(x, 0.27, 0.06, 0.075, around(rng, (214, 34, 44)))
        canvas.ellipse(x - 0.02, 0.24, 0.015, 0.012, (255, 170, 160))
        canvas.ellipse(x, 0.2, 0.04, 0.016, GREEN)


def ice_cream(canvas: Canvas, rng: random.Random) -> None:
    """Draw scoops on a cone."""
    flavours = ((255, 244, 214), (246, 150, 170), (112, 68, 44), (150, 206, 150), (170, 196, 236))
    canvas.polygon([(0.3, 0.52), (0.7, 0.52), (0.5, 0.96)], (214, 150, 76))
    for k in range(5):
        x = 0.32 + k * 0.09
        canvas.line([(x, 0.53), (0.5, 0.94)], (176, 112, 50), 0.01)
        canvas.line([(0.32 + k * 0.02, 0.56 + k * 0.08), (0.68 - k * 0.02, 0.56 + k * 0.08)],
                    (176, 112, 50), 0.01)  # fmt: skip
    count = rng.randint(1, 3)
    for scoop in range(count):
        y = 0.46 - scoop * 0.15
        colour = around(rng, rng.choice(flavours), 10)
        size = 0.22 - scoop * 0.02
        canvas.ellipse(0.5, y, size, size * 0.8, colour)
        canvas.ellipse(0.43, y - 0.06, 0.06, 0.035, blend(colour, (255, 255, 255), 0.6))
    if rng.random() < 0.6:
        canvas.ellipse(0.5, 0.28 - (count - 1) * 0.13, 0.05, 0.05, around(rng, RED))


DISHES: dict[str, Dish] = {
    dish.__name__: dish
    for dish in (pizza, doughnut, burger, pancakes, toast, fried_egg, cake, ice_cream)
}
