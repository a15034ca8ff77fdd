"""Draws texts of plates, many at once."""

import numpy

from alphabet import DIGITS, INDEX, SLOTS
from kinds import SIGNS


def texts(kind, count, rng):
    """`count` texts of a kind as an array of output numbers (count, SLOTS)."""
    numbers = numpy.zeros((count, SLOTS), numpy.int64)
    pick = lambda symbols: numpy.array([INDEX[s] for s in symbols])[rng.integers(0, len(symbols), count)]
    # Some plates repeat one digit; a reader that has not seen it drops or adds one.
    lucky = rng.random(count) < 0.12
    favourite = pick(DIGITS)
    for k, sign in enumerate(kind.pattern):
        drawn = pick(SIGNS.get(sign, sign))
        if sign in "SD":
            drawn = numpy.where(lucky & (rng.random(count) < 0.75), favourite, drawn)
        numbers[:, k] = drawn
    return numbers
