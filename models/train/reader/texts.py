"""Draws texts of plates, many at once."""

import numpy

from alphabet import DIGITS, INDEX, SLOTS
from kinds import SIGNS

# Characters that frames, screws, dirt and few pixels make alike.
ALIKE = ("0QDQ", "1T1L", "17TJ", "8B38", "5S65", "2Z27", "MNHW", "UV0D", "KXRH", "EFPL")
PUZZLES = numpy.array([[INDEX[s] for s in group] for group in ALIKE])


def texts(kind, count, rng):
    """`count` texts of a kind as an array of output numbers (count, SLOTS)."""
    numbers = numpy.zeros((count, SLOTS), numpy.int64)
    pick = lambda symbols: numpy.array([INDEX[s] for s in symbols])[rng.integers(0, len(symbols), count)]
    # Some plates repeat one digit; a reader that has not seen it drops or adds one.
    lucky = rng.random(count) < 0.12
    favourite = pick(DIGITS)
    # And some are made of characters that are taken for each other.
    puzzling = rng.random(count) < 0.15
    group = PUZZLES[rng.integers(0, len(PUZZLES), count)]
    for k, sign in enumerate(kind.pattern):
        drawn = pick(SIGNS.get(sign, sign))
        if sign in "SD":
            drawn = numpy.where(lucky & (rng.random(count) < 0.75), favourite, drawn)
        if sign == "S":
            one = group[numpy.arange(count), rng.integers(0, group.shape[1], count)]
            drawn = numpy.where(puzzling & (rng.random(count) < 0.6), one, drawn)
        numbers[:, k] = drawn
    return numbers
