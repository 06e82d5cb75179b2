"""Food of the street's own kitchens, each kind drawn with its own free parameters."""

from __future__ import annotations

import math
import random

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, blend, darker
from agent.worlds.embedded.scenes.textures.dishes import GREEN, RED, Dish, around, plate, scatter

_NORI, _RICE = (34, 44, 36), (252, 250, 244)


def bowl(canvas: Canvas, rng: random.Random, broth: Colour) -> None:
    """Fill a bowl with broth or sauce."""
    glaze = rng.choice(((170, 34, 30), (34, 44, 60), (240, 236, 226), (60, 94, 84)))
    canvas.shadow(0.5, 0.53, 0.44, 0.44)
    canvas.ellipse(0.5, 0.5, 0.44, 0.44, around(rng, glaze))
    canvas.ellipse(0.5, 0.5, 0.4, 0.4, darker(glaze, 0.7))
    canvas.ellipse(0.5, 0.51, 0.37, 0.37, broth)


def egg_half(canvas: Canvas, x: float, y: float, yolk: Colour) -> None:
    """Lay half a boiled egg."""
    canvas.ellipse(x, y, 0.095, 0.08, (254, 250, 240))
    canvas.ellipse(x, y, 0.055, 0.047, yolk)
    canvas.ellipse(x - 0.015, y - 0.015, 0.015, 0.01, (255, 226, 160))


def ramen(canvas: Canvas, rng: random.Random) -> None:
    """Draw noodles, egg, pork, seaweed and spring onion."""
    broth = around(rng, rng.choice(((206, 140, 66), (226, 196, 146), (150, 84, 40))))
    bowl(canvas, rng, broth)
    for _ in range(rng.randint(14, 26)):
        x, y = 0.5 + rng.uniform(-0.12, 0.12), 0.54 + rng.uniform(-0.1, 0.12)
        radius, start = 0.08 + rng.random() * 0.14, rng.uniform(0, 360)
        noodle = around(rng, (250, 226, 146), 10)
        canvas.arc(x, y, radius, radius * 0.7, start, start + 170, noodle, 0.018)
    for k in range(rng.randint(1, 3)):
        x = 0.33 + k * 0.09
        canvas.ellipse(x, 0.36 + 0.03 * k, 0.1, 0.085, around(rng, (196, 128, 90)))
        canvas.ellipse(x, 0.36 + 0.03 * k, 0.06, 0.045, around(rng, (236, 190, 160)))
    canvas.rectangle(0.62, 0.18, 0.8, 0.44, _NORI)
    egg_half(canvas, 0.64, 0.56, around(rng, (250, 160, 40)))
    for x, y in scatter(rng, 0.3, rng.randint(8, 26)):
        canvas.ellipse(x, y, 0.016, 0.012, around(rng, GREEN), (200, 226, 150), 0.006)


def nigiri(canvas: Canvas, rng: random.Random) -> None:
    """Draw two or three pieces of sushi on a board."""
    canvas.shadow(0.5, 0.55, 0.44, 0.36)
    canvas.rounded(0.06, 0.16, 0.94, 0.88, 0.04, around(rng, (150, 98, 58)))
    toppings = ((250, 128, 84), (206, 44, 52), (250, 214, 90), (252, 226, 214), (240, 150, 130))
    count = rng.randint(2, 3)
    for piece in range(count):
        y = 0.5 + (piece - (count - 1) / 2) * 0.22
        topping = around(rng, rng.choice(toppings), 12)
        canvas.rounded(0.22, y - 0.03, 0.78, y + 0.09, 0.05, _RICE)
        canvas.rounded(0.18, y - 0.09, 0.82, y + 0.035, 0.055, topping)
        for stripe in range(rng.randint(3, 7)):
            x = 0.26 + stripe * 0.08
            pale = blend(topping, (255, 255, 255), 0.5)
            canvas.line([(x, y - 0.08), (x + 0.05, y + 0.03)], pale, 0.014)
        if rng.random() < 0.3:
            canvas.rectangle(0.46, y - 0.092, 0.54, y + 0.09, _NORI)


def maki(canvas: Canvas, rng: random.Random) -> None:
    """Draw rolls seen from above, with fillings of many colours."""
    plate(canvas, rng, coloured=True)
    fillings = ((246, 120, 84), (96, 170, 80), (250, 210, 80), (200, 50, 56), (236, 226, 200))
    for row in range(3):
        for column in range(3):
            if rng.random() < 0.12:
                continue
            x, y = 0.28 + column * 0.22, 0.28 + row * 0.22
            canvas.ellipse(x, y, 0.1, 0.1, _NORI)
            canvas.ellipse(x, y, 0.083, 0.083, _RICE)
            for _ in range(rng.randint(1, 3)):
                dx, dy = rng.uniform(-0.025, 0.025), rng.uniform(-0.025, 0.025)
                filling = around(rng, rng.choice(fillings))
                canvas.ellipse(x + dx, y + dy, 0.035, 0.03, filling)


def curry(canvas: Canvas, rng: random.Random) -> None:
    """Draw rice on one side and sauce with vegetables on the other."""
    plate(canvas, rng, coloured=True)
    canvas.ellipse(0.5, 0.5, 0.34, 0.3, around(rng, (150, 88, 34)))
    canvas.slice(0.5, 0.5, 0.35, 0.31, 100 + rng.randint(-25, 25), 265, _RICE)
    colours = ((236, 130, 40), (240, 206, 110), (120, 160, 70), (120, 66, 36))
    for x, y in scatter(rng, 0.2, rng.randint(7, 14)):
        colour = around(rng, rng.choice(colours))
        canvas.rounded(x + 0.04, y - 0.03, x + 0.12, y + 0.04, 0.015, colour)
    for x, y in scatter(rng, 0.06, 6):
        canvas.ellipse(x - 0.22, y, 0.018, 0.014, around(rng, RED))


def onigiri(canvas: Canvas, rng: random.Random) -> None:
    """Draw one or two rice balls with seaweed."""
    plate(canvas, rng, 0.46, coloured=True)
    for k in range(count := rng.randint(1, 2)):
        x = 0.5 + (k - (count - 1) / 2) * 0.34
        size = 0.3 if count == 1 else 0.2
        corners = [(x, 0.5 - size), (x + size, 0.5 + size * 0.7), (x - size, 0.5 + size * 0.7)]
        canvas.polygon(corners, _RICE)
        for corner_x, corner_y in corners:
            inner_x, inner_y = x + (corner_x - x) * 0.8, 0.5 + (corner_y - 0.5) * 0.8
            canvas.ellipse(inner_x, inner_y, size * 0.24, size * 0.24, _RICE)
        for _ in range(30):
            dx, dy = rng.uniform(-0.4, 0.4) * size, rng.uniform(-0.3, 0.6) * size
            canvas.ellipse(x + dx, 0.5 + dy, 0.012, 0.007, (232, 228, 216))
        canvas.rectangle(x - size * 0.34, 0.5, x + size * 0.34, 0.5 + size * 0.86, _NORI)
        if rng.random() < 0.6:
            canvas.ellipse(x, 0.5 - size * 0.3, size * 0.16, size * 0.14, around(rng, RED))


def dango(canvas: Canvas, rng: random.Random) -> None:
    """Draw sweet dumplings on skewers."""
    canvas.shadow(0.5, 0.52, 0.42, 0.34)
    canvas.rounded(0.08, 0.14, 0.92, 0.86, 0.06, around(rng, (60, 84, 74)))
    colours = ((246, 170, 186), (252, 248, 236), (150, 190, 100), (176, 104, 44), (90, 60, 60))
    for skewer in range(rng.randint(2, 3)):
        y = 0.3 + skewer * 0.2
        canvas.line([(0.12, y), (0.9, y)], (222, 190, 130), 0.02)
        for ball in range(rng.randint(3, 4)):
            colour = around(rng, colours[ball % 3] if skewer % 2 else rng.choice(colours))
            x = 0.26 + ball * 0.16
            canvas.ellipse(x, y, 0.085, 0.085, colour)
            canvas.ellipse(x - 0.025, y - 0.03, 0.025, 0.018, blend(colour, (255, 255, 255), 0.6))


def takoyaki(canvas: Canvas, rng: random.Random) -> None:
    """Draw octopus balls in a paper boat, with sauce, mayonnaise and flakes."""
    canvas.shadow(0.5, 0.54, 0.44, 0.32)
    canvas.polygon([(0.04, 0.3), (0.96, 0.3), (0.88, 0.84), (0.12, 0.84)], (226, 196, 140))
    for row in range(2):
        for column in range(rng.randint(3, 4)):
            x, y = 0.24 + column * 0.18, 0.42 + row * 0.22
            canvas.ellipse(x, y, 0.1, 0.1, around(rng, (206, 138, 62)))
            canvas.ellipse(x, y - 0.015, 0.08, 0.07, around(rng, (104, 48, 22)))
            zigzag = [(x - 0.07 + k * 0.028, y - 0.03 + 0.04 * (k % 2)) for k in range(6)]
            canvas.line(zigzag, (254, 244, 206), 0.016)
    for _ in range(rng.randint(12, 40)):
        x, y = rng.uniform(0.14, 0.86), rng.uniform(0.32, 0.76)
        canvas.ellipse(x, y, 0.014, 0.008, around(rng, (96, 130, 60)))


def bento(canvas: Canvas, rng: random.Random) -> None:
    """Draw a lunch box of four compartments."""
    box = rng.choice(((40, 30, 32), (160, 30, 34), (120, 84, 54)))
    canvas.shadow(0.5, 0.53, 0.46, 0.4)
    canvas.rounded(0.05, 0.12, 0.95, 0.88, 0.06, box)
    canvas.rectangle(0.09, 0.16, 0.52, 0.84, _RICE)
    canvas.ellipse(0.305, 0.5, 0.06, 0.06, around(rng, RED))
    for _ in range(24):
        x, y = rng.uniform(0.12, 0.5), rng.uniform(0.18, 0.82)
        canvas.ellipse(x, y, 0.008, 0.006, (60, 50, 46))
    sides = ((236, 150, 90), (250, 214, 90), (110, 160, 70), (150, 80, 44), (226, 70, 60))
    for row, (y0, y1) in enumerate(((0.16, 0.37), (0.4, 0.6), (0.63, 0.84))):
        canvas.rectangle(0.56, y0, 0.91, y1, darker((110, 150, 80), 0.7))
        colour = rng.choice(sides)
        for column in range(rng.randint(2, 5)):
            x = 0.61 + column * 0.065
            middle = (y0 + y1) / 2 + rng.uniform(-0.02, 0.02)
            shade = around(rng, colour)
            canvas.ellipse(x, middle, 0.045, 0.07 - 0.01 * row, shade)
            canvas.ellipse(x - 0.01, middle - 0.02, 0.014, 0.012, blend(shade, (255,) * 3, 0.4))


def watermelon(canvas: Canvas, rng: random.Random) -> None:
    """Draw slices of melon."""
    flesh = around(rng, rng.choice(((232, 62, 70), (250, 200, 80), (246, 130, 70))))
    canvas.shadow(0.5, 0.62, 0.42, 0.24)
    for k in range(rng.randint(1, 3)):
        y = 0.34 + k * 0.17
        canvas.slice(0.5, y, 0.42, 0.4, 0, 180, (48, 110, 54))
        canvas.slice(0.5, y, 0.38, 0.36, 0, 180, (226, 240, 190))
        canvas.slice(0.5, y, 0.35, 0.33, 0, 180, flesh)
        for _ in range(rng.randint(6, 14)):
            angle, distance = rng.random() * math.pi, 0.08 + rng.random() * 0.2
            seed_x, seed_y = 0.5 + math.cos(angle) * distance, y + math.sin(angle) * distance
            canvas.ellipse(seed_x, seed_y, 0.012, 0.018, (40, 26, 24))


DISHES: dict[str, Dish] = {
    dish.__name__: dish
    for dish in (ramen, nigiri, maki, curry, onigiri, dango, takoyaki, bento, watermelon)
}
