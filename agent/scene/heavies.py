"""Box-shaped vehicles: van, truck and bus, a side profile drawn out to the vehicle's width.

As for cars the front is at y = 0 and looks to -y.
"""
from materials import get, paint
from shapes import Surface, bevel, box, cylinder, empty, mesh, tube

from cars import wheel

# Side profiles of the cab as (y, z), the overall size (width, length, height), and the band of the windscreen.
MODELS = {
    "van": dict(width=1.75, screen=(1.22, 1.78), axles=(0.85, 3.7), wheel=0.35, size=(2.25, 4.8, 1.97),
                profile=[(0.06, 0.35), (0, 0.55), (0.02, 0.95), (0.08, 1.18), (0.48, 1.85), (0.70, 1.95), (4.6, 1.95), (4.75, 1.75), (4.75, 0.35)]),
    "truck": dict(width=1.95, screen=(1.22, 2.08), axles=(0.95, 4.6), wheel=0.40, size=(2.45, 6.4, 3.1),
                  profile=[(0.06, 0.35), (0, 0.55), (0.02, 0.95), (0.08, 1.18), (0.48, 2.15), (0.70, 2.25), (1.75, 2.25), (1.75, 2.05), (1.75, 0.35)]),
    "bus": dict(width=2.35, screen=(1.15, 2.35), axles=(1.9, 6.2), wheel=0.46, size=(2.95, 8.5, 3.05),
                profile=[(0.05, 0.32), (0, 0.50), (0.0, 1.0), (0.04, 1.2), (0.22, 2.65), (0.42, 2.95), (8.2, 2.98), (8.45, 2.75), (8.45, 0.4)]),
}


def shell(model, colour, root):
    profile, half = model["profile"], model["width"] / 2
    n = len(profile)
    points = [(-half, y, z) for y, z in profile] + [(half, y, z) for y, z in profile]
    faces = [tuple(range(n)), tuple(range(2 * n - 1, n - 1, -1))]
    faces += [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
    return bevel(mesh("shell", points, faces, [paint(colour)], root), 0.07, 4, angle=0.15)


def windows(kind, model, skin, root):
    half, (low, high) = model["width"] / 2, model["screen"]
    skin.patch("front", -half + 0.12, half - 0.12, lambda u: low + 0.02 * (2 * u - 1) ** 2, lambda u: high - 0.03 * (2 * u - 1) ** 4, get("trim"), root, across=30, up=14)
    skin.patch("front", -half + 0.15, half - 0.15, lambda u: low + 0.03, lambda u: high - 0.04, get("windscreen"), root, 0.010, 30, 14)
    length = {"van": 3.6, "truck": 0.8, "bus": 7.4}[kind]
    start = {"van": 0.75, "truck": 0.6, "bus": 0.5}[kind]
    for side in (-1, 1):
        box((side * half, start + length / 2, (low + high) / 2 + 0.02), (0.02, length, high - low - 0.12), get("windscreen"), root, 0.01)
        box((side * (half + 0.18), 0.2, high - 0.35), (0.16, 0.1, 0.36), get("trim"), root, 0.03)
        box((side * (half + 0.08), 0.25, high - 0.18), (0.2, 0.03, 0.03), get("trim"), root, 0.01)
    for x in (-0.5, 0.15):
        tube([(x + 0.06 * i, 0.085 + 0.004 * i, low + 0.02 + 0.004 * i) for i in range(11)], 0.01, get("dark"), root)


def front(kind, model, skin, lamps_on, root):
    half = model["width"] / 2
    for side in (-1, 1):
        skin.patch("front", side * (half - 0.44), side * (half - 0.08), lambda u: 0.66, lambda u: 0.84 + 0.03 * u, get("lamp housing"), root, across=16)
        for x in (0.33, 0.18):
            at = tuple(skin.at("front", (side * (half - x), 0, 0.75), 0.010))
            cylinder(at, 0.062, 0.02, get("head light" if lamps_on and x == 0.18 else "reflector"), "y", root, 28)
        skin.patch("front", side * (half - 0.52), side * (half - 0.47), lambda u: 0.68, lambda u: 0.83, get("amber"), root, across=4, up=4)
    if kind == "bus":
        skin.patch("front", -0.6, 0.6, lambda u: 0.70, lambda u: 0.92, get("dark"), root, across=20, up=6)
        skin.patch("front", -0.8, 0.8, lambda u: 2.50, lambda u: 2.66, get("trim"), root, across=20, up=6)  # dark destination display
    else:
        skin.patch("front", -0.45, 0.45, lambda u: 0.68, lambda u: 0.98, get("dark"), root, across=20)
    for z in (0.72, 0.78, 0.84, 0.90):
        skin.line("front", [(-0.43 + 0.86 * i / 20, 0, z) for i in range(21)], 0.009, get("chrome"), root, 0.012)
    cylinder(tuple(skin.at("front", (0, 0, 0.93), 0.02)), 0.06, 0.02, get("chrome"), "y", root, 28)


def cargo(root):
    """The box of the truck with its rear doors, lamps and under-run bar."""
    box((0, 4.05, 1.95), (2.1, 4.4, 2.2), get("cargo"), root, 0.03)
    for side in (-1, 1):
        box((side * 1.045, 1.87, 1.95), (0.05, 0.05, 2.2), get("alloy"), root, 0.01)
        tube([(side * 0.12, 6.27, z) for z in (0.95, 2.95)], 0.022, get("alloy"), root)  # door rods
        for z in (1.2, 1.95, 2.7):
            box((side * 1.0, 6.26, z), (0.10, 0.03, 0.06), get("alloy"), root, 0.01)
        box((side * 0.85, 6.27, 0.70), (0.30, 0.06, 0.13), get("tail light"), root, 0.01)
        box((side * 0.62, 6.27, 0.70), (0.12, 0.06, 0.12), get("amber"), root, 0.01)
    tube([(0, 6.262, z) for z in (0.88, 3.02)], 0.008, get("dark"), root)
    box((0, 1.87, 3.03), (2.1, 0.05, 0.05), get("alloy"), root, 0.01)
    box((0, 6.20, 0.72), (2.0, 0.08, 0.24), get("trim"), root, 0.01)
    box((0, 6.22, 0.45), (1.9, 0.08, 0.12), get("alloy"), root, 0.01)


def tail(kind, model, skin, root):
    half = model["width"] / 2
    for side in (-1, 1):
        skin.patch("rear", side * (half - 0.28), side * (half - 0.10), lambda u: 0.75, lambda u: 1.15, get("tail light"), root, across=6)
    low, high = model["screen"]
    skin.patch("rear", -half + 0.2, half - 0.2, lambda u: low + 0.1, lambda u: high - 0.1, get("windscreen"), root, across=16)


def build(kind, colour, lamps_on=False):
    """A van, truck or bus; returns the same as for cars."""
    model = MODELS[kind]
    half, length = model["width"] / 2, model["size"][1]
    root = empty(kind)
    skin = Surface(shell(model, colour, root))
    windows(kind, model, skin, root)
    front(kind, model, skin, lamps_on, root)
    for y in model["axles"]:
        for side in (-1, 1):
            wheel(side * (half - 0.10), y, root, model["wheel"], 0.24)
    bumper = paint(colour) if kind == "van" else get("trim")
    box((0, 0, 0.47), (model["width"] - 0.02, 0.16, 0.26), bumper, root, 0.04)
    box((0, length / 2 - 0.2, 0.5), (model["width"] - 0.5, length - 1.0, 0.3), get("dark"), root, 0)
    if kind == "truck":
        cargo(root)
    else:
        tail(kind, model, skin, root)
    return root, skin, []
