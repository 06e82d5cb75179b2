"""Japanese characters as polylines in the unit square, so that signs need no font."""

from __future__ import annotations

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour

Stroke = tuple[tuple[float, float], ...]


def _strokes(text: str) -> tuple[Stroke, ...]:
    """Read strokes written as "x,y x,y ...; x,y ..." in hundredths."""
    return tuple(
        tuple((int(x) / 100, int(y) / 100) for x, y in (point.split(",") for point in line.split()))
        for line in text.split(";")
    )


GLYPHS: dict[str, tuple[Stroke, ...]] = {
    character: _strokes(text)
    for character, text in {
        "本": "10,30 90,30; 50,5 50,95; 50,30 10,80; 50,30 90,80; 34,75 66,75",
        "日": "20,8 80,8 80,92 20,92 20,8; 20,50 80,50",
        "山": "50,5 50,90; 12,40 12,90 88,90 88,40",
        "大": "10,35 90,35; 50,5 48,50 10,95; 50,40 90,95",
        "小": "50,5 50,88 38,80; 28,35 10,72; 72,35 92,72",
        "川": "20,10 18,60 8,92; 50,12 50,84; 82,6 82,95",
        "中": "15,25 85,25 85,62 15,62 15,25; 50,5 50,97",
        "円": "14,95 14,10 86,10 86,92; 50,10 50,52; 14,52 86,52",
        "千": "78,6 20,20; 8,46 92,46; 50,14 50,96",
        "酒": "6,14 20,25; 3,42 17,50; 4,92 20,62; 30,10 97,10;"
        "34,32 34,93 93,93 93,32 34,32; 54,10 52,45 42,60; 74,10 74,50 86,56; 34,74 93,74",
        "肉": "15,95 15,25 85,25 85,90; 50,5 48,35 28,55; 50,30 72,50; 50,50 45,65 28,85;"
        "50,60 72,82",
        "魚": "38,3 14,34; 34,12 68,12 56,26; 20,28 80,28 80,64 20,64 20,28; 20,46 80,46;"
        "50,28 50,64; 14,76 8,94; 36,76 38,93; 60,76 66,92; 80,74 94,93",
        "花": "8,18 92,18; 34,4 34,30; 66,4 66,30; 38,36 12,68; 26,54 26,96; 86,42 52,66;"
        "52,36 52,88 92,88 92,74",
        "米": "50,4 50,96; 8,48 92,48; 22,14 38,36; 78,14 62,36; 46,52 10,88; 54,52 90,88",
        "茶": "10,15 90,15; 35,4 35,26; 65,4 65,26; 50,26 6,52; 50,26 94,52; 22,60 78,60;"
        "50,45 50,96; 36,70 22,88; 64,70 78,88",
        "祭": "34,3 10,34; 30,12 48,12 40,28 8,56; 30,24 40,34; 56,6 90,30; 84,10 60,36 94,54;"
        "32,50 68,50; 10,66 90,66; 50,66 50,95 40,92; 30,78 16,92; 70,78 86,92",
        "神": "20,4 30,16; 6,28 40,28 8,62; 24,46 24,96; 30,48 40,56; 50,22 92,22 92,66 50,66 "
        "50,22; 50,44 92,44; 71,4 71,97",
        "社": "22,4 32,16; 6,28 42,28 8,62; 24,46 24,96; 32,48 42,56; 54,40 94,40; 74,10 74,90;"
        "48,90 98,90",
        "屋": "15,10 85,10 85,30 15,30; 15,10 15,60 4,95; 28,44 92,44; 50,44 34,58 82,56;"
        "30,74 88,74; 58,60 58,93; 18,93 96,93",
        "八": "38,15 30,60 8,92; 55,12 65,55 92,92",
        "百": "8,8 92,8; 50,8 44,30; 22,30 78,30 78,94 22,94 22,30; 22,62 78,62",
        "止": "50,8 50,90; 50,42 85,42; 22,45 22,90; 5,90 95,90",
        "れ": "28,5 28,95; 8,25 45,20 10,72; 20,50 55,20 68,30 62,80 78,90 95,72",
        "ま": "15,20 85,20; 20,42 80,42; 50,5 50,75 36,92 20,82 36,70 85,92",
        "お": "8,26 64,26; 36,5 36,74 24,92 10,80 22,62 60,52 82,64 80,82 58,92; 74,14 92,32",
        "す": "8,25 92,25; 56,5 56,55 45,66 34,54 42,42 56,50 50,80 34,96",
        "し": "28,5 28,70 42,92 66,88 86,60",
        "そ": "25,10 75,10 20,45 92,40 52,55 42,75 55,92 74,93",
        "ば": "20,10 14,50 22,90; 40,30 85,30; 65,10 65,80 50,92 40,80 55,72 86,90;"
        "82,3 87,13; 93,0 98,10",
        "ゆ": "20,12 14,75; 15,60 26,30 60,20 87,40 80,66 55,70 42,55; 58,4 63,50 48,95",
        "ラ": "20,15 80,15; 12,42 86,42 75,70 35,95",
        "ー": "50,8 50,92",
        "メ": "80,6 55,60 10,94; 22,30 82,76",
        "ン": "15,18 36,34; 12,90 50,76 90,25",
        "パ": "32,26 26,60 8,90; 54,26 72,50 88,90; 80,4 92,4 92,16 80,16 80,4",
        "カ": "12,28 84,28 78,86 62,78; 46,5 42,50 12,92",
        "フ": "12,14 86,14 74,56 24,94",
        "ェ": "22,40 78,40; 50,40 50,86; 10,86 90,86",
    }.items()
}
"""The long-vowel mark ー stands upright, as in vertical writing."""


def glyph(
    canvas: Canvas, character: str, x: float, y: float, width: float, height: float,
    colour: Colour, weight: float,
) -> None:  # fmt: skip
    """Write one character into the box whose upper left corner is (x, y).

    Raises:
        KeyError: no strokes are known for the character.
    """
    for stroke in GLYPHS[character]:
        canvas.line([(x + px * width, y + py * height) for px, py in stroke], colour, weight)


def write_down(
    canvas: Canvas, text: str, x: float, y: float, width: float, height: float,
    colour: Colour, weight: float,
) -> None:  # fmt: skip
    """Write downwards, spread over a box."""
    step = height / len(text)
    for row, character in enumerate(text):
        glyph(canvas, character, x, y + row * step, width, step * 0.88, colour, weight)


def write_across(
    canvas: Canvas, text: str, x: float, y: float, size: float, colour: Colour, weight: float
) -> None:
    """Write to the right in characters of one size."""
    for column, character in enumerate(text):
        if character == "ー":
            left = x + column * size * 1.1
            middle = y + size / 2
            canvas.line([(left, middle), (left + size, middle)], colour, weight)
        else:
            glyph(canvas, character, x + column * size * 1.1, y, size, size, colour, weight)
