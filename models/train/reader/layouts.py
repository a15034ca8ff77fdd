"""How writing stands that is on no plate of the mainland: plates of other countries, clocks, telephone numbers, words.

A pattern has a sign per character:

    D  a digit      X  a letter     ~  a character that the reader has no name for: Thai, Hangul, Cyrillic ...
    W  a character of a word        - . :  themselves          |  a line; what follows is smaller
    blank  a gap                    /  the next row

What the reader shall say of a foreign plate is its letters and digits as they stand. What it has no name for it leaves
out, and it never adds a province. Whatever draws (`rng`) is a generator of NumPy's.
"""

# Of each land some layouts; the first number is how often.
FOREIGN = (
    # Vietnam.
    (5, ("DDX-DDD.DD", "DDX/DDD.DD", "DDX-DDDD", "DDX/DDDD", "DDX DDD.DD", "DDX DDDDD", "DDX/DDDDD",
         "DDXD/DDD.DD", "DD-XD/DDDD", "DDXX-DDD.DD", "DDXX/DDD.DD", "XX-DD-DD", "XX/DD-DD", "DD-DDD-XX-DD")),
    # Thailand, Laos.
    (1, ("~~ DDDD", "~~DDDD", "D~~ DDDD", "DD-DDDD", "~~/DDDD", "D~~/DDD")),
    # Myanmar.
    (1, ("DX-DDDD", "DX/DDDD", "XX-DDDD", "XXX/DDDD", "DX DDDD", "XXX DD/DDDD")),
    # Russia.
    (1, ("XDDDXX|DD", "XDDDXX|DDD", "XDDD/XX DD", "XX DDDD|DD", "XXDDD|DD", "XDDDD|DD", "DDDXDDDD|D",
         "DDDDXX|DD")),
    # Central Asia.
    (1, ("DDDXXX|DD", "DDDXX|DD", "DDD XX/DD X", "DDD XXX DD", "DDDDXX DD", "DD X DDD XX", "DD DDDXXX",
         "XDDDXXX")),
    # Mongolia.
    (1, ("DDDD ~~~", "DD-DD ~~~", "DDDD XXX", "DD-DD/~~~", "DDDD/~~~")),
    # Korea, Japan.
    (1, ("DD~ DDDD", "DDD~ DDDD", "DD~/DDDD", "~~DD/~DDDD", "~~ DDD/~ DD-DD", "~~ DD/~ DD-DD")),
    # Europe.
    (2, ("XX-DDD-XX", "XXDD XXX", "X XX DDDD", "XX XX DDD", "XXX DDDD", "XX DDDXX", "DDDD XXX", "XX DDDDD",
         "XX-DD-XX", "DD-XXX-D", "D-XXX-DD", "XXX-DDD", "X-DDD-XX", "XXX|DDDD", "XXX DDD", "DDD XXX",
         "XX-DDDDD", "XX DDDD", "X DDDDD")),
    # America.
    (1, ("DXXXDDD", "XXX-DDDD", "XXX DDDD", "DDD XXX", "DXX DDDD", "XXXXDD", "XXX.DDD", "XXXDXDD", "XXX DXDD",
         "X DDDDDD")),
    # South East and South Asia, Arabia.
    (1, ("XXX DDDD", "XXXDDDDX", "XX DD X DDDD", "XX DDDD X", "X DDDD XX", "XX-DDDD", "D-DDDDD", "DDDDD",
         "XDDDDD", "XX/DDDD", "DDDDDD", "XXX/DDDD", "DDD DDDD", "DDDDDDD", "DD DDD DD")),
    (1, ("random",)),
)
NOTHING = (
    "DDDDDDDDDDD", "DDD-DDDD-DDDD", "DDD DDDD DDDD", "DDD-DDDDDDDD", "DDDD-DDDDDDD", "~~:DDDDDDDDDDD",
    "WW:DDD DDDD DDDD", "DDD-DDD-DDDD", "DDDD-DD-DD DD:DD:DD", "DDDD-DD-DD DD:DD", "DD:DD:DD", "DD-DD-DDDD",
    "DDDD-DD-DD", "-DD-DD DD:DD:DD", "DDDDWDDWDDW", "DD:DD", "DD:DD:DD.DD", "WW", "WWW", "WWWW", "WWWWW",
    "WWWWWW", "WWWWWWWW", "WW/WW", "WWWW/WWWW", "WWW/WWWW", "WW WW", "W", "W W W", "WWDDW", "WWD.D", "WWDDDDW",
    "DDW", "WWWDD", "WDDW", "WD", "DW", "WWDDDDDDDD", "WWW/DDDDDDDDDDD", "WW:DD", "WWWW:DDDDW", "DD", "DDD",
    "D", "XX", "XXX", "X", "D.D", "DD.DD", "XD", "XXXX", "XXXXX", "XXXXXXXXXX", "XXXXXXXXXXXX",
    "XXX XXXX XXXX", "XX DD", "~~~~", "~~~~~", "~~~ ~~~", "DDDDDD DDDDDD", "DDDDDDDDDDDDDD",
    "XXX-DD-DDDDDD-DD", "WWW XXXX", "XXXX/WWWW", "WW XX DD",
)
# Widths of the signs, as parts of a character's.
BROAD = {"-": 0.55, ".": 0.28, ":": 0.3, " ": 0.45, "|": 0.2, "~": 1.1, "W": 1.25}
MARKS = "-.:|"
# Characters, lines and small print of one plate at most.
MANY = 26

# Ground (top, bottom), writing, and how the colour is called; red and light grounds that are no plate's are "other".
GROUNDS = (
    (6, "white", (236, 236, 234), (232, 232, 230), (22, 22, 24)),
    (2, "white", (244, 244, 240), (240, 240, 238), (20, 40, 130)),
    (1, "white", (240, 240, 238), (236, 236, 234), (190, 25, 35)),
    (1, "white", (238, 240, 238), (234, 236, 234), (15, 100, 55)),
    (3, "yellow", (240, 190, 40), (236, 186, 38), (22, 20, 18)),
    (1, "yellow", (250, 215, 60), (248, 212, 58), (150, 25, 25)),
    (2, "blue", (25, 70, 170), (22, 66, 165), (240, 243, 248)),
    (1, "blue", (60, 120, 200), (58, 118, 196), (245, 246, 250)),
    (2, "other", (190, 30, 35), (184, 28, 34), (242, 240, 238)),
    (1, "black", (28, 28, 30), (26, 26, 28), (238, 238, 238)),
    (1, "green", (25, 115, 70), (24, 112, 68), (240, 242, 240)),
    (1, "other", (210, 180, 200), (170, 190, 225), (35, 35, 60)),
)
SIZES = (
    (520, 112), (520, 110), (470, 110), (440, 140), (430, 130),
    (340, 150), (330, 165), (305, 155), (300, 160), (390, 130),
)
TALL_SIZES = ((280, 200), (330, 165), (190, 140), (290, 170), (240, 130), (305, 155), (330, 220))


def pattern(rng):
    """A foreign plate's, drawn."""
    whole = sum(share for share, _ in FOREIGN)
    ways = FOREIGN[rng.choice(len(FOREIGN), p=[share / whole for share, _ in FOREIGN])][1]
    way = ways[rng.integers(len(ways))]
    if way != "random":
        return way
    signs = "".join(rng.choice(["D", "X"], p=[0.65, 0.35]) for _ in range(rng.integers(4, 10)))
    cut = rng.integers(1, len(signs))
    return signs[:cut] + str(rng.choice(["", "-", ".", " ", "/"])) + signs[cut:]


def rows_of(way, area, aspect, rng):
    """Boxes (x, y, w, h) of the signs of a pattern within `area` (x0, y0, x1, y1): [(sign, box)]."""
    x0, y0, x1, y1 = area
    lines = way.split("/")
    first = rng.uniform(0.36, 0.54) if len(lines) > 1 else 1.0
    found, top = [], y0
    for i, line in enumerate(lines):
        height = (y1 - y0) * (first if i == 0 else 1 - first)
        gap = height * rng.uniform(0.02, 0.08) if len(lines) > 1 else 0
        space = rng.uniform(0.1, 0.3)
        sizes, small = [], 1.0
        for sign in line:
            sizes.append((BROAD.get(sign, 1.0) * small, small))
            small = rng.uniform(0.62, 0.9) if sign == "|" else small
        length = sum(w + space * s for w, s in sizes) - space
        # Not wider than characters are; what is left stands empty on both sides.
        unit = min((x1 - x0) / length, (height - 2 * gap) * rng.uniform(0.42, 0.8) / aspect)
        x = (x0 + x1 - unit * length) / 2
        for sign, (w, s) in zip(line, sizes):
            h = (height - 2 * gap) * s
            y = top + gap + (0 if s == 1 or rng.random() < 0.5 else height - 2 * gap - h)
            box = (x, y, w * unit, h)
            if sign == "-":
                thick = rng.uniform(0.07, 0.14)
                box = (x, y + h * (0.5 - thick / 2), w * unit, h * thick)
            elif sign in ".:":
                tall = w * unit * aspect
                box = (x, y + h * rng.choice([0.45, 0.9]) - tall / 2, w * unit, tall)
            if sign != " ":
                found.append((sign, box))
            if sign == ":":
                found.append((".", (x, y + h * 0.15, w * unit, w * unit * aspect)))
            x += (w + space * s) * unit
        top += height
    return found


def lay(way, rng):
    """One plate's size, its signs with their boxes, small print, and whether it has a band: all within 0..1."""
    tall = "/" in way
    sizes = TALL_SIZES if tall or rng.random() < 0.08 else SIZES
    width, height = sizes[rng.integers(len(sizes))]
    aspect = height / width
    side = rng.uniform(0.02, 0.07)
    area, small, band = [side, rng.uniform(0.1, 0.2), 1 - side, 1 - rng.uniform(0.1, 0.2)], [], None
    chance = rng.random()
    if chance < 0.25 and not tall:
        # A band with a flag or a land's letters, left or right.
        broad = rng.uniform(0.06, 0.11)
        left = rng.random() < 0.75
        band = (0.0 if left else 1 - broad, 0.0, broad, 1.0)
        area[0 if left else 2] = broad + 0.015 if left else 1 - broad - 0.015
        small = [((0.2 + 0.3 * k) * broad + band[0], 0.68, broad * 0.26, 0.18) for k in range(2)]
    elif chance < 0.45:
        # A line of small print above or below.
        h, count = rng.uniform(0.1, 0.17), int(rng.integers(3, 9))
        upper = rng.random() < 0.6
        y = 0.05 if upper else 0.95 - h
        area[1 if upper else 3] = y + h + 0.05 if upper else y - 0.05
        step = min(0.8 / count, h * aspect * rng.uniform(0.6, 1.3))
        small = [(0.5 + (k - count / 2) * step, y, step * 0.8, h) for k in range(count)]
    return (width, height), rows_of(way, area, aspect, rng), small, band
