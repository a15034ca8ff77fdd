"""Fronts and backs of vehicles, drawn: what is round a plate and looks like one, and where the plate goes.

They are crude on purpose and many: lamps, grilles, bumpers, badges, painted numbers, reflecting stripes.
"""

import pathlib
import sys

import cv2
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reader"))
import negatives  # noqa: E402

# A sprite is a square that spans so many widths of a one-row plate.
SIDE, SPAN = 288, 6.0
PAINTS = ((235, 235, 235), (200, 200, 205), (120, 122, 125), (45, 45, 48), (20, 20, 22), (40, 35, 150), (130, 70, 25),
          (60, 110, 150), (40, 140, 220), (60, 110, 60), (90, 60, 40), (180, 190, 200))


def shade(rng, colour):
    return tuple(float(numpy.clip(c + rng.gauss(0, 18), 0, 255)) for c in colour)


def poly(picture, points, colour):
    cv2.fillPoly(picture, [numpy.int32(numpy.array(points) * SIDE)], colour, cv2.LINE_AA)


def box(picture, x0, y0, x1, y1, colour, lean=0.0):
    """A rectangle, narrower at the top by `lean` on each side; all in parts of the sprite."""
    poly(picture, [(x0 + lean, y0), (x1 - lean, y0), (x1, y1), (x0, y1)], colour)


def lamp(rng, picture, x, y, w, h, back):
    glass = shade(rng, (40, 40, 200)) if back else shade(rng, (225, 225, 225))
    lit = rng.random() < 0.3
    for side in (x, 1 - x):
        centre, axes = (int(side * SIDE), int(y * SIDE)), (int(w * SIDE), max(1, int(h * SIDE)))
        if rng.random() < 0.5:
            cv2.ellipse(picture, centre, axes, 0, 0, 360, glass, -1, cv2.LINE_AA)
        else:
            box(picture, side - w, y - h, side + w, y + h, glass)
        if lit:
            cv2.ellipse(picture, centre, (axes[0] // 2, axes[1] // 2), 0, 0, 360, (255, 255, 255), -1, cv2.LINE_AA)


def grille(rng, picture, x0, y0, x1, y1):
    box(picture, x0, y0, x1, y1, shade(rng, (25, 25, 28)), rng.uniform(-0.02, 0.04))
    bar = shade(rng, rng.choice([(60, 60, 62), (190, 190, 195), (30, 30, 30)]))
    count, upright = rng.randint(2, 9), rng.random() < 0.35
    for k in range(1, count):
        at = k / count
        x, y = x0 + (x1 - x0) * at, y0 + (y1 - y0) * at
        a, b = ((x, y0), (x, y1)) if upright else ((x0, y), (x1, y))
        cv2.line(picture, *(tuple(int(v * SIDE) for v in p) for p in (a, b)), bar, rng.randint(1, 3), cv2.LINE_AA)


def lettering(rng, picture, x0, y0, x1, y1, text=None):
    """A text across a part of the sprite."""
    a, b, c, d = (int(v * SIDE) for v in (x0, y0, x1, y1))
    if c - a > 10 and d - b > 6:
        part = numpy.ascontiguousarray(picture[b:d, a:c])
        negatives.write(rng, part, text or negatives.writing(rng))
        picture[b:d, a:c] = part


def stripes(rng, picture, y):
    """Red and white reflecting tape along a lorry's lower edge."""
    for k in range(rng.randint(4, 12)):
        x = 0.1 + 0.8 * k / 12
        box(picture, x, y, x + 0.033, y + 0.014, (40, 40, 210) if k % 2 else (235, 235, 235))
        box(picture, x + 0.033, y, x + 0.066, y + 0.014, (235, 235, 235) if k % 2 else (40, 40, 210))


def car(rng, picture, paint, back):
    wide = rng.uniform(0.33, 0.38)
    x0, x1 = 0.5 - wide, 0.5 + wide
    top, belt, bumper, floor = 0.1 + rng.random() * 0.08, 0.38, rng.uniform(0.66, 0.72), rng.uniform(0.84, 0.9)
    box(picture, x0 + 0.03, top, x1 - 0.03, belt, paint, 0.09)
    box(picture, x0 + 0.07, top + 0.03, x1 - 0.07, belt - 0.01, shade(rng, (60, 55, 50)), 0.07)
    box(picture, x0, belt, x1, floor, paint, 0.02)
    if rng.random() < 0.6:
        box(picture, x0, bumper, x1, floor, shade(rng, rng.choice([paint, (40, 40, 42)])))
    for x in (x0 + 0.01, x1 - 0.13):
        box(picture, x, floor - 0.03, x + 0.12, floor + 0.06, (18, 18, 20))
    lamp(rng, picture, x0 + 0.09, belt + rng.uniform(0.06, 0.14), rng.uniform(0.05, 0.09), rng.uniform(0.02, 0.05),
         back)
    if not back:
        grille(rng, picture, 0.34, belt + 0.06, 0.66, bumper - rng.uniform(0.02, 0.1))
        if rng.random() < 0.5:
            grille(rng, picture, 0.28, bumper + 0.08, 0.72, floor)
    elif rng.random() < 0.7:
        lettering(rng, picture, 0.2, belt + 0.03, 0.8, belt + 0.14)
    cv2.circle(picture, (SIDE // 2, int((belt + 0.06) * SIDE)), rng.randint(3, 8), shade(rng, (200, 200, 200)),
               rng.choice([-1, 2]), cv2.LINE_AA)
    return 0.5, (bumper + floor) / 2 + rng.uniform(-0.06, 0.02) if not back or rng.random() < 0.5 else belt + 0.2


def lorry(rng, picture, paint, back):
    x0, x1 = 0.06, 0.94
    floor = rng.uniform(0.8, 0.86)
    box(picture, x0, 0.03, x1, floor, paint, 0.0 if back else 0.02)
    if back:
        line = shade(rng, tuple(0.7 * c for c in paint))
        for k in range(rng.randint(0, 6)):
            x = rng.uniform(x0, x1)
            box(picture, x, 0.03, x + 0.006, floor - 0.12, line)
        if rng.random() < 0.75:
            y = rng.uniform(0.1, 0.4)
            text = rng.choice(negatives.PROVINCES) + rng.choice(negatives.LETTERS)
            text += "".join(rng.choice(negatives.DIGITS) for _ in range(5))
            lettering(rng, picture, 0.1, y, 0.9, y + rng.uniform(0.1, 0.22), text if rng.random() < 0.7 else None)
        stripes(rng, picture, floor - 0.14)
    else:
        box(picture, x0 + 0.05, 0.08, x1 - 0.05, 0.36, shade(rng, (55, 52, 50)), 0.02)
        grille(rng, picture, 0.2, 0.42, 0.8, rng.uniform(0.55, 0.62))
        lettering(rng, picture, 0.25, 0.36, 0.75, 0.44)
    box(picture, x0, floor - 0.1, x1, floor, shade(rng, (45, 45, 48) if rng.random() < 0.6 else paint))
    lamp(rng, picture, x0 + 0.1, floor - 0.05, 0.06, 0.025, back)
    for x in (x0 + 0.02, x1 - 0.18):
        box(picture, x, floor, x + 0.16, 0.97, (18, 18, 20))
    return 0.5 + rng.choice([0, 0, 0.14, -0.2]), floor + rng.uniform(-0.06, 0.03)


def motorcycle(rng, picture, paint, back):
    box(picture, 0.44, 0.3, 0.56, 0.95, (22, 22, 24))
    box(picture, 0.36, 0.22, 0.64, 0.42, paint, 0.05)
    glass = shade(rng, (40, 40, 200) if back else (230, 230, 230))
    cv2.ellipse(picture, (SIDE // 2, int(0.45 * SIDE)), (26, 12), 0, 0, 360, glass, -1, cv2.LINE_AA)
    return 0.5, rng.uniform(0.55, 0.62)


def sprite(rng):
    """A picture, where it covers the background (0..255), and the middle of its plate in parts of its side."""
    picture = numpy.zeros((SIDE, SIDE, 3), numpy.uint8)
    picture[:] = 255, 0, 255
    paint = shade(rng, rng.choice(PAINTS))
    back = rng.random() < 0.5
    make = rng.choices([car, lorry, motorcycle], [0.55, 0.35, 0.1])[0]
    place = make(rng, picture, paint, back)
    cover = (numpy.any(picture != (255, 0, 255), 2) * 255).astype(numpy.uint8)
    # The edge of a shape smoothed against the mark's colour would shine; so the colours run on beyond it.
    cover = cv2.erode(cover, numpy.ones((3, 3), numpy.uint8))
    part = cv2.GaussianBlur(cover.astype(numpy.float32) / 255, (0, 0), 6)[..., None] + 1e-4
    spread = cv2.GaussianBlur(picture * (cover[..., None] / 255.0), (0, 0), 6) / part
    picture = numpy.where(cover[..., None] > 0, picture, spread)
    y = numpy.linspace(rng.uniform(0, 50), -rng.uniform(0, 70), SIDE)[:, None, None]
    mottled = numpy.float32([[rng.gauss(0, 14) for _ in range(6)] for _ in range(6)])
    mottled = cv2.resize(mottled, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return numpy.clip(picture + y + mottled[..., None], 0, 255).astype(numpy.uint8), cover, place
