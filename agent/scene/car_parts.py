"""What is laid onto a car's body and put into its cabin: wheels, seats, lamps, grille, gaps, mirrors."""

import math

from materials import get, paint
from shapes import ball, box, cylinder, tube


def wheel(x, y, parent, radius=0.325, width=0.21):
    out = (1 if x > 0 else -1) * (width / 2)
    cylinder((x, y, radius), radius, width, get("rubber"), "x", parent, 48, round_edge=0.03)
    cylinder((x + out, y, radius), radius * 0.72, 0.02, get("dark"), "x", parent)
    for i in range(5):
        a = 2 * math.pi * i / 5 + 0.3
        at = (x + out * 1.05, y + math.cos(a) * radius * 0.36, radius + math.sin(a) * radius * 0.36)
        box(at, (0.02, radius * 0.66, 0.055), get("alloy"), parent, 0.006, (a, 0, 0))
    circle = [2 * math.pi * i / 40 for i in range(40)]
    tube(
        [(x + out * 1.05, y + math.cos(a) * radius * 0.7, radius + math.sin(a) * radius * 0.7) for a in circle],
        0.014,
        get("alloy"),
        parent,
        True,
    )


def interior(up, root):
    """Empty seats: there is nobody in any of these vehicles."""
    box((0, 1.62, 0.99 + up), (1.35, 0.5, 0.10), get("seat"), root, 0.04)
    for x in (-0.36, 0.36):
        box((x, 2.55, 1.06 + up), (0.48, 0.16, 0.5), get("seat"), root, 0.07, (-0.2, 0, 0))
        box((x, 2.62, 1.28 + up), (0.26, 0.09, 0.16), get("seat"), root, 0.04)
    box((0, 3.35, 1.04 + up), (1.2, 0.18, 0.35), get("seat"), root, 0.06)
    ring = [2 * math.pi * i / 32 for i in range(32)]
    tube(
        [(0.36 + 0.18 * math.cos(a), 1.93 + 0.06 * math.sin(a), 1.04 + up + 0.17 * math.sin(a)) for a in ring],
        0.015,
        get("trim"),
        root,
        True,
    )
    box((-0.3, 1.45, 1.045 + up), (0.12, 0.08, 0.005), get("paper"), root, 0)


def front(skin, up, lamps_on, root):
    """Grille, intake, lamps; heights move up with the body."""
    z = 0.11 if up else 0.0
    skin.patch(
        "front",
        -0.42,
        0.42,
        lambda u: z + 0.545 - 0.02 * (1 - abs(2 * u - 1)),
        lambda u: z + 0.655 + 0.012 * (1 - (2 * u - 1) ** 2),
        get("dark"),
        root,
        across=40,
    )
    skin.outline(
        "front",
        -0.43,
        0.43,
        lambda u: z + 0.54 - 0.02 * (1 - abs(2 * u - 1)),
        lambda u: z + 0.66 + 0.012 * (1 - (2 * u - 1) ** 2),
        get("chrome"),
        root,
        0.010,
        0.008,
        40,
    )
    for h in (0.565, 0.59, 0.615, 0.638):
        skin.line("front", [(-0.40 + 0.8 * i / 30, 0, z + h) for i in range(31)], 0.006, get("chrome"), root, 0.012)
    cylinder(tuple(skin.at("front", (0, 0, z + 0.612), 0.022)), 0.055, 0.02, get("chrome"), "y", root, 28)
    skin.patch(
        "front",
        -0.50,
        0.50,
        lambda u: z + 0.245 + 0.03 * (2 * u - 1) ** 2,
        lambda u: z + 0.345,
        get("dark"),
        root,
        across=40,
        up=6,
    )
    skin.line("front", [(-0.64 + 1.28 * i / 40, 0, z + 0.222) for i in range(41)], 0.014, get("trim"), root, 0.006)
    for side in (-1, 1):
        x0, x1 = side * 0.455, side * 0.80

        def low(u):
            return z + 0.560 + 0.055 * u + 0.010 * math.sin(3 * u)

        def high(u):
            return z + 0.655 + 0.045 * u - 0.18 * max(0, u - 0.75) * u

        skin.patch("front", x0, x1, low, high, get("lamp housing"), root, across=30, up=10)
        skin.patch(
            "front",
            side * 0.47,
            side * 0.775,
            lambda u: low(u) + 0.050,
            lambda u: low(u) + 0.064,
            get("day light"),
            root,
            0.011,
            24,
            3,
        )
        for x, h in ((0.53, 0.600), (0.62, 0.617), (0.70, 0.635)):
            p = skin.at("front", (side * x, 0, z + h - 0.004), 0.006)
            cylinder(tuple(p), 0.030, 0.02, get("reflector"), "y", root, 24)
            lit = lamps_on and x == 0.62
            ball(
                (p[0], p[1] - 0.008, p[2]),
                (0.026 if lit else 0.022, 0.014, 0.022),
                get("head light" if lit else "lens"),
                root,
                16,
            )
        skin.outline("front", x0, x1, low, high, get("trim"), root, 0.005, 0.004, 30)
        skin.patch(
            "front",
            side * 0.56,
            side * 0.73,
            lambda u: z + 0.285 + 0.02 * u,
            lambda u: z + 0.385 - 0.01 * u,
            get("trim"),
            root,
            across=16,
            up=6,
        )
        cylinder(
            tuple(skin.at("front", (side * 0.64, 0, z + 0.335), 0.012)), 0.036, 0.02, get("reflector"), "y", root, 24
        )


def rear(skin, up, root):
    z = 0.16 if up else 0.0
    for side in (-1, 1):
        skin.patch(
            "rear",
            side * 0.40,
            side * 0.76,
            lambda u: z + 0.70 - 0.02 * u,
            lambda u: z + 0.83 - 0.02 * u,
            get("tail light"),
            root,
            across=16,
        )
        skin.patch(
            "rear", side * 0.44, side * 0.60, lambda u: z + 0.72, lambda u: z + 0.76, get("lens"), root, 0.012, 8, 3
        )
        cylinder(tuple(skin.at("rear", (side * 0.5, 0, 0.26 + z / 2), 0.02)), 0.035, 0.08, get("chrome"), "y", root, 20)
    skin.patch("rear", -0.62, 0.62, lambda u: z + 0.33, lambda u: z + 0.43, get("trim"), root, across=30, up=4)
    skin.line("rear", [(-0.30 + 0.6 * i / 20, 0, z + 0.76) for i in range(21)], 0.012, get("chrome"), root, 0.008)


def sides(skin, model, colour, root):
    up = model["lift"]
    for side in (-1, 1):
        way = "right" if side > 0 else "left"
        skin.line(
            "top",
            [(side * (0.60 + 0.10 * min(1, (0.95 * i / 30) / 0.6)), 0.2 + 0.95 * i / 30, 0) for i in range(31)],
            0.004,
            get("dark"),
            root,
        )
        for y in (1.45, 2.42, 3.3):
            skin.line(way, [(0, y, 0.3 + up + 0.58 * i / 12) for i in range(13)], 0.004, get("dark"), root)
        for y in (2.2, 3.05):
            box(tuple(skin.at(way, (0, y, 0.80 + up), 0.015)), (0.03, 0.2, 0.03), get("chrome"), root, 0.01)
        ball((side * 0.985, 1.60, 1.03 + up), (0.115, 0.07, 0.075), paint(colour), root)
        box((side * 0.88, 1.62, 0.985 + up), (0.16, 0.05, 0.03), get("trim"), root, 0.01)
        start = 0.03 if side > 0 else -0.57
        tube(
            [(start + 0.055 * i, 1.10 + 0.005 * i, 1.0 + up * 1.25 + 0.005 * i) for i in range(11)],
            0.008,
            get("dark"),
            root,
        )
    skin.line(
        "top",
        [(-0.56 + 1.12 * i / 40, 0.205 + 0.03 * (i / 20 - 1) ** 2, 0) for i in range(41)],
        0.004,
        get("dark"),
        root,
    )
