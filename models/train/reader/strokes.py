"""Letters and digits in the shapes of GA 36, drawn with strokes of one width in a box of 45 x 90.

The standard prints them as pictures only, so the lines here were drawn by eye after plates on the road. No font that
may be used has them, and a reader trained on other shapes takes M for H and 3 for 5.
"""

import math

import cv2
import numpy

LEFT, RIGHT, TOP, BOTTOM, MIDDLE = 5, 40, 5, 85, 22.5
SCALE = 4


def arc(x, y, rx, ry, start, end, steps=14):
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def ring(x0, y0, x1, y1, r):
    """A rectangle with round corners."""
    corners = (
        arc(x0 + r, y0 + r, r, r, 180, 270)
        + arc(x1 - r, y0 + r, r, r, 270, 360)
        + arc(x1 - r, y1 - r, r, r, 0, 90)
        + arc(x0 + r, y1 - r, r, r, 90, 180)
    )
    return corners + [corners[0]]


ZERO = ring(LEFT, TOP, RIGHT, BOTTOM, 16)
SIX = [[(28, 5), (20, 17), (12, 32), (7, 45), (5, 58)], ring(5, 43, 40, 85, 16)]
BOW = arc(MIDDLE, 22, 17.5, 17, 0, -180) + [(5, 40)] + arc(MIDDLE, 68, 17.5, 17, 180, 0)

# Each shape is a list of lines; a second shape is another hand of the same character.
SHAPES = {
    "0": [[ZERO]],
    "O": [[ZERO]],
    "1": [[[(24, 5), (24, 85)], [(24, 7), (15, 17)]], [[(22, 5), (22, 85)]]],
    "2": [[[(5, 27)] + arc(MIDDLE, 22.5, 17.5, 17.5, 180, 360) + [(39, 33), (34, 44), (6, 83), (5, 85), (40, 85)]]],
    "3": [
        [
            [(6, 5), (38, 5), (38, 8), (19, 38), (25, 38)]
            + arc(MIDDLE, 59, 17.5, 20, -75, 0)
            + arc(MIDDLE, 66, 17.5, 19, 0, 180)
        ],
        [
            arc(MIDDLE, 23, 16.5, 18, -170, 0)
            + arc(MIDDLE, 25, 16.5, 17, 0, 85)
            + arc(MIDDLE, 62, 17.5, 20, -85, 0)
            + arc(MIDDLE, 66, 17.5, 19, 0, 172)
        ],
    ],
    "4": [[[(25, 5), (4, 66), (42, 66)], [(32, 44), (32, 85)]]],
    "5": [[[(38, 5), (9, 5), (7, 42)] + arc(MIDDLE, 58, 17.5, 19, -140, 0) + arc(MIDDLE, 66, 17.5, 19, 0, 180)]],
    "6": [SIX],
    "7": [[[(5, 5), (40, 5), (30, 35), (18, 85)]]],
    "8": [[ring(8, TOP, 37, 42, 13), ring(LEFT, 42, RIGHT, BOTTOM, 15)]],
    "9": [[[(45 - x, 90 - y) for x, y in line] for line in SIX]],
    "A": [[[(3, 85), (MIDDLE, 5), (42, 85)], [(10, 60), (35, 60)]]],
    "B": [
        [
            [(6, 5), (24, 5)] + arc(24, 24, 14, 19, -90, 90) + [(6, 43)],
            [(6, 43), (26, 43)] + arc(26, 64, 14, 21, -90, 90) + [(6, 85), (6, 5)],
        ]
    ],
    "C": [[[(40, 28)] + BOW + [(40, 62)]]],
    "D": [[[(6, 5), (22, 5)] + arc(22, 23, 18, 18, -90, 0) + arc(22, 67, 18, 18, 0, 90) + [(6, 85), (6, 5)]]],
    "E": [[[(40, 5), (6, 5), (6, 85), (40, 85)], [(6, 43), (36, 43)]]],
    "F": [[[(40, 5), (6, 5), (6, 85)], [(6, 44), (36, 44)]]],
    "G": [
        [[(40, 28)] + BOW + [(40, 50), (25, 50)]],
        [[(40, 28)] + BOW + [(40, 50), (25, 50)], [(40, 50), (40, 85)]],
    ],
    "H": [[[(5, 5), (5, 85)], [(40, 5), (40, 85)], [(5, 44), (40, 44)]]],
    "J": [[[(36, 5), (36, 66)] + arc(21, 67, 15, 18, 0, 180)]],
    "K": [[[(6, 5), (6, 85)], [(40, 5), (7, 52)], [(17, 38), (41, 85)]]],
    "L": [[[(7, 5), (7, 85), (40, 85)]]],
    "M": [[[(5, 85), (5, 5), (MIDDLE, y), (40, 5), (40, 85)]] for y in (46, 54, 62)],
    "N": [[[(5, 85), (5, 5), (40, 85), (40, 5)]]],
    "P": [[[(6, 85), (6, 5), (24, 5)] + arc(24, 27, 16, 22, -90, 90) + [(6, 49)]]],
    "Q": [[ZERO, [(24, 62), (42, 87)]]],
    "R": [[[(6, 85), (6, 5), (24, 5)] + arc(24, 26, 16, 21, -90, 90) + [(6, 47)], [(23, 47), (41, 85)]]],
    "S": [[[(39.5, 26)] + arc(MIDDLE, 22, 17, 17, 0, -180) + [(8, 34), (36, 54)] + arc(MIDDLE, 67, 17.5, 18, -20, 180)]],
    "T": [[[(3, 5), (42, 5)], [(MIDDLE, 5), (MIDDLE, 85)]]],
    "U": [[[(5, 5), (5, 66)] + arc(MIDDLE, 67, 17.5, 18, 180, 0) + [(40, 5)]]],
    "V": [[[(3, 5), (MIDDLE, 85), (42, 5)]]],
    "W": [[[(3, 5), (12, 85), (MIDDLE, y), (33, 85), (42, 5)]] for y in (26, 34, 42)],
    "X": [[[(4, 5), (41, 85)], [(41, 5), (4, 85)]]],
    "Y": [[[(4, 5), (MIDDLE, 46), (41, 5)], [(MIDDLE, 46), (MIDDLE, 85)]]],
    "Z": [[[(5, 5), (40, 5), (5, 85), (40, 85)]]],
}
NARROW = "1J"


def draw(symbol, width=10.0, hand=0):
    """The character as bytes, 255 for ink, cut to its outline; narrow characters keep their box."""
    shapes = SHAPES[symbol]
    picture = numpy.zeros((90 * SCALE, 45 * SCALE), numpy.uint8)
    for line in shapes[hand % len(shapes)]:
        points = numpy.round(numpy.array(line, numpy.float32) * SCALE * 16).astype(numpy.int32)
        cv2.polylines(picture, [points], False, 255, int(width * SCALE), cv2.LINE_AA, 4)
    if symbol in NARROW:
        return picture
    rows, columns = numpy.where(picture > 0)
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
