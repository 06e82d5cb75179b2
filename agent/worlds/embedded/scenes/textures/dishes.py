"""Food seen from above, each kind drawn with its own free parameters; baked and fried things."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, blend, darker

Dish = Callable[[Canvas, random.Random], None]
BROWN, GOLD, CREAM, RED, GREEN = (
    (168, 98, 44), (236, 176, 74), (252, 242, 218), (200, 48, 36), (86, 150, 62),
)  # fmt: skip


def around(chance: random.Random, colour: Colour, spread: int = 18) -> Colour:
    """Vary a colour."""
    red, green, blue = (max(0, min(255, v + chance.randint(-spread, spread))) for v in colour)
    return red, green, blue


def scatter(chance: random.Random, radius: float, count: int) -> list[tuple[float, float]]:
    """Return points spread evenly over a disc in the middle of the picture."""
    points = []
    for _ in range(count):
        angle, distance = chance.random() * math.tau, math.sqrt(chance.random()) * radius
        points.append((0.5 + math.cos(angle) * distance, 0.5 + math.sin(angle) * distance))
    return points


def plate(
    canvas: Canvas, chance: random.Random, radius: float = 0.44, *, coloured: bool = False
) -> None:
    """Lay a round plate with a rim; a coloured one for food that is white itself."""
    rim = chance.choice(((252, 250, 244), (60, 90, 150), (190, 70, 60), (70, 70, 76)))
    glaze: Colour = (244, 240, 232)
    if coloured:
        glaze = chance.choice(((70, 110, 150), (90, 130, 110), (70, 66, 70), (176, 110, 84)))
    canvas.shadow(0.5, 0.52, radius, radius)
    canvas.ellipse(0.5, 0.5, radius, radius, around(chance, rim))
    canvas.ellipse(0.5, 0.5, radius * 0.93, radius * 0.93, around(chance, glaze, 8))
    canvas.ellipse(0.5, 0.5, radius * 0.74, radius * 0.74, darker(glaze, 1.04))


def pizza(canvas: Canvas, chance: random.Random) -> None:
    """Draw cheese, salami and basil."""
    plate(canvas, chance)
    canvas.ellipse(0.5, 0.5, 0.38, 0.38, around(chance, (206, 136, 62)))
    canvas.ellipse(0.5, 0.5, 0.34, 0.34, around(chance, (206, 70, 40)))
    canvas.ellipse(0.5, 0.5, 0.32, 0.32, around(chance, (246, 206, 98)))
    for x, y in scatter(chance, 0.3, 26):
        canvas.ellipse(x, y, 0.03, 0.022, around(chance, (252, 226, 150)))
    for x, y in scatter(chance, 0.26, chance.randint(6, 13)):
        size = 0.045 + chance.random() * 0.02
        canvas.ellipse(x, y, size, size, around(chance, (178, 40, 30)), (140, 26, 22))
        canvas.ellipse(x - 0.012, y - 0.012, 0.012, 0.01, (226, 110, 90))
    for x, y in scatter(chance, 0.26, chance.randint(3, 9)):
        canvas.ellipse(x, y, 0.03, 0.018, around(chance, GREEN))


def doughnut(canvas: Canvas, chance: random.Random) -> None:
    """Draw icing of any colour and sprinkles."""
    plate(canvas, chance)
    icing = chance.choice(((250, 128, 176), (110, 60, 36), (250, 240, 220), (150, 200, 120)))
    canvas.ellipse(0.5, 0.5, 0.34, 0.34, around(chance, (198, 130, 66)))
    canvas.ellipse(0.5, 0.49, 0.31, 0.31, around(chance, icing))
    canvas.arc(0.5, 0.49, 0.25, 0.25, 190, 280, blend(icing, (255, 255, 255), 0.5), 0.03)
    for _ in range(chance.randint(20, 60)):
        angle, distance = chance.random() * math.tau, 0.14 + chance.random() * 0.14
        x, y = 0.5 + math.cos(angle) * distance, 0.49 + math.sin(angle) * distance
        turn = chance.random() * math.tau
        colour = chance.choice(
            ((240, 60, 60), (250, 220, 70), (80, 190, 230), (120, 220, 100), (255, 255, 255))
        )
        end = (x + 0.03 * math.cos(turn), y + 0.03 * math.sin(turn))
        canvas.line([(x, y), end], colour, 0.014)
    canvas.ellipse(0.5, 0.5, 0.105, 0.105, around(chance, (176, 112, 56)))
    canvas.ellipse(0.5, 0.5, 0.085, 0.085, (246, 242, 234))


def burger(canvas: Canvas, chance: random.Random) -> None:
    """Draw a bun with layers between, seen from the side."""
    bun = around(chance, (212, 142, 66))
    canvas.shadow(0.5, 0.8, 0.4, 0.1)
    canvas.rounded(0.14, 0.68, 0.86, 0.84, 0.07, darker(bun, 0.95))
    y = 0.68
    fillings = [(110, 58, 36), (110, 58, 36), (252, 196, 56), (90, 168, 66), (206, 50, 40)]
    for filling in chance.sample(fillings, chance.randint(3, 5)):
        height = 0.05 + chance.random() * 0.035
        canvas.rounded(0.11, y - height, 0.89, y, 0.02, around(chance, filling))
        y -= height
    canvas.slice(0.5, y, 0.39, 0.34, 180, 360, bun)
    canvas.arc(0.5, y, 0.33, 0.28, 205, 265, blend(bun, (255, 255, 255), 0.4), 0.03)
    for _ in range(chance.randint(10, 26)):
        angle, distance = math.pi * (1 + chance.random()), 0.25 * chance.random() + 0.05
        x, top = 0.5 + math.cos(angle) * distance * 1.1, y + math.sin(angle) * distance * 1.05
        canvas.ellipse(x, top, 0.014, 0.009, (252, 236, 190))


def pancakes(canvas: Canvas, chance: random.Random) -> None:
    """Draw a pile with butter and syrup, seen from the side."""
    canvas.shadow(0.5, 0.78, 0.42, 0.12)
    canvas.ellipse(0.5, 0.78, 0.44, 0.12, around(chance, (240, 238, 232), 8))
    count = chance.randint(3, 6)
    top = 0.76 - count * 0.075
    for layer in range(count):
        y = 0.76 - layer * 0.075
        width = 0.34 + chance.uniform(-0.02, 0.02)
        canvas.ellipse(0.5, y, width, 0.09, around(chance, (196, 120, 48)))
        canvas.ellipse(0.5, y - 0.025, width, 0.085, around(chance, (238, 192, 112), 8))
    y = top + 0.05
    canvas.ellipse(0.5, y, 0.3, 0.07, around(chance, (206, 132, 52)))
    syrup = around(chance, (150, 72, 20))
    canvas.ellipse(0.5, y, 0.2, 0.045, syrup)
    for _ in range(chance.randint(2, 5)):
        x = 0.5 + chance.uniform(-0.28, 0.28)
        canvas.line([(x, y), (x, y + 0.08 + chance.random() * 0.14)], syrup, 0.04)
    canvas.rounded(0.43, y - 0.07, 0.57, y, 0.01, (252, 228, 120))


def toast(canvas: Canvas, chance: random.Random) -> None:
    """Draw a slice with jam, or an egg in the middle."""
    plate(canvas, chance)
    canvas.rounded(0.2, 0.2, 0.8, 0.8, 0.1, around(chance, (176, 108, 48)))
    canvas.rounded(0.23, 0.23, 0.77, 0.77, 0.08, around(chance, (236, 196, 130)))
    if chance.random() < 0.5:
        canvas.ellipse(0.5, 0.5, 0.22, 0.19, (255, 253, 246))
        canvas.ellipse(0.5, 0.5, 0.1, 0.1, around(chance, (254, 186, 34)))
        canvas.ellipse(0.47, 0.47, 0.028, 0.02, (255, 230, 150))
        return
    jam = chance.choice(((190, 30, 60), (110, 40, 110), (236, 140, 30), (120, 70, 30)))
    for x, y in scatter(chance, 0.17, 22):
        canvas.ellipse(x, y, 0.07, 0.06, around(chance, jam, 12))
    for x, y in scatter(chance, 0.16, 8):
        canvas.ellipse(x, y, 0.015, 0.01, blend(jam, (255, 255, 255), 0.5))


def fried_egg(canvas: Canvas, chance: random.Random) -> None:
    """Draw one to three eggs and strips of bacon."""
    plate(canvas, chance, coloured=True)
    for strip in range(chance.randint(0, 3)):
        y = 0.28 + strip * 0.1
        points = [(0.2 + k * 0.06, y + 0.02 * (k % 2)) for k in range(11)]
        canvas.line(points, around(chance, (170, 56, 44)), 0.07)
        canvas.line(points, around(chance, (246, 196, 170)), 0.018)
    for x, y in scatter(chance, 0.13, chance.randint(1, 3)):
        for lobe in range(7):
            angle = lobe / 7 * math.tau
            reach = 0.08 + chance.random() * 0.05
            place = (x + math.cos(angle) * reach, y + 0.06 + math.sin(angle) * reach)
            canvas.ellipse(*place, 0.09, 0.08, (255, 254, 248))
        canvas.ellipse(x, y + 0.06, 0.075, 0.075, around(chance, (254, 182, 30)))
        canvas.ellipse(x - 0.022, y + 0.035, 0.022, 0.016, (255, 232, 160))


def cake(canvas: Canvas, chance: random.Random) -> None:
    """Draw a slice of layer cake with fruit on top, seen from the side."""
    cream = chance.choice(((255, 250, 244), (250, 206, 220), (112, 66, 42), (206, 226, 170)))
    sponge = around(chance, (238, 206, 140))
    canvas.shadow(0.5, 0.8, 0.42, 0.1)
    canvas.ellipse(0.5, 0.8, 0.44, 0.1, (244, 242, 238))
    canvas.polygon([(0.14, 0.8), (0.86, 0.8), (0.86, 0.4), (0.14, 0.4)], sponge)
    for layer in range(chance.randint(1, 3)):
        y = 0.5 + layer * 0.11
        canvas.rectangle(0.14, y, 0.86, y + 0.035, cream)
        canvas.rectangle(0.14, y + 0.035, 0.86, y + 0.05, around(chance, RED))
    canvas.polygon([(0.14, 0.42), (0.86, 0.42), (0.72, 0.28), (0.26, 0.28)], cream)
    canvas.rectangle(0.14, 0.4, 0.86, 0.45, darker(cream, 0.94))
    for berry in range(chance.randint(1, 4)):
        x = 0.3 + berry * 0.13
        canvas.ellipse(x, 0.27, 0.06, 0.075, around(chance, (214, 34, 44)))
        canvas.ellipse(x - 0.02, 0.24, 0.015, 0.012, (255, 170, 160))
        canvas.ellipse(x, 0.2, 0.04, 0.016, GREEN)


def ice_cream(canvas: Canvas, chance: random.Random) -> None:
    """Draw scoops on a cone."""
    flavours = ((255, 244, 214), (246, 150, 170), (112, 68, 44), (150, 206, 150), (170, 196, 236))
    canvas.polygon([(0.3, 0.52), (0.7, 0.52), (0.5, 0.96)], (214, 150, 76))
    for k in range(5):
        x = 0.32 + k * 0.09
        canvas.line([(x, 0.53), (0.5, 0.94)], (176, 112, 50), 0.01)
        canvas.line([(0.32 + k * 0.02, 0.56 + k * 0.08), (0.68 - k * 0.02, 0.56 + k * 0.08)],
                    (176, 112, 50), 0.01)  # fmt: skip
    count = chance.randint(1, 3)
    for scoop in range(count):
        y = 0.46 - scoop * 0.15
        colour = around(chance, chance.choice(flavours), 10)
        size = 0.22 - scoop * 0.02
        canvas.ellipse(0.5, y, size, size * 0.8, colour)
        canvas.ellipse(0.43, y - 0.06, 0.06, 0.035, blend(colour, (255, 255, 255), 0.6))
    if chance.random() < 0.6:
        canvas.ellipse(0.5, 0.28 - (count - 1) * 0.13, 0.05, 0.05, around(chance, RED))


DISHES: dict[str, Dish] = {
    "pizza": pizza,
    "doughnut": doughnut,
    "burger": burger,
    "pancakes": pancakes,
    "toast": toast,
    "fried_egg": fried_egg,
    "cake": cake,
    "ice_cream": ice_cream,
}
