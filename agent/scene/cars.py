"""Cars: a body lofted through cross sections, a cabin lofted from its base to its roof, and details laid onto both.

The front of a vehicle is at y = 0 and looks to -y; the left side of the picture is -x for one that approaches.
"""

import math

from car_parts import front, interior, rear, sides, wheel
from materials import get, paint
from shapes import Surface, box, cylinder, empty, mesh

# Cross sections of the body from front to rear:
# y, half width, then the heights of the sill, the widest line, the shoulder and the deck, and the deck's crown.
SEDAN_BODY = [
    (0.00, 0.66, 0.22, 0.46, 0.655, 0.705, 0.015),
    (0.07, 0.775, 0.19, 0.46, 0.675, 0.735, 0.020),
    (0.25, 0.86, 0.18, 0.47, 0.720, 0.785, 0.025),
    (0.55, 0.895, 0.18, 0.50, 0.790, 0.860, 0.028),
    (0.95, 0.905, 0.18, 0.52, 0.850, 0.930, 0.030),
    (1.35, 0.91, 0.18, 0.54, 0.895, 0.965, 0.025),
    (2.40, 0.915, 0.18, 0.56, 0.925, 0.980, 0.020),
    (3.60, 0.91, 0.18, 0.58, 0.955, 1.010, 0.020),
    (4.20, 0.89, 0.20, 0.60, 0.955, 1.020, 0.015),
    (4.55, 0.84, 0.25, 0.60, 0.920, 0.990, 0.010),
    (4.68, 0.74, 0.30, 0.60, 0.860, 0.930, 0.010),
]
# Half of the cabin's base and roof line, from the middle of the windscreen round to the middle of the rear window.
SEDAN_BASE = [
    (0, 1.05, 0.965),
    (0.40, 1.09, 0.96),
    (0.70, 1.22, 0.945),
    (0.775, 1.36, 0.94),
    (0.82, 2.25, 0.95),
    (0.82, 2.36, 0.952),
    (0.81, 3.2, 0.97),
    (0.77, 3.6, 0.985),
    (0.66, 3.98, 1.0),
    (0, 4.12, 1.02),
]
SEDAN_ROOF = [
    (0, 1.88, 1.41),
    (0.30, 1.895, 1.405),
    (0.555, 1.95, 1.39),
    (0.605, 2.06, 1.385),
    (0.635, 2.5, 1.405),
    (0.635, 2.6, 1.405),
    (0.62, 3.05, 1.39),
    (0.60, 3.2, 1.38),
    (0.52, 3.32, 1.38),
    (0, 3.40, 1.395),
]

# The SUV is a taller, shorter body whose cabin runs to the tail.
SUV_BODY = [
    (y * 0.96, w * 1.01, sill + 0.07, wide + 0.10, shoulder + 0.15, deck + 0.17, crown)
    for y, w, sill, wide, shoulder, deck, crown in SEDAN_BODY
]
SUV_BASE = [
    (0, 1.02, 1.125),
    (0.40, 1.06, 1.12),
    (0.71, 1.18, 1.11),
    (0.785, 1.32, 1.10),
    (0.83, 2.20, 1.11),
    (0.83, 2.31, 1.112),
    (0.82, 3.35, 1.13),
    (0.79, 3.95, 1.14),
    (0.70, 4.28, 1.15),
    (0, 4.38, 1.16),
]
SUV_ROOF = [
    (0, 1.72, 1.66),
    (0.31, 1.735, 1.655),
    (0.575, 1.79, 1.64),
    (0.63, 1.90, 1.635),
    (0.66, 2.4, 1.66),
    (0.66, 2.5, 1.66),
    (0.65, 3.35, 1.65),
    (0.63, 3.75, 1.64),
    (0.56, 3.95, 1.63),
    (0, 4.05, 1.635),
]

MODELS = {
    "sedan": dict(
        body=SEDAN_BODY,
        base=SEDAN_BASE,
        roof=SEDAN_ROOF,
        axles=(0.86, 3.56),
        wheel=0.325,
        lift=0.0,
        size=(2.12, 4.72, 1.45),
    ),
    "suv": dict(
        body=SUV_BODY, base=SUV_BASE, roof=SUV_ROOF, axles=(0.84, 3.46), wheel=0.36, lift=0.12, size=(2.16, 4.55, 1.72)
    ),
}
LEAN = [0.16, 0.06, 0.0, 0.05, 0.11, 0.15, 0.15, 0.15]  # how the nose leans back with height
SECTION = 18  # points around a cross section


def body_shell(model, colour, root):
    points, faces, kinds, first = [], [], [], []
    stations = model["body"]
    for index, (y, w, sill, wide, shoulder, deck, crown) in enumerate(stations):
        lean = (1, 0.75, 0.3)[index] if index < 3 else 0
        right = [
            (w * 0.9, sill),
            (w * 0.985, sill + 0.09),
            (w, wide),
            (w * 0.975, shoulder - 0.07),
            (w * 0.90, shoulder),
            (w * 0.66, deck),
            (w * 0.33, deck + crown * 0.8),
            (0, deck + crown),
        ]
        half = [(x, y + LEAN[i] * lean, z) for i, (x, z) in enumerate(right)]
        ring = half + [(-x, yy, z) for x, yy, z in half[-2::-1]]
        ring += [(x, half[0][1], sill) for x in (-w * 0.45, 0, w * 0.45)]
        if index == 0:  # the nose is bowed
            ring = [(x, yy - 0.07 * (1 - min(1, abs(x) / w) ** 2), z) for x, yy, z in ring]
        first.append(len(points))
        points += ring
    for a in range(len(stations) - 1):
        for i in range(SECTION):
            j = (i + 1) % SECTION
            faces.append((first[a] + i, first[a] + j, first[a + 1] + j, first[a + 1] + i))
            kinds.append(1 if a in (5, 6, 7) and i in (5, 6, 7, 8) else 0)  # the deck under the cabin is dark
    for end in (0, len(stations) - 1):  # nose and tail are closed with a grid, so that subdivision keeps them flat
        b = first[end]
        rows = [[b, b + 17, b + 16, b + 15, b + 14]]
        for i in range(1, 5):
            x, y, z = points[b + i]
            row = [b + i]
            for t in (0.5, 0, -0.5):
                row.append(len(points))
                points.append((x * t, y + (-0.05 if end == 0 else 0.03) * (1 - t * t), z))
            rows.append(row + [b + 14 - i])
        rows.append([b + k for k in range(5, 10)])
        for i in range(5):
            for j in range(4):
                faces.append((rows[i][j], rows[i][j + 1], rows[i + 1][j + 1], rows[i + 1][j]))
                kinds.append(0)
    return mesh("body", points, faces, [paint(colour), get("dark")], root, kinds, subdivide=3)


def wheels(model, body, root):
    """Cut the wheel wells and put the wheels in; returns the cutters, to be removed once the cut is applied."""
    cutters, radius = [], model["wheel"]
    for y in model["axles"]:
        cutter = cylinder((0, y, radius), radius + 0.05, 2.4, get("dark"), "x", None, 48)
        cutter.modifiers.clear()
        cut = body.modifiers.new("well", "BOOLEAN")
        cut.object, cut.operation, cut.solver = cutter, "DIFFERENCE", "EXACT"
        cutters.append(cutter)
        for side in (-1, 1):
            wheel(side * 0.80, y, root, radius)
            box((side * 0.55, y, 0.4), (0.2, 0.8, 0.5), get("dark"), root, 0)
    return cutters


def cabin(model, colour, root):
    base, roof = model["base"], model["roof"]
    levels = [-0.12, 0.02, 0.10, 0.5, 0.90, 1.0]
    half, around = len(base), 2 * len(base) - 2
    points, faces, kinds = [], [], []

    def whole(line):
        return line + [(-x, y, z) for x, y, z in line[-2:0:-1]]

    for t in levels:
        bulge = 0.035 * math.sin(math.pi * max(0, t))
        line = []
        for a, b in zip(base, roof):
            x, y, z = (a[k] + (b[k] - a[k]) * t for k in range(3))
            outward = 1 if y < 2.3 else -1
            line.append((x * (1 + bulge), y - (bulge * 0.6 * outward if a[0] < 0.72 else 0), z + bulge * 0.5))
        points += whole(line)
    points += whole([(x * 0.86, 2.6 + (y - 2.6) * 0.88, z + 0.033) for x, y, z in roof])
    # material of each column of faces: paint 0, glass 1, tinted glass 2, black trim 3
    windows = {0: 1, 1: 1, 2: 0, 3: 2, 4: 3, 5: 2, 6: 0, 7: 0, 8: 2}
    for level in range(len(levels)):
        for i in range(around):
            j = (i + 1) % around
            faces.append((level * around + i, level * around + j, (level + 1) * around + j, (level + 1) * around + i))
            column = i if i < half - 1 else around - 1 - i
            if level in (2, 3):
                kinds.append(windows[column])
            else:
                kinds.append(3 if level < 2 and column in (0, 1, 3, 4, 5) else 0)
    top = len(levels) * around
    faces.append((top, top + 1, top + around - 1))
    faces += [(top + i, top + i + 1, top + around - i - 1, top + around - i) for i in range(1, half - 2)]
    faces.append((top + half - 2, top + half - 1, top + half))
    kinds += [0] * (half - 1)
    mesh(
        "cabin",
        points,
        faces,
        [paint(colour), get("glass"), get("tinted glass"), get("trim")],
        root,
        kinds,
        subdivide=3,
    )


def build(kind, colour, lamps_on=False):
    """A car; returns its root, its body surface and the objects that are only needed until it is fused."""
    model = MODELS[kind]
    root = empty(kind)
    body = body_shell(model, colour, root)
    skin = Surface(body)
    cutters = wheels(model, body, root)
    cabin(model, colour, root)
    interior(model["lift"], root)
    front(skin, model["lift"], lamps_on, root)
    rear(skin, model["lift"], root)
    sides(skin, model, colour, root)
    return root, skin, cutters
