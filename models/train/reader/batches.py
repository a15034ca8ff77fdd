"""Batches to train on: made-up plates, real crops (repainted or as they are), and what is no plate."""

import numpy
import torch

import hide
from alphabet import INDEX, SLOTS
from camera import Camera
from compose import Composer
from foreign import Foreign
from kinds import KINDS, boxes
from material import unpacked
from net import MAP

# Parts of a batch.
REAL, NONE, FOREIGN = 0.25, 0.13, 0.09
# Upright boxes round tilted plates: their part, and what they are in some of the chunks.
BOXED, MORE_BOXED, OFTEN = 0.25, 0.5, 0.25
# Of the real plates this part stays as it is; the others get a province drawn evenly, and some other characters.
UNTOUCHED = 0.4
SWAPPED = 0.25
# How far a target spreads round a character's middle on the map, as part of the picture.
SPREAD = (0.018, 0.11)
NO_LABEL = -100


class Material:
    """The packed material, on the device where it can be."""

    def __init__(self, path, device):
        packed = numpy.load(path)
        self.pictures, self.table = packed["pictures"], packed["table"]
        self.latin, self.groups = packed["latin"], packed["groups"]
        # OpenCV unpacks BGR; everything up to the camera works in RGB.
        to = lambda a: torch.from_numpy(a).permute(0, 3, 1, 2).flip(1).contiguous().to(device)
        self.real = to(unpacked(packed["real"], packed["real_starts"]))
        self.none = to(unpacked(packed["none"], packed["none_starts"]))
        facts = packed["facts"]
        self.text = facts[:, :SLOTS]
        self.placed, self.kept_out, self.yellow = facts[:, SLOTS], facts[:, SLOTS + 1], facts[:, SLOTS + 2]
        self.colours = packed["colours"]
        self.one_row, self.place = numpy.zeros((SLOTS, 2), numpy.float32), numpy.zeros((SLOTS, 4), numpy.float32)
        width, height = KINDS[0].size
        for k, (x, y, w, h) in enumerate(boxes(KINDS[0])):
            self.one_row[k] = ((x + w / 2) / width, (y + h / 2) / height)
            self.place[k] = (x / width, y / height, w / width, h / height)

    def facts(self, numbers):
        there = (self.text[numbers] > 0) * self.placed[numbers][:, None]
        return {
            "text": self.text[numbers].copy(),
            "centres": numpy.repeat(self.one_row[None], len(numbers), 0),
            "placed": there.astype(numpy.float32),
            "colour": self.yellow[numbers].copy(),
            "rows": numpy.zeros(len(numbers), numpy.int64),
            "place": numpy.repeat(self.place[None], len(numbers), 0),
            "usual": numpy.ones(len(numbers), bool),
        }


def weights(text, kept_out):
    """How often each real crop is shown: provinces as evenly as the few crops of some of them bear."""
    province = text[:, 0]
    count = numpy.bincount(province, minlength=len(INDEX) + 1)
    weight = 1.0 / numpy.maximum(count[province], 12)
    weight[kept_out > 0] = 0
    return weight / max(weight.sum(), 1e-9)


def plates_of(count):
    """How many of a chunk's pictures are plates; they come first."""
    return count - max(2, round(count * NONE))


class Batches:
    def __init__(self, material, device, seed):
        self.material, self.device = material, device
        self.composer = Composer(material.pictures, material.table, device, seed)
        self.foreign = Foreign(self.composer, material.latin, material.groups)
        self.camera = Camera(device, seed + 1)
        self.rng = numpy.random.default_rng(seed + 2)
        self.weights = weights(material.text, material.kept_out)

    def chunk(self, count, real=REAL):
        """One size of picture, one phase of compression: pictures and targets."""
        none = count - plates_of(count)
        # Without real crops all plates are made up.
        true = round(count * real) if len(self.weights) else 0
        foreign = round(count * FOREIGN)
        made = count - none - true - foreign
        canvas, facts = self.composer.plates(made)
        canvases, known, hard = [canvas], [facts], [numpy.ones(made + foreign)]
        whole, usual = canvas, facts["usual"]
        canvas, facts = self.foreign.plates(foreign)
        canvases.append(canvas)
        known.append(facts)
        if true:
            canvas, facts = self.real(true)
            canvases.append(canvas)
            known.append(facts)
            # Real crops have been through a camera; what is added to them is less.
            hard.append(self.rng.choice([0.15, 0.4, 0.8], true))
        facts = {key: numpy.concatenate([f[key] for f in known]) for key in known[0]}
        canvas = torch.cat(canvases)
        matrix = self.corners(len(canvas), facts)
        picture, matrix = self.camera.photograph(canvas, self.composer.tensor(numpy.concatenate(hard)), matrix=matrix)
        targets = self.targets(facts, matrix)
        empty = self.nothing(none, whole, usual)
        return torch.cat([picture, empty]).round().to(torch.uint8), targets

    def corners(self, count, facts):
        """The camera's, some of them cut at the first character or the last."""
        boxed = MORE_BOXED if self.rng.random() < OFTEN else BOXED
        start, size = hide.cut(self.rng, facts, facts["place"])
        off = numpy.repeat(numpy.eye(3)[None], count, 0)
        off[:, 0, 0], off[:, 0, 2] = size, start
        return self.composer.tensor(off) @ self.camera.corners(count, boxed, 1.0)

    def real(self, count):
        numbers = self.rng.choice(len(self.weights), count, p=self.weights)
        facts = self.material.facts(numbers)
        canvas = self.material.real[torch.from_numpy(numbers).to(self.device)].to(self.composer.number)
        swap = self.rng.random((count, SLOTS)) < SWAPPED
        swap[:, 0] = True
        swap &= (self.rng.random((count, 1)) > UNTOUCHED) & (facts["placed"] > 0)
        return self.composer.repaint(canvas, facts, self.material.colours[numbers], swap)

    def nothing(self, count, plates, usual):
        """Pictures without a plate, and plates so badly cut that no reading of them may count."""
        bad = max(1, round(count * 0.3))
        numbers = torch.from_numpy(self.rng.integers(0, len(self.material.none), count - bad)).to(self.device)
        canvas = self.material.none[numbers].to(self.composer.number)
        canvas = torch.where(torch.rand(len(canvas), 1, 1, 1, device=self.device) < 0.5, canvas.flip(3), canvas)
        written = round(len(canvas) * 0.5)
        canvas = torch.cat([self.foreign.nothing(canvas[:written]), canvas[written:]])
        first, _ = self.camera.photograph(canvas, self.composer.tensor(self.rng.choice([0.2, 0.7], count - bad)))
        matrix = self.camera.corners(bad, 0.1, 1.0)
        off = numpy.repeat(numpy.eye(3, dtype=numpy.float32)[None], bad, 0)
        side = lambda low, high: float(self.rng.choice([-1, 1]) * self.rng.uniform(low, high))
        for i, way in enumerate(self.rng.integers(0, 4, bad)):
            if way == 0 and usual[i]:
                # Two characters and more are missing.
                off[i, 0, 2] = side(0.28, 0.6)
            elif way < 2:
                off[i, 0, 2] = side(0.42, 0.9)
            elif way == 2:
                off[i, 1, 2] = side(0.5, 1.0)
            else:
                size = float(self.rng.choice([0.25, 0.3, 3.0, 4.0]))
                off[i, 0, 0], off[i, 1, 1] = size, size
                off[i, 0, 2], off[i, 1, 2] = 0.5 - size / 2, 0.5 - size / 2
        off, hard = self.composer.tensor(off), torch.ones(bad, device=self.device)
        second, _ = self.camera.photograph(plates[:bad], hard, matrix=off @ matrix)
        return torch.cat([first, second])

    def targets(self, facts, matrix):
        """What the net is told. Places are carried from the plate to the straightened picture."""
        centres = self.composer.tensor(facts["centres"])
        ones = torch.ones_like(centres[..., :1])
        at = torch.cat([centres, ones], -1) @ torch.linalg.inv(matrix).transpose(1, 2)
        at = at[..., :2] / at[..., 2:]
        long = lambda a: torch.from_numpy(a).to(self.device)
        return {
            "text": long(facts["text"]),
            "hidden": long(facts["hidden"]),
            "at": at,
            "placed": self.composer.tensor(facts["placed"]),
            "colour": long(facts["colour"]),
            "rows": long(facts["rows"]),
        }

    def batch(self, count, chunks, real=REAL):
        """Several chunks in one: plates first, then what is none."""
        found = [self.chunk(count // chunks, real) for _ in range(chunks)]
        plates = len(found[0][1]["text"])
        picture = torch.cat([p[:plates] for p, _ in found] + [p[plates:] for p, _ in found])
        return picture, {key: torch.cat([t[key] for _, t in found]) for key in found[0][1]}


def where(at):
    """What the slots' looking is compared with: (plates, slots, cells), each a spot round a character's middle."""
    rows, columns = MAP
    y = (torch.arange(rows, device=at.device) + 0.5) / rows
    x = (torch.arange(columns, device=at.device) + 0.5) / columns
    near_x = torch.exp(-(((at[..., 0:1] - x) / SPREAD[0]) ** 2) / 2)
    near_y = torch.exp(-(((at[..., 1:2] - y) / SPREAD[1]) ** 2) / 2)
    spot = (near_y[..., :, None] * near_x[..., None, :]).flatten(2) + 1e-8
    return spot / spot.sum(2, keepdim=True)
