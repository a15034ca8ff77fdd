"""Cars: a body lofted through cross sections, a cabin lofted from its base to its roof, and details laid onto both.

The front of a vehicle is at y = 0 and looks to -y; the left side of the picture is -x for one that approaches.
"""
import math

from materials import get, paint
from shapes import Surface, ball, box, cylinder, empty, mesh, tube

# Cross sections of the body from front to rear:
# y, half width, then the heights of the sill, the widest line, the shoulder and the deck, and the deck's crown.
SEDAN_BODY = [
    (0.00, 0.66, 0.22, 0.46, 0.655, 0.705, 0.015), (0.07, 0.775, 0.19, 0.46, 0.675, 0.735, 0.020),
    (0.25, 0.86, 0.18, 0.47, 0.720, 0.785, 0.025), (0.55, 0.895, 0.18, 0.50, 0.790, 0.860, 0.028),
    (0.95, 0.905, 0.18, 0.52, 0.850, 0.930, 0.030), (1.35, 0.91, 0.18, 0.54, 0.895, 0.965, 0.025),
    (2.40, 0.915, 0.18, 0.56, 0.925, 0.980, 0.020), (3.60, 0.91, 0.18, 0.58, 0.955, 1.010, 0.020),
    (4.20, 0.89, 0.20, 0.60, 0.955, 1.020, 0.015), (4.55, 0.84, 0.25, 0.60, 0.920, 0.990, 0.010),
    (4.68, 0.74, 0.30, 0.60, 0.860, 0.930, 0.010),
]
# Half of the cabin's base and roof line, from the middle of the windscreen round to the middle of the rear window.
SEDAN_BASE = [(0, 1.05, 0.965), (0.40, 1.09, 0.96), (0.70, 1.22, 0.945), (0.775, 1.36, 0.94), (0.82, 2.25, 0.95),
              (0.82, 2.36, 0.952), (0.81, 3.2, 0.97), (0.77, 3.6, 0.985), (0.66, 3.98, 1.0), (0, 4.12, 1.02)]
SEDAN_ROOF = [(0, 1.88, 1.41), (0.30, 1.895, 1.405), (0.555, 1.95, 1.39), (0.605, 2.06, 1.385), (0.635, 2.5, 1.405),
              (0.635, 2.6, 1.405), (0.62, 3.05, 1.39), (0.60, 3.2, 1.38), (0.52, 3.32, 1.38), (0, 3.40, 1.395)]

# The SUV is a taller, shorter body whose cabin runs to the tail.
SUV_BODY = [(y * 0.96, w * 1.01, sill + 0.07, wide + 0.10, shoulder + 0.15, deck + 0.17, crown) for y, w, sill, wide, shoulder, deck, crown in SEDAN_BODY]
SUV_BASE = [(0, 1.02, 1.125), (0.40, 1.06, 1.12), (0.71, 1.18, 1.11), (0.785, 1.32, 1.10), (0.83, 2.20, 1.11),
            (0.83, 2.31, 1.112), (0.82, 3.35, 1.13), (0.79, 3.95, 1.14), (0.70, 4.28, 1.15), (0, 4.38, 1.16)]
SUV_ROOF = [(0, 1.72, 1.66), (0.31, 1.735, 1.655), (0.575, 1.79, 1.64), (0.63, 1.90, 1.635), (0.66, 2.4, 1.66),
            (0.66, 2.5, 1.66), (0.65, 3.35, 1.65), (0.63, 3.75, 1.64), (0.56, 3.95, 1.63), (0, 4.05, 1.635)]

MODELS = {
    "sedan": dict(body=SEDAN_BODY, base=SEDAN_BASE, roof=SEDAN_ROOF, axles=(0.86, 3.56), wheel=0.325, lift=0.0, size=(2.12, 4.72, 1.45)),
    "suv": dict(body=SUV_BODY, base=SUV_BASE, roof=SUV_ROOF, axles=(0.84, 3.46), wheel=0.36, lift=0.12, size=(2.16, 4.55, 1.72)),
}
LEAN = [0.16, 0.06, 0.0, 0.05, 0.11, 0.15, 0.15, 0.15]  # how the nose leans back with height
SECTION = 18  # points around a cross section


def wheel(x, y, parent, radius=0.325, width=0.21):
    out = (1 if x > 0 else -1) * (width / 2)
    cylinder((x, y, radius), radius, width, get("rubber"), "x", parent, 48, round_edge=0.03)
    cylinder((x + out, y, radius), radius * 0.72, 0.02, get("dark"), "x", parent)
    for i in range(5):
        a = 2 * math.pi * i / 5 + 0.3
        at = (x + out * 1.05, y + math.cos(a) * radius * 0.36, radius + math.sin(a) * radius * 0.36)
        box(at, (0.02, radius * 0.66, 0.055), get("alloy"), parent, 0.006, (a, 0, 0))
    circle = [2 * math.pi * i / 40 for i in range(40)]
    tube([(x + out * 1.05, y + math.cos(a) * radius * 0.7, radius + math.sin(a) * radius * 0.7) for a in circle], 0.014, get("alloy"), parent, True)


def body_shell(model, colour, root):
    points, faces, kinds, first = [], [], [], []
    stations = model["body"]
    for index, (y, w, sill, wide, shoulder, deck, crown) in enumerate(stations):
        lean = (1, 0.75, 0.3)[index] if index < 3 else 0
        right = [(w * 0.9, sill), (w * 0.985, sill + 0.09), (w, wide), (w * 0.975, shoulder - 0.07), (w * 0.90, shoulder),
                 (w * 0.66, deck), (w * 0.33, deck + crown * 0.8), (0, deck + crown)]
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
    mesh("cabin", points, faces, [paint(colour), get("glass"), get("tinted glass"), get("trim")], root, kinds, subdivide=3)


def interior(up, root):
    """Empty seats: there is nobody in any of these vehicles."""
    box((0, 1.62, 0.99 + up), (1.35, 0.5, 0.10), get("seat"), root, 0.04)
    for x in (-0.36, 0.36):
        box((x, 2.55, 1.06 + up), (0.48, 0.16, 0.5), get("seat"), root, 0.07, (-0.2, 0, 0))
        box((x, 2.62, 1.28 + up), (0.26, 0.09, 0.16), get("seat"), root, 0.04)
    box((0, 3.35, 1.04 + up), (1.2, 0.18, 0.35), get("seat"), root, 0.06)
    ring = [2 * math.pi * i / 32 for i in range(32)]
    tube([(0.36 + 0.18 * math.cos(a), 1.93 + 0.06 * math.sin(a), 1.04 + up + 0.17 * math.sin(a)) for a in ring], 0.015, get("trim"), root, True)
    box((-0.3, 1.45, 1.045 + up), (0.12, 0.08, 0.005), get("paper"), root, 0)


def front(skin, up, lamps_on, root):
    """Grille, intake, lamps; heights move up with the body."""
    z = 0.11 if up else 0.0
    skin.patch("front", -0.42, 0.42, lambda u: z + 0.545 - 0.02 * (1 - abs(2 * u - 1)), lambda u: z + 0.655 + 0.012 * (1 - (2 * u - 1) ** 2), get("dark"), root, across=40)
    skin.outline("front", -0.43, 0.43, lambda u: z + 0.54 - 0.02 * (1 - abs(2 * u - 1)), lambda u: z + 0.66 + 0.012 * (1 - (2 * u - 1) ** 2), get("chrome"), root, 0.010, 0.008, 40)
    for h in (0.565, 0.59, 0.615, 0.638):
        skin.line("front", [(-0.40 + 0.8 * i / 30, 0, z + h) for i in range(31)], 0.006, get("chrome"), root, 0.012)
    cylinder(tuple(skin.at("front", (0, 0, z + 0.612), 0.022)), 0.055, 0.02, get("chrome"), "y", root, 28)
    skin.patch("front", -0.50, 0.50, lambda u: z + 0.245 + 0.03 * (2 * u - 1) ** 2, lambda u: z + 0.345, get("dark"), root, across=40, up=6)
    skin.line("front", [(-0.64 + 1.28 * i / 40, 0, z + 0.222) for i in range(41)], 0.014, get("trim"), root, 0.006)
    for side in (-1, 1):
        x0, x1 = side * 0.455, side * 0.80

        def low(u):
            return z + 0.560 + 0.055 * u + 0.010 * math.sin(3 * u)

        def high(u):
            return z + 0.655 + 0.045 * u - 0.18 * max(0, u - 0.75) * u

        skin.patch("front", x0, x1, low, high, get("lamp housing"), root, across=30, up=10)
        skin.patch("front", side * 0.47, side * 0.775, lambda u: low(u) + 0.050, lambda u: low(u) + 0.064, get("day light"), root, 0.011, 24, 3)
        for x, h in ((0.53, 0.600), (0.62, 0.617), (0.70, 0.635)):
            p = skin.at("front", (side * x, 0, z + h - 0.004), 0.006)
            cylinder(tuple(p), 0.030, 0.02, get("reflector"), "y", root, 24)
            lit = lamps_on and x == 0.62
            ball((p[0], p[1] - 0.008, p[2]), (0.026 if lit else 0.022, 0.014, 0.022), get("head light" if lit else "lens"), root, 16)
        skin.outline("front", x0, x1, low, high, get("trim"), root, 0.005, 0.004, 30)
        skin.patch("front", side * 0.56, side * 0.73, lambda u: z + 0.285 + 0.02 * u, lambda u: z + 0.385 - 0.01 * u, get("trim"), root, across=16, up=6)
        cylinder(tuple(skin.at("front", (side * 0.64, 0, z + 0.335), 0.012)), 0.036, 0.02, get("reflector"), "y", root, 24)


def rear(skin, up, root):
    z = 0.16 if up else 0.0
    for side in (-1, 1):
        skin.patch("rear", side * 0.40, side * 0.76, lambda u: z + 0.70 - 0.02 * u, lambda u: z + 0.83 - 0.02 * u, get("tail light"), root, across=16)
        skin.patch("rear", side * 0.44, side * 0.60, lambda u: z + 0.72, lambda u: z + 0.76, get("lens"), root, 0.012, 8, 3)
        cylinder(tuple(skin.at("rear", (side * 0.5, 0, 0.26 + z / 2), 0.02)), 0.035, 0.08, get("chrome"), "y", root, 20)
    skin.patch("rear", -0.62, 0.62, lambda u: z + 0.33, lambda u: z + 0.43, get("trim"), root, across=30, up=4)
    skin.line("rear", [(-0.30 + 0.6 * i / 20, 0, z + 0.76) for i in range(21)], 0.012, get("chrome"), root, 0.008)


def sides(skin, model, colour, root):
    up = model["lift"]
    for side in (-1, 1):
        way = "right" if side > 0 else "left"
        skin.line("top", [(side * (0.60 + 0.10 * min(1, (0.95 * i / 30) / 0.6)), 0.2 + 0.95 * i / 30, 0) for i in range(31)], 0.004, get("dark"), root)
        for y in (1.45, 2.42, 3.3):
            skin.line(way, [(0, y, 0.3 + up + 0.58 * i / 12) for i in range(13)], 0.004, get("dark"), root)
        for y in (2.2, 3.05):
            box(tuple(skin.at(way, (0, y, 0.80 + up), 0.015)), (0.03, 0.2, 0.03), get("chrome"), root, 0.01)
        ball((side * 0.985, 1.60, 1.03 + up), (0.115, 0.07, 0.075), paint(colour), root)
        box((side * 0.88, 1.62, 0.985 + up), (0.16, 0.05, 0.03), get("trim"), root, 0.01)
        start = 0.03 if side > 0 else -0.57
        tube([(start + 0.055 * i, 1.10 + 0.005 * i, 1.0 + up * 1.25 + 0.005 * i) for i in range(11)], 0.008, get("dark"), root)
    skin.line("top", [(-0.56 + 1.12 * i / 40, 0.205 + 0.03 * (i / 20 - 1) ** 2, 0) for i in range(41)], 0.004, get("dark"), root)


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
