"""What a plate detector takes for plates and is none: grilles, bonnets, signs, painted numbers, overlays, other writing."""

import random

import cv2
import numpy

import glyphs
from alphabet import DIGITS, LETTERS, PROVINCES

# Words on lorries, shops and roads; none of them is on a plate.
WORDS = (
    "物流运输货运快递限高限速出口入口停车场收费站自重载质量核定人数有限公司危险品禁止超车校车出租客运中国石化"
    "请勿鸣笛减速慢行严禁烟火福田解放东风重汽金杯五菱长安比亚迪大众本田丰田现代别克雪佛兰"
)
LATIN = DIGITS + LETTERS + "IO:-/."


def texture(rng, size):
    """Soft blotches or stripes: paint, chrome, road, foliage out of focus."""
    height, width = size
    numbers = numpy.random.default_rng(rng.getrandbits(32))
    if rng.random() < 0.5:
        coarse = numbers.random((rng.randint(2, 8), rng.randint(2, 16), 3))
    elif rng.random() < 0.6:
        # A grille: bars across, upright or both.
        bars = numbers.random((rng.randint(3, 16), 1, 1)) * numpy.ones((1, rng.randint(1, 3), 3))
        coarse = bars if rng.random() < 0.7 else bars.transpose(1, 0, 2)
    else:
        coarse = numbers.random((rng.randint(10, 40), rng.randint(20, 100), 1)) * numpy.ones((1, 1, 3))
    way = rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST])
    picture = cv2.resize(coarse.astype(numpy.float32), (width, height), interpolation=way).reshape(height, width, 3)
    base = numpy.array([rng.uniform(10, 220)] * 3) + numpy.array([rng.gauss(0, 25) for _ in range(3)])
    return numpy.clip(base + (picture - 0.5) * rng.uniform(10, 220), 0, 255).astype(numpy.uint8)


# Grounds of signs and bodies that come near those of plates, BGR.
PLATE_LIKE = ((170, 70, 20), (60, 180, 240), (110, 190, 90), (230, 230, 230), (30, 28, 26), (40, 40, 200))


def bars(rng, size):
    """A grille, a fence, a radiator: many like bars over one ground, in a frame."""
    height, width = size
    ground, bar = (numpy.array(rng.choice(PLATE_LIKE)) + [rng.gauss(0, 25) for _ in range(3)] for _ in range(2))
    picture = numpy.ones((height, width, 3)) * ground
    pitch, thick, lean = rng.uniform(6, 45), rng.uniform(0.2, 0.7), rng.gauss(0, 0.1)
    y, x = numpy.mgrid[0:height, 0:width]
    along = x + lean * y if rng.random() < 0.7 else y * 1.5 + lean * x
    inner = (y > height * rng.uniform(0, 0.3)) & (y < height * rng.uniform(0.7, 1)) & (x > width * rng.uniform(0, 0.15))
    on = ((along / pitch + rng.random()) % 1 < thick) & inner
    picture[on] = bar
    return numpy.clip(picture, 0, 255).astype(numpy.uint8)


def sign(rng, size):
    """A few large characters on a ground like a plate's."""
    height, width = size
    ground = numpy.array(rng.choice(PLATE_LIKE)) + [rng.gauss(0, 20) for _ in range(3)]
    picture = numpy.clip(numpy.ones((height, width, 3)) * ground, 0, 255).astype(numpy.uint8)
    count = rng.randint(1, 5)
    text = "".join(rng.choice(WORDS if rng.random() < 0.8 else LATIN) for _ in range(count))
    dark = ground.mean() > 110
    tall = int(height * rng.uniform(0.4, 0.8))
    face = rng.choice(glyphs.HANZI)
    pitch = width * 0.85 / count
    for i, symbol in enumerate(text):
        glyph = cv2.resize(glyphs.typeset(symbol, *face), (max(2, int(min(pitch * 0.8, tall * 1.2))), tall))
        stamp(picture, glyph, int(width * 0.07 + i * pitch), (height - tall) // 2, numpy.array([20.0 if dark else 240.0] * 3))
    return picture


def piece(rng, pictures, size):
    """A piece of a real picture without plates, of any scale."""
    picture = rng.choice(pictures)
    height, width = picture.shape[:2]
    w = rng.randint(min(40, width), width)
    h = min(height, max(12, int(w * rng.uniform(0.2, 0.6))))
    x, y = rng.randint(0, width - w), rng.randint(0, height - h)
    return cv2.resize(picture[y : y + h, x : x + w], size[::-1], interpolation=cv2.INTER_AREA)


def write(rng, picture, text):
    """Writes a text across the picture in uneven boxes: overlays, signs, painted numbers."""
    height, width = picture.shape[:2]
    faces = {True: glyphs.LATIN, False: glyphs.HANZI}
    tall = rng.uniform(0.15, 0.75) * height
    broad = tall * rng.uniform(0.35, 1.0)
    x = rng.uniform(-0.2, 0.3) * width
    y = rng.uniform(0, height - tall)
    ink = numpy.array([rng.choice([rng.uniform(0, 60), rng.uniform(190, 255)])] * 3)
    if rng.random() < 0.3:
        ink = numpy.array([rng.uniform(0, 255) for _ in range(3)])
    face = {latin: rng.choice(faces[latin]) for latin in faces}
    slope = rng.gauss(0, 0.04)
    for symbol in text:
        latin = glyphs.is_latin(symbol)
        if symbol != " ":
            glyph = cv2.resize(glyphs.typeset(symbol, *face[latin]), (max(2, int(broad)), max(2, int(tall))))
            if symbol in "1I:-/.":
                glyph = cv2.resize(glyph, (max(2, int(broad * 0.4)), max(2, int(tall * (0.2 if symbol in "-." else 1)))))
            stamp(picture, glyph, int(x), int(y + slope * x), ink)
        x += broad * (1.12 if latin else 1.25)


def stamp(picture, glyph, x, y, ink):
    height, width = picture.shape[:2]
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(width, x + glyph.shape[1]), min(height, y + glyph.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    mask = glyph[y0 - y : y1 - y, x0 - x : x1 - x, None] / 255.0
    picture[y0:y1, x0:x1] = (picture[y0:y1, x0:x1] * (1 - mask) + ink * mask).astype(numpy.uint8)


def writing(rng):
    """A text that is on no plate."""
    way = rng.random()
    if way < 0.25:
        clock = f"{rng.randint(2008, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
        at = rng.randint(0, 8)
        return clock[at : at + rng.randint(6, 19)]
    if way < 0.6:
        return "".join(rng.choice(WORDS) for _ in range(rng.randint(2, 9)))
    if way < 0.8:
        return "".join(rng.choice(LATIN) for _ in range(rng.randint(1, 14)))
    if way < 0.9:
        # A number painted on a lorry's side or tailgate, larger than the picture.
        return rng.choice(PROVINCES) + rng.choice(LETTERS) + "".join(rng.choice(DIGITS) for _ in range(5))
    return "".join(rng.choice(WORDS + LATIN) for _ in range(rng.randint(4, 9)))


def pool(paths, size, count, seed=7):
    """`count` pictures of `size` (height, width) without a plate."""
    rng = random.Random(seed)
    pictures = [p for p in (cv2.imread(str(path)) for path in paths) if p is not None]
    found = []
    for _ in range(count):
        way = rng.random()
        if way < 0.12:
            picture = sign(rng, size)
        elif way < 0.25:
            picture = bars(rng, size)
        else:
            picture = piece(rng, pictures, size) if pictures and way < 0.65 else texture(rng, size)
        if way > 0.25 and rng.random() < 0.55:
            write(rng, picture, writing(rng))
        if way > 0.25 and rng.random() < 0.2:
            write(rng, picture, writing(rng))
        found.append(picture)
    return found
