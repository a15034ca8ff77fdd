"""Two readers behind one face, for measuring: the public one as the agent uses it, and ours.

`read(picture, quad)` gives a `Read`; several straightenings of one quad are united where the first is unsure.
"""

import re
from dataclasses import dataclass

import cv2
import numpy
import onnxruntime

from alphabet import COLOURS, HEIGHT, PROVINCES, WIDTH, decode
from detector import grow, sides, straighten

SURE = 0.95
# Margins of the looks at one quad, as parts of the plate's width and height.
LOOKS = ((0.02, 0.05), (0.0, 0.1), (0.0, 0.0), (0.04, 0.12))
# The same for pictures that are themselves a plate.
CROPS = ((0.0, 0.0), (0.03, 0.06), (-0.03, -0.06), (0.0, 0.1))
# A text that can be a plate is preferred if it is at least this likely, as part of the likeliest text's probability.
PREFERRED = 0.03
OFFICE, SERIAL = "A-HJ-Z0", "A-HJ-NP-Z0-9"
GRAMMAR = re.compile(
    f"^(?:[{PROVINCES}][{OFFICE}][{SERIAL}]{{4}}[{SERIAL}警学挂港澳领使临超试]|[{PROVINCES}][{SERIAL}]{{4}}领|使\\d{{6}}|\\d{{6}}使"
    f"|[{PROVINCES}][{OFFICE}][A-HJK][{SERIAL}]\\d{{4}}|[{PROVINCES}][{OFFICE}]\\d{{5}}[A-HJK]|WJ[{PROVINCES}][{SERIAL}]{{5}}"
    f"|WJ\\d\\d[{SERIAL}]{{5}}|WJ[{SERIAL}]{{5}}|[A-HJ-NP-Z]{{2}}\\d{{5}}|民航[{SERIAL}]{{5}}|[{PROVINCES}][A-Z]\\d{{4}}应急)$"
)


def plausible(text):
    return bool(GRAMMAR.match(text))


@dataclass
class Read:
    text: str
    # Of each character.
    sure: list
    colour: str = ""
    rows: int = 1
    plate: float = 1.0

    @property
    def least(self):
        return min(self.sure, default=0.0)

    @property
    def mean(self):
        return sum(self.sure) / max(1, len(self.sure))


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options)


class Public:
    """The reader with a blank and a dictionary, with its tricks for unsure reads and two rows."""

    def __init__(self, path, dictionary):
        self.session = session(path)
        self.symbols = [line.strip() for line in open(dictionary, encoding="utf-8") if line.strip()]

    def steps(self, flat):
        data = numpy.zeros((1, 3, 32, 320), numpy.float32)
        data[0, :, :, : flat.shape[1]] = (flat.astype(numpy.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5
        return self.session.run(None, {"x": data})[0][0]

    def greedy(self, steps):
        numbers, sure, last = [], [], 0
        for step, k in zip(steps, steps.argmax(1)):
            if k and k != last:
                numbers.append(int(k))
                sure.append(float(step[k]))
            elif k:
                sure[-1] = max(sure[-1], float(step[k]))
            last = k
        return numbers, sure

    def spelled(self, numbers):
        return "".join(self.symbols[k - 1] for k in numbers)

    @staticmethod
    def probability(steps, numbers):
        """Of a text over one look: the forward algorithm over the text with blanks between."""
        classes = [0] + [c for k in numbers for c in (k, 0)]
        alpha = numpy.zeros(len(classes))
        alpha[:2] = steps[0, classes[:2]]
        jump = numpy.array([i >= 2 and c != 0 and c != classes[i - 2] for i, c in enumerate(classes)])
        for step in steps[1:]:
            come = alpha + numpy.r_[0, alpha[:-1]] + numpy.r_[0, 0, alpha[:-2]][: len(alpha)] * jump
            alpha = come * step[classes]
        return alpha[-1] + (alpha[-2] if len(alpha) > 1 else 0)

    def one_row(self, looks):
        first = self.steps(looks(0))
        numbers, sure = self.greedy(first)
        if min(sure, default=0) >= SURE and plausible(self.spelled(numbers)):
            return Read(self.spelled(numbers), sure)
        steps = [first] + [self.steps(looks(i)) for i in range(1, 4)]
        found = {tuple(n): s for n, s in (self.greedy(s) for s in reversed(steps)) if n}
        if not found:
            return Read("", [])
        weight = {n: sum(self.probability(s, n) for s in steps) / 4 for n in found}
        ranked = sorted(found, key=lambda n: -weight[n])
        fits = (n for n in ranked if weight[n] >= 0.03 * weight[ranked[0]] and plausible(self.spelled(n)))
        best = next(fits, ranked[0])
        return Read(self.spelled(best), found[best])

    def read(self, picture, quad):
        widths = (112, 104, 120, 112)
        quads = [grow(quad, x, y, x, y) for x, y in LOOKS]
        one = self.one_row(lambda i: straighten(picture, quads[i], widths[i], 32))
        return one if plausible(one.text) else self.two_rows(picture, quad) or one

    def crop(self, picture):
        quad = whole(picture)
        return self.one_row(lambda i: straighten(picture, quad, (100, 104, 96, 112)[i], 32))

    def two_rows(self, picture, quad):
        best = None
        for up in (0.0, 0.35, 0.65):
            grown = grow(quad, 0, up, 0, 0)
            w, h = sides(grown)
            if w > 2.9 * h:
                continue
            flat = straighten(picture, grown, 192, 96)
            for cut in (0.36, 0.41):
                y = round(96 * cut)
                rows = [cv2.resize(flat[:y], (70, 32)), cv2.resize(flat[y:], (112, 32))]
                numbers, sure = self.greedy(self.steps(numpy.hstack(rows)))
                read = Read(self.spelled(numbers), sure, rows=2)
                if plausible(read.text) and read.least >= 0.5 and (best is None or read.mean > best.mean):
                    best = read
        return best


class Ours:
    """The reader with slots. `looks` straightenings at most; with one it is asked once and believed."""

    def __init__(self, path, looks=4, grown=(0.0, 0.35, 0.65)):
        self.session = session(path)
        self.looks, self.grown = looks, grown

    def run(self, flat):
        data = flat.astype(numpy.float32).transpose(2, 0, 1)[None]
        return [o[0] for o in self.session.run(["text", "colour", "rows", "plate"], {"picture": data})]

    @staticmethod
    def of(outputs):
        """One read from the mean of the looks' outputs."""
        text, colour, rows, plate = (numpy.mean([o[k] for o in outputs], 0) for k in range(4))
        numbers = likely(text)
        read = decode(numbers)
        sure = [float(text[k, n]) for k, n in enumerate(numbers[: len(read)])]
        # That the text ends here is a claim like any other.
        if len(read) < len(text):
            sure[-1:] = [min(sure[-1], float(text[len(read), 0]))] if sure else []
        return Read(read, sure, COLOURS[int(colour.argmax())], 1 + int(rows.argmax()), float(plate[1]))

    def read(self, picture, quad):
        x, y = LOOKS[0]
        outputs = [self.run(straighten(picture, grow(quad, x, y, x, y), WIDTH, HEIGHT))]
        first = self.of(outputs)
        if self.looks == 1 or (first.least >= SURE and plausible(first.text) and first.plate >= 0.9):
            return first
        for x, y in LOOKS[1 : self.looks]:
            outputs.append(self.run(straighten(picture, grow(quad, x, y, x, y), WIDTH, HEIGHT)))
        found = [self.of(outputs)]
        # The detector may have boxed the lower row only.
        for up in self.grown[1:]:
            taller = grow(quad, 0.02, up, 0.02, 0.05)
            w, h = sides(taller)
            if w <= 2.9 * h:
                read = self.of([self.run(straighten(picture, taller, WIDTH, HEIGHT))])
                if read.rows == 2:
                    found.append(read)
        return max(found, key=lambda r: (plausible(r.text) and r.least >= 0.5, r.least * r.plate))

    def crop(self, picture):
        """Reads a picture that is a plate and nothing else; where it is unsure, cut a little wider and narrower too."""
        quad, outputs = whole(picture), []
        for x, y in CROPS[: self.looks]:
            outputs.append(self.run(straighten(picture, grow(quad, x, y, x, y), WIDTH, HEIGHT)))
            read = self.of(outputs)
            if read.least >= SURE and plausible(read.text):
                break
        return read


def likely(text):
    """The most likely numbers of the slots, or others about as likely that can be a plate."""
    beams = [((), 1.0)]
    for slot in text:
        best = slot.argsort()[::-1][:3]
        beams = [((*numbers, int(n)), p * float(slot[n])) for numbers, p in beams for n in best]
        beams = sorted(beams, key=lambda b: -b[1])[:24]
    fits = (b for b in beams if b[1] >= PREFERRED * beams[0][1] and plausible(decode(b[0])))
    return next(fits, beams[0])[0]


def whole(picture):
    height, width = picture.shape[:2]
    return numpy.float32([[0, 0], [width, 0], [width, height], [0, height]])

