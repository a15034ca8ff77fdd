"""Number plates of China, drawn after the layout of GA 36.

All sizes are millimetres. A plate is drawn four times finer than it is kept: Cycles does not filter textures, so
a texture much finer than the picture would turn into noise at two samples a pixel.
"""
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CJK_FONT = "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"  # Debian fonts-noto-cjk
LATIN_FONT = "/usr/share/fonts/truetype/roboto/unhinted/RobotoCondensed-Bold.ttf"  # Debian fonts-roboto-unhinted
DRAW = 4  # drawn pixels per millimetre
KEEP = 2  # kept pixels per millimetre

SERIAL = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I, no O
PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"

FACES = {  # background, characters
    "blue": ((12, 62, 170), (240, 244, 250)),
    "yellow": ((236, 176, 20), (15, 15, 15)),
    "green": ((66, 178, 112), (12, 14, 14)),
}
GREEN_TOP = (226, 238, 228)  # small new energy plates fade from near white to green


def size(colour, rows=1):
    """Width and height of a plate."""
    if rows == 2:
        return 440, 220
    return (480, 140) if colour == "green" else (440, 140)


def check_text(text, colour):
    """Refuse a text that no plate of this kind can carry."""
    length = 8 if colour == "green" else 7
    if len(text) != length or text[0] not in PROVINCES or text[1] not in SERIAL[10:]:
        raise ValueError(f"{text}: not a {colour} plate")
    if any(c not in SERIAL for c in text[2:]):
        raise ValueError(f"{text}: I and O are not used in a serial")
    if colour == "green" and text[2] not in "DF":
        raise ValueError(f"{text}: the third character of a small new energy plate tells the kind of energy")


def glyph(char, width, height):
    """One character as a mask that fills its cell, as the embossed faces do."""
    cjk = ord(char) > 0x2000
    # index 2 of the collection is the simplified Chinese face
    font = ImageFont.truetype(CJK_FONT if cjk else LATIN_FONT, 400, index=2 if cjk else 0)
    canvas = Image.new("L", (700, 700), 0)
    ImageDraw.Draw(canvas).text((150, 60), char, font=font, fill=255)
    cut = canvas.crop(canvas.getbbox())
    cell = (int(width * DRAW), int(height * DRAW))
    if char == "1":  # stretched to a full cell a 1 would be a bar
        narrow = cut.resize((cell[0] // 2, cell[1]), Image.LANCZOS)
        mask = Image.new("L", cell, 0)
        mask.paste(narrow, (cell[0] // 5, 0))
        return mask
    return cut.resize(cell, Image.LANCZOS)


def cells_one_row(colour):
    """(x, y, width, height) of each character, and the place of the dot, in one row."""
    green = colour == "green"
    gap, after_second = (9, 40) if green else (12, 34)
    x, cells = (19 if green else 15.5), []
    for i in range(8 if green else 7):
        width = 43 if green and i >= 2 else 45
        cells.append((x, 25, width, 90))
        x += width + (after_second if i == 1 else gap)
    dot = None if green else (cells[1][0] + 45 + 17, 70)
    return cells, dot


def cells_two_rows():
    """The 440 x 220 rear plate of large vehicles: province and letter above, the serial below."""
    cells = [(110, 15, 80, 60), (250, 15, 80, 60)]
    cells += [(27.5 + i * 80, 90, 65, 110) for i in range(5)]
    return cells, (220, 45)


def background(colour, width, height):
    if colour != "green":
        return np.ones((height, width, 3)) * FACES[colour][0]
    t = np.linspace(0, 1, height)[:, None, None]
    return (np.array(GREEN_TOP) * (1 - t) + np.array(FACES["green"][0]) * t) * np.ones((height, width, 1))


def draw(text, colour, rows=1, seed=0):
    """The plate as a picture; the seed places its dirt."""
    check_text(text, colour)
    wide, high = size(colour, rows)
    width, height = wide * DRAW, high * DRAW
    ink = FACES[colour][1]
    image = Image.fromarray(background(colour, width, height).astype("uint8"))
    pen = ImageDraw.Draw(image)
    edge = (30, 90, 60) if colour == "green" else ink
    pen.rounded_rectangle((3 * DRAW, 3 * DRAW, width - 3 * DRAW, height - 3 * DRAW), radius=9 * DRAW, outline=edge, width=2 * DRAW)

    cells, dot = cells_two_rows() if rows == 2 else cells_one_row(colour)
    for char, (x, y, w, h) in zip(text, cells, strict=True):
        mask = glyph(char, w, h)
        image.paste(Image.new("RGB", mask.size, ink), (int(x * DRAW), int(y * DRAW)), mask)

    def disc(x, y, r, fill):
        pen.ellipse(((x - r) * DRAW, (y - r) * DRAW, (x + r) * DRAW, (y + r) * DRAW), fill=fill)

    if dot:
        disc(*dot, 5, ink)
    for x in (110, wide - 110):  # the four screws
        disc(x, 13, 4, (150, 150, 150))
        if rows == 1:
            disc(x, high - 13, 4, (150, 150, 150))

    # a little uneven dirt, so that no plate is evenly coloured
    spots = np.random.default_rng(seed).random((14, 44)) * 255
    dirt = np.asarray(Image.fromarray(spots.astype("uint8")).resize((width, height), Image.BICUBIC))
    pixels = np.asarray(image).astype("float32") * (1 - 0.10 * dirt[:, :, None] / 255)
    done = Image.fromarray(pixels.clip(0, 255).astype("uint8"))
    return done.resize((wide * KEEP, high * KEEP), Image.LANCZOS)


def save(text, colour, rows, folder, seed=0):
    """Draw a plate into a folder and give its path."""
    path = Path(folder) / f"plate-{seed}-{colour}-{rows}.png"
    draw(text, colour, rows, seed).save(path)
    return path
