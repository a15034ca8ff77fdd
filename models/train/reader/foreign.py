"""Draws plates of other countries, and writing that is on no plate, with the composer's ink."""

import numpy
import torch

from alphabet import COLOURS, DIGITS, INDEX, LETTERS, SLOTS
from layouts import GROUNDS, MANY, MARKS, NOTHING, lay, pattern

# The small print's and the bands' colours.
SECOND = ((15, 50, 150), (190, 25, 35), (20, 20, 24), (20, 100, 60), (225, 185, 40))


class Foreign:
    """`glyphs`: for each letter and digit where its pictures of other faces begin and how many there are; `groups`: the
    same for strange characters, words, the bar and the dot."""

    def __init__(self, composer, glyphs, groups):
        self.composer, self.glyphs, self.groups = composer, glyphs, groups
        self.rng = composer.rng
        share = numpy.array([g[0] for g in GROUNDS], float)
        self.share = share / share.sum()

    def picture(self, sign, face):
        """A picture for a sign, and the number of the character it shows, 0 for none."""
        rng = self.rng
        if sign in "DX":
            symbols = DIGITS if sign == "D" else LETTERS
            number = INDEX[symbols[rng.integers(len(symbols))]]
            start, count = self.glyphs[number - 1]
            return int(start + face * count), number
        start, count = self.groups[{"~": 0, "W": 1, "-": 2, "|": 2, ".": 3, ":": 3}[sign]]
        return int(start + rng.integers(count)), 0

    def set(self, ways):
        """Pictures, boxes and weights of all signs of the patterns; texts and where their characters stand."""
        count = len(ways)
        chosen = numpy.zeros((count, MANY), numpy.int64)
        box = numpy.zeros((count, MANY, 4), numpy.float32)
        box[..., 2:] = 1e-3
        there, second = numpy.zeros((count, MANY), numpy.float32), numpy.zeros((count, MANY), numpy.float32)
        text, centres = numpy.zeros((count, SLOTS), numpy.int64), numpy.zeros((count, SLOTS, 2), numpy.float32)
        size, rng = numpy.zeros((count, 2), numpy.float32), self.rng
        for i, way in enumerate(ways):
            size[i], signs, small, band = lay(way, rng)
            k, at, face = 0, 0, rng.random()
            jitter = rng.normal(0, 0.02, (len(signs), 2))
            for (sign, (x, y, w, h)), (dw, dh) in zip(signs, jitter):
                if k == MANY:
                    break
                # One face on a plate, but for a few characters.
                chosen[i, k], number = self.picture(sign, face if rng.random() < 0.95 else rng.random())
                box[i, k] = (x, y, w * (1 + dw), h * (1 + dh)) if sign not in MARKS else (x, y, w, h)
                there[i, k] = 1.0
                if number and at < SLOTS:
                    text[i, at], centres[i, at] = number, (x + w / 2, y + h / 2)
                    at += 1
                k += 1
            coloured = rng.random() < 0.4
            if band and k < MANY:
                chosen[i, k], box[i, k], there[i, k], second[i, k] = self.groups[2][0], band, 1.0, 1.0
                k += 1
            elif not band:
                for where in small[: MANY - k]:
                    chosen[i, k], _ = self.picture("~" if rng.random() < 0.3 else "X", face)
                    box[i, k], there[i, k], second[i, k] = where, rng.uniform(0.6, 1), coloured
                    k += 1
        box[..., :2] += rng.normal(0, 0.006, (count, 1, 2))
        return {"chosen": chosen, "box": box, "there": there, "second": second, "text": text, "centres": centres,
                "size": size}

    def ink(self, found):
        c = self.composer
        chosen = torch.from_numpy(found["chosen"]).to(c.device)
        return c.ink(chosen, c.tensor(found["box"]), found["there"], found["there"] * found["second"])

    def plates(self, count):
        """Canvases of foreign plates and all that is known of them."""
        ways = [pattern(self.rng) for _ in range(count)]
        found = self.set(ways)
        ground = self.rng.choice(len(GROUNDS), count, p=self.share)
        paint = numpy.array([GROUNDS[g][2:] for g in ground], numpy.float32)
        second = numpy.array(SECOND, numpy.float32)[self.rng.integers(0, len(SECOND), count)]
        none = numpy.zeros(count, numpy.float32)
        look = {"paint": paint, "size": found["size"], "part": none, "second": second, "two": none + 1, "room": none}
        canvas = self.composer.paint(look, *self.ink(found), 0.0)
        placed = (found["text"] > 0).astype(numpy.float32)
        facts = {
            "text": found["text"], "centres": found["centres"], "placed": placed,
            "colour": numpy.array([COLOURS.index(GROUNDS[g][1]) for g in ground]),
            "rows": numpy.array([int("/" in way) for way in ways]),
            "hidden": numpy.zeros((count, SLOTS), numpy.int64),
            "place": numpy.zeros((count, SLOTS, 4), numpy.float32),
            "usual": numpy.zeros(count, bool),
        }
        return canvas, facts

    def nothing(self, canvas):
        """Writes over pictures without a plate what is on no plate."""
        c, count = self.composer, len(canvas)
        found = self.set([NOTHING[self.rng.integers(len(NOTHING))] for _ in range(count)])
        # Smaller or larger than the picture, and off its middle.
        by = self.rng.uniform(0.55, 1.35, (count, 1))
        for k, shift in ((0, 0.15), (1, 0.2)):
            off = self.rng.normal(0, shift, (count, 1)) * (self.rng.random((count, 1)) < 0.6)
            found["box"][..., k] = (found["box"][..., k] - 0.5) * by + 0.5 + off
            found["box"][..., 2 + k] *= by
        ink = c.strengthened(self.ink(found)[0])
        light = self.rng.random((count, 1)) < 0.5
        colour = numpy.where(light, self.rng.uniform(170, 255, (count, 3)), self.rng.uniform(0, 90, (count, 3)))
        # Half of it on plain ground of any colour, often one of a plate's.
        ground = numpy.array([GROUNDS[g][2] for g in self.rng.integers(0, len(GROUNDS), count)])
        ground = ground + self.rng.normal(0, 25, (count, 3))
        plain = c.each(self.rng.random(count) < 0.45)
        rough = (c.blotches(count, 4, 6, 3) - 0.5) * c.each(self.rng.uniform(0, 60, count))
        canvas = canvas * (1 - plain) + (c.each(ground) + rough) * plain
        return (canvas + (c.each(colour) - canvas) * ink).clamp_(0, 255)
