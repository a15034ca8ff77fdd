"""The kinds of plate of GA 36 and the texts they carry: sizes in millimetres, where each character stands, how often.

Nothing here draws. A pattern has a sign per character:

    P  a province, each as often as any other    L  a letter of the office
    S  a letter or digit of the serial           D  a digit
    E  a letter of the energy kind               X  any letter
    anything else stands for itself
"""

from dataclasses import dataclass, field

from alphabet import DIGITS, LETTERS, PROVINCES

# What each sign may be. A character that stands several times is drawn as much more often; the first offices are the
# largest, but no letter is rare, and no province is more frequent than another.
SIGNS = {
    "P": PROVINCES,
    "L": LETTERS + "ABC" * 3,
    "X": LETTERS,
    "E": "DDDDDDFFFABCEGHJK",
    "D": DIGITS,
    "S": LETTERS + DIGITS * 10,
}


@dataclass(frozen=True)
class Kind:
    name: str
    colour: str
    pattern: str
    share: float
    size: tuple = (440, 140)
    # Which row's layout; see `boxes`.
    layout: str = "one"
    # Characters printed red.
    red: tuple = field(default=())

    @property
    def rows(self):
        return 2 if self.layout.startswith("two") else 1


def row(count, x0, x1, y, height, gap=0.2):
    """`count` equal boxes (x, y, width, height) between x0 and x1."""
    pitch = (x1 - x0) / (count - gap)
    return [(x0 + i * pitch, y, pitch * (1 - gap), height) for i in range(count)]


def boxes(kind):
    """Where the characters stand: x, y, width, height in millimetres."""
    n, (width, height) = len(kind.pattern), kind.size
    if kind.layout == "one":
        # Two characters, the dot, the others: 45 x 90, 12 apart, and 34 where the dot is.
        x = [15.5 + 57 * i + (22 if i > 1 else 0) for i in range(n)]
        return [(left, 25, 45, 90) for left in x]
    if kind.layout == "green":
        x = [15.5 + 54 * min(i, 1) + (92 + 52 * (i - 2) if i > 1 else 0) for i in range(n)]
        return [(left, 25, 45 if i == 0 else 43, 90) for i, left in enumerate(x)]
    if kind.layout == "even":
        return row(n, 16, width - 16, 25, 90)
    if kind.layout == "dashes":
        # Letters, two digits, two digits; `dashes` says where the strokes between them are.
        groups = [n - 4, 2, 2]
        pitch = (width - 40) / (n + 1)
        x = [20 + pitch * (i + k / 2) for k, i in ((k, sum(groups[:k]) + j) for k in range(3) for j in range(groups[k]))]
        return [(left, 25, pitch * 0.85, 90) for left in x]
    if kind.layout == "armed-over":
        # The two small digits one over the other.
        head, small = [(15.5, 25, 43, 90), (66, 25, 43, 90)], [(118, 25, 24, 42), (118, 73, 24, 42)]
        return head + small + row(5, 156, width - 15.5, 25, 90)
    if kind.layout == "armed":
        # WJ and a small province (or two small digits, one over the other or side by side), then the number.
        small = n - 7
        head = [(15.5, 25, 43, 90), (66, 25, 43, 90)]
        step = 40 / small
        middle = [(116 + step * i, 40, step * 0.86, 60) for i in range(small)]
        return head + middle + row(5, 168, width - 15.5, 25, 90)
    if kind.layout == "rescue":
        # The last two characters are half as large, one over the other.
        x = [15.5 + 57 * i + (22 if i > 1 else 0) for i in range(n - 2)]
        last = 15.5 + 57 * 6 + 22
        return [(left, 25, 45, 90) for left in x] + [(last, 22, 45, 46), (last, 72, 45, 46)]
    if kind.layout == "two":
        return [(110, 15, 80, 60), (250, 15, 80, 60)] + row(n - 2, 27, 413, 90, 110)
    if kind.layout == "two-small":
        return [(40, 12, 50, 42), (130, 12, 50, 42)] + row(n - 2, 12, 208, 66, 62)
    if kind.layout == "two-tractor":
        return row(3, 60, 240, 12, 52, 0.3) + row(n - 3, 20, 280, 76, 78)
    if kind.layout == "two-letters":
        # Hong Kong: letters over digits.
        return row(2, 70, 150, 14, 52, 0.15) + row(n - 2, 30, 190, 74, 52, 0.2)
    raise ValueError(kind.layout)


KINDS = (
    Kind("small", "blue", "PLSSSSS", 0.28),
    Kind("small O", "blue", "POSSSSS", 0.004),
    Kind("large front", "yellow", "PLSSSSS", 0.08),
    Kind("coach", "yellow", "PLSSSS学", 0.035),
    Kind("trailer front", "yellow", "PLSSSS挂", 0.015),
    Kind("large rear", "yellow", "PLSSSSS", 0.075, (440, 220), "two"),
    Kind("trailer", "yellow", "PLSSSS挂", 0.045, (440, 220), "two"),
    Kind("coach rear", "yellow", "PLSSSS学", 0.018, (440, 220), "two"),
    Kind("small new energy", "green", "PLESDDDD", 0.10, (480, 140), "green"),
    Kind("large new energy", "yellow-green", "PLDDDDDE", 0.045, (480, 140), "green"),
    Kind("police", "white", "PLSSSS警", 0.06, red=(6,)),
    Kind("police O", "white", "POSSSS警", 0.008, red=(6,)),
    Kind("police motorcycle", "white", "PLSSSS警", 0.018, (220, 140), "two-small", red=(6,)),
    Kind("armed police", "white", "WJPSSSSS", 0.022, layout="armed", red=(0, 1)),
    Kind("armed police, older", "white", "WJDDSDDDD", 0.014, layout="armed", red=(0, 1)),
    Kind("armed police, older, digits over each other", "white", "WJDDSDDDD", 0.012, layout="armed-over", red=(0, 1)),
    Kind("armed police, two rows", "white", "WJSSSSS", 0.008, (440, 220), "two", red=(0, 1)),
    Kind("military", "white", "XXDDDDD", 0.018, red=(0,)),
    Kind("military, serial", "white", "XXSSSSS", 0.006, red=(0, 1)),
    Kind("military, two rows", "white", "XXDDDDD", 0.010, (440, 220), "two", red=(0,)),
    Kind("embassy", "black", "DDDDDD使", 0.014),
    Kind("embassy, older", "black", "使DDDDDD", 0.008, red=(0,)),
    Kind("embassy by province", "black", "PLSSSS使", 0.004),
    Kind("consulate", "black", "PLSSSS领", 0.016),
    Kind("consulate, older", "black", "PDDDD领", 0.006, layout="even"),
    Kind("Hong Kong", "black", "粤ZSSSS港", 0.028),
    Kind("Macao", "black", "粤ZSSSS澳", 0.028),
    Kind("Hong Kong, any province", "black", "PLSSSS港", 0.003),
    Kind("Macao, any province", "black", "PLSSSS澳", 0.003),
    Kind("foreign owned", "black", "PLSSSSS", 0.010),
    Kind("rescue", "white", "PXDDDD应急", 0.008, layout="rescue", red=(1, 6, 7)),
    Kind("rescue in a row", "white", "PXDDDD应急", 0.006, layout="even", red=(1, 6, 7)),
    Kind("civil aviation", "green", "民航XDDDD", 0.014),
    Kind("temporary", "other", "PLSSSS临", 0.006),
    Kind("temporary, sign first", "other", "临PLSSSSS", 0.004, layout="even"),
    Kind("oversize", "other", "PLSSSS超", 0.006),
    Kind("test", "other", "PLSSSS试", 0.006),
    Kind("tractor", "green", "PDDDDDDD", 0.012, (300, 165), "two-tractor"),
    Kind("low speed", "yellow", "PLSSSSS", 0.010, (300, 165), "two-small"),
    Kind("motorcycle", "yellow", "PLSSSSS", 0.034, (220, 140), "two-small"),
    Kind("light motorcycle", "blue", "PLSSSSS", 0.016, (220, 140), "two-small"),
    Kind("Hong Kong's own", "yellow", "XXDDDD", 0.008, layout="even"),
    Kind("Hong Kong's own, white", "white", "XXDDDD", 0.004, layout="even"),
    Kind("Hong Kong's own, two rows", "yellow", "XXDDDD", 0.006, (220, 140), "two-letters"),
    Kind("Macao's own", "black", "MDDDD", 0.005, layout="dashes"),
    Kind("Macao's own, newer", "black", "MXDDDD", 0.005, layout="dashes"),
    # Whatever nobody thought of: no rule may complete what was not seen. Plates of other countries: layouts.py.
    Kind("anything, blue", "blue", "SSSSSSS", 0.006),
    Kind("anything, white", "white", "SSSSSSS", 0.006, layout="even"),
    Kind("anything, white, eight", "white", "SSSSSSSS", 0.006, layout="even"),
    Kind("anything, yellow, six", "yellow", "SSSSSS", 0.005, layout="even"),
    Kind("anything, green", "green", "PSSSSSSS", 0.006, (480, 140), "green"),
)

