"""Puts flat plates together on the processor that trains: characters, ground, rim, dot, screws, dirt, surroundings.

A character is a picture T of ink. Setting it into its box means resampling its rows and its columns, and both are
matrix products: rows @ T @ columns. All characters of all plates of a batch are two such products, which takes a
hundredth of the time that drawing plate by plate does.
"""

import numpy
import torch
from torch.nn import functional

import hide
from alphabet import COLOURS, INDEX, SLOTS
from glyphs import BROAD, TALL
from kinds import KINDS, boxes
from material import CANVAS, MARGIN_X, MARGIN_Y
from texts import texts

# Ground colours (top, bottom) and ink, RGB; several stand for paints, ages and cameras.
PAINTS = {
    "blue": [((18, 70, 178), (18, 60, 168), (238, 242, 250)), ((40, 90, 200), (30, 80, 190), (245, 248, 255)),
             ((60, 80, 140), (55, 75, 135), (215, 220, 230)), ((25, 45, 105), (22, 40, 98), (225, 228, 235))],
    "yellow": [((240, 180, 25), (238, 176, 25), (22, 20, 18)), ((225, 160, 40), (225, 160, 40), (30, 26, 22)),
               ((250, 205, 40), (248, 200, 40), (20, 20, 20)), ((200, 160, 80), (196, 156, 78), (50, 44, 36))],
    "green": [((228, 240, 232), (70, 185, 115), (15, 18, 18)), ((205, 232, 215), (95, 195, 135), (20, 22, 22)),
              ((235, 245, 240), (120, 205, 160), (24, 26, 26)), ((190, 225, 200), (60, 165, 105), (14, 16, 16))],
    "yellow-green": [((98, 195, 125), (95, 192, 122), (15, 18, 18)), ((125, 205, 150), (120, 200, 145), (22, 24, 24))],
    "white": [((238, 238, 236), (230, 230, 230), (20, 20, 22)), ((215, 220, 225), (210, 214, 220), (32, 32, 36)),
              ((250, 248, 240), (245, 243, 236), (24, 22, 22))],
    "black": [((25, 25, 28), (25, 25, 28), (240, 240, 240)), ((45, 45, 48), (42, 42, 45), (225, 225, 225)),
              ((12, 14, 20), (12, 14, 20), (248, 248, 248))],
    "other": [((200, 215, 235), (190, 205, 228), (25, 25, 30)), ((235, 225, 190), (228, 218, 184), (30, 26, 24)),
              ((225, 190, 200), (220, 185, 196), (30, 24, 26)), ((205, 225, 205), (200, 220, 200), (24, 26, 24))],
}
# These green plates have one colour, and white characters.
PLAIN_GREEN = {"tractor", "civil aviation"}
RED = (205, 25, 35)
# The yellow part of a large new energy plate.
YELLOW_PART = 0.275
# Of the characters that were cut from real plates as well, this part is taken from them.
REAL_GLYPHS = 0.45


def paints(kind):
    if kind.name in PLAIN_GREEN:
        return [((20, 120, 70), (20, 115, 68), (240, 244, 240)), ((40, 140, 95), (38, 135, 90), (235, 240, 238))]
    return PAINTS[kind.colour]


class Composer:
    """Draws batches of flat plates. `glyphs` and `table` come from material.py."""

    def __init__(self, pictures, table, device, seed):
        self.device = device
        # A byte's values need no more than half a float, and memory is what this waits for.
        self.number = torch.float16 if device.type == "cuda" else torch.float32
        self.pictures = torch.from_numpy(pictures).to(device)
        self.table = table
        self.rng = numpy.random.default_rng(seed)
        shares = numpy.array([kind.share for kind in KINDS])
        self.shares = shares / shares.sum()
        self.boxes = numpy.zeros((len(KINDS), SLOTS, 4), numpy.float32)
        self.red = numpy.zeros((len(KINDS), SLOTS), numpy.float32)
        most = max(len(paints(kind)) for kind in KINDS)
        self.paints = numpy.zeros((len(KINDS), most, 3, 3), numpy.float32)
        for i, kind in enumerate(KINDS):
            width, height = kind.size
            for k, (x, y, w, h) in enumerate(boxes(kind)):
                self.boxes[i, k] = (x / width, y / height, w / width, h / height)
            self.red[i, list(kind.red)] = 1.0
            self.paints[i] = numpy.resize(numpy.array(paints(kind), numpy.float32), (most, 3, 3))
        self.sizes = numpy.array([kind.size for kind in KINDS], numpy.float32)
        height, width = CANVAS
        self.u = (torch.arange(width, device=device) + 0.5) / width * (1 + 2 * MARGIN_X) - MARGIN_X
        self.v = (torch.arange(height, device=device) + 0.5) / height * (1 + 2 * MARGIN_Y) - MARGIN_Y

    def tensor(self, values):
        return torch.from_numpy(numpy.ascontiguousarray(values, numpy.float32)).to(self.device, non_blocking=True)

    def each(self, values):
        """One value, or one colour, per plate, ready to be spread over its canvas."""
        values = numpy.asarray(values)
        return self.tensor(values.reshape(*values.shape[:1], -1, 1, 1)).to(self.number)

    def choose(self, numbers):
        """A picture for every character: one hand or face per plate, mostly, and real ones among them."""
        count = len(numbers)
        first, made, real_first, real = (self.table[numpy.maximum(numbers - 1, 0), k] for k in range(4))
        same = self.rng.random((count, SLOTS)) < 0.85
        style = numpy.where(same, self.rng.random((count, 1)), self.rng.random((count, SLOTS)))
        chosen = first + (style * made).astype(numpy.int64)
        wanted = self.rng.choice([0.0, REAL_GLYPHS, 1.0], (count, 1), p=[0.45, 0.25, 0.3])
        use_real = (real > 0) & (self.rng.random((count, SLOTS)) < wanted)
        # A character with few real pictures is not shown them more often than they bear.
        use_real &= self.rng.random((count, SLOTS)) < numpy.minimum(1.0, 0.35 + real / 12)
        return numpy.where(use_real, real_first + (self.rng.random((count, SLOTS)) * real).astype(numpy.int64), chosen)

    def places(self, box, numbers):
        """The boxes of one batch, each plate and each character a little off."""
        count = len(box)
        r = lambda s, *shape: self.rng.normal(0, s, shape).astype(numpy.float32)
        box = box.copy()
        wide = 1 + r(0.05, count, 1) + r(0.015, count, SLOTS)
        tall = 1 + r(0.04, count, 1) + r(0.015, count, SLOTS)
        hanzi = numbers > INDEX["O"]
        # Chinese characters often do not fill their box.
        tall *= numpy.where(hanzi, self.rng.uniform(0.78, 1.02, (count, 1)), 1)
        wide *= numpy.where(hanzi, self.rng.uniform(0.88, 1.04, (count, 1)), 1)
        x, y = box[..., 0] + box[..., 2] / 2, box[..., 1] + box[..., 3] / 2
        stretch = 1 + r(0.02, count, 1)
        x = 0.5 + (x - 0.5) * stretch + r(0.006, count, 1) + r(0.002, count, SLOTS)
        y = y + r(0.015, count, 1) + r(0.006, count, SLOTS)
        box[..., 2] *= wide
        box[..., 3] *= tall
        box[..., 0], box[..., 1] = x - box[..., 2] / 2, y - box[..., 3] / 2
        return box

    def ink(self, chosen, box, *weights):
        """Ink of all characters (batch, 1, height, width), once per weight: (batch, slots), 0 leaves one out."""
        count, many = chosen.shape
        glyphs = self.pictures[chosen.reshape(-1)].view(count, many, TALL, BROAD).to(self.number) / 255
        rows = self.resample(self.v, box[..., 1], box[..., 3], TALL).transpose(2, 3)
        columns = self.resample(self.u, box[..., 0], box[..., 2], BROAD)
        upright = rows @ glyphs
        found = []
        for weight in weights:
            part = upright * self.tensor(weight).to(self.number)[:, :, None, None]
            part = part.transpose(1, 2).reshape(count, len(self.v), many * BROAD)
            found.append((part @ columns.reshape(count, many * BROAD, len(self.u))).clamp_(0, 1)[:, None])
        return found

    def resample(self, line, start, length, texels):
        """(batch, slots, texels, pixels): how much of each row of a picture falls on each pixel of the line."""
        step = (line[1] - line[0]) * texels
        length = length.clamp(min=1e-3)[..., None]
        spread = (step / length).clamp(min=1.0)
        # Divided by its spread first, so that the large array needs few passes.
        at = (((line - start[..., None]) / length * texels - 0.5) / spread).to(self.number)
        texel = (torch.arange(texels, device=self.device)[:, None] / spread[..., None]).to(self.number)
        share = (at[..., None, :] - texel).abs_().neg_().add_(1).clamp_(min=0)
        return share.div_(spread[..., None].to(self.number))

    def plates(self, count):
        """`count` made-up plates: canvases (RGB, 0..255) and all that is known of them."""
        kind = self.rng.choice(len(KINDS), count, p=self.shares)
        numbers = numpy.zeros((count, SLOTS), numpy.int64)
        for k in numpy.unique(kind):
            numbers[kind == k] = texts(KINDS[k], int((kind == k).sum()), self.rng)
        place = self.places(self.boxes[kind], numbers)
        there = (numbers > 0).astype(numpy.float32)
        chosen = torch.from_numpy(self.choose(numbers)).to(self.device)
        box = self.tensor(place)
        ink, red = self.ink(chosen, box, there, there * self.red[kind])
        canvas = self.paint(self.look(kind, place, there), ink, red, self.dot(kind, place))
        centres = numpy.stack([place[..., 0] + place[..., 2] / 2, place[..., 1] + place[..., 3] / 2], -1)
        colour = numpy.array([COLOURS.index(KINDS[k].colour) for k in kind])
        rows = numpy.array([KINDS[k].rows - 1 for k in kind])
        usual = numpy.array([KINDS[k].pattern[0] == "P" and KINDS[k].layout in ("one", "green", "even") for k in kind])
        facts = {"text": numbers, "centres": centres, "placed": there, "colour": colour, "rows": rows, "place": place,
                 "usual": usual}
        canvas, facts["hidden"] = hide.some(self, canvas, facts, place)
        return canvas, facts

    def look(self, kind, place, there):
        """What the kinds say of how their plates look: colours, sizes in millimetres, and room above the characters."""
        count = len(kind)
        return {
            "paint": self.paints[kind, self.rng.integers(0, self.paints.shape[1], count)],
            "size": self.sizes[kind],
            "part": numpy.array([KINDS[k].colour == "yellow-green" for k in kind]),
            "second": numpy.repeat(numpy.array([RED], numpy.float32), count, 0),
            "two": self.red[kind].max(1),
            "room": numpy.where(there > 0, place[..., 1], 1.0).min(1) * self.sizes[kind, 1],
        }

    def blotches(self, count, rows, columns, channels=1):
        """Smooth noise of 0..1 over the canvas."""
        coarse = torch.rand(count, channels, rows, columns, device=self.device, dtype=self.number)
        return functional.interpolate(coarse, CANVAS, mode="bilinear", align_corners=False)

    def paint(self, look, ink, second, dot):
        """Ground, letters, rim, dot, screws and dirt, and what is round the plate."""
        count, size = len(ink), look["size"]
        one = lambda low, high: self.each(self.rng.uniform(low, high, count))
        having = lambda share: self.each(self.rng.random(count) < share)
        paint = look["paint"]
        paint = paint + self.rng.normal(0, 11, paint.shape)
        top, bottom, letter = (self.each(paint[:, k]) for k in range(3))
        u, v = self.u.to(self.number), self.v.to(self.number)[:, None]
        mm_x, mm_y = self.each(size[:, 0]), self.each(size[:, 1])
        x, y = u * mm_x, v * mm_y
        canvas = top + (bottom - top) * v.clamp(1e-3, 1) ** one(0.7, 1.5)
        # The first part of a large new energy plate is yellow.
        part = self.each(look["part"]) * (u < YELLOW_PART)
        yellow = numpy.array([240, 190, 40]) + self.rng.normal(0, 12, (count, 3))
        canvas = canvas * (1 - part) + self.each(yellow) * part
        # Distance from the plate's edge in millimetres.
        edge = torch.minimum(torch.minimum(x, mm_x - x), torch.minimum(y, mm_y - y))
        inner = one(0, 6)
        rim = ((edge > inner) & (edge < inner + one(1.5, 5))) * (having(0.85) * one(0.3, 1))
        strong = self.strengthened(ink)
        worn = (self.blotches(count, 9, 26) - one(0.4, 0.8)) * (one(0.5, 2) * having(0.3))
        strong = strong * (1 - worn.clamp_(0, 0.8)) * one(0.82, 1)
        mark = torch.maximum(torch.maximum(strong, rim), dot if torch.is_tensor(dot) else rim)
        share = (second / ink.clamp(min=1e-2)).clamp_(0, 1) * self.each(look["two"])
        letter = letter + (self.each(look["second"] + self.rng.normal(0, 14, (count, 3))) - letter) * share
        canvas = canvas + (letter - canvas) * mark
        # Pressed letters have a bright and a dark flank.
        bright, dark = torch.roll(strong, (1, 1), (2, 3)), torch.roll(strong, (1, -1), (2, 3))
        relief = strong - bright * one(0, 1) - dark * one(0, 0.5)
        canvas = canvas + relief * (one(-40, 40) * having(0.4))
        screw = self.screws(count, x, y, size)
        tint = self.rng.choice([60, 150, 220], (count, 1)) + self.rng.normal(0, 20, (count, 3))
        canvas = canvas + (self.each(tint) - canvas) * screw
        dirt = ((self.blotches(count, 6, 16) - one(0.45, 0.85)) * one(1, 4)).clamp_(0, 0.8) * having(0.35)
        mud = self.rng.normal((118, 108, 95), 12, (count, 3)) + self.rng.normal(0, 40, (count, 1))
        canvas = canvas + (self.each(mud) - canvas) * dirt
        canvas = self.capped(canvas, look, x, y, mm_x, mm_y)
        return self.surrounded(canvas, edge, one, having)

    def capped(self, canvas, look, x, y, mm_x, mm_y):
        """A bar over the edge of some characters: a frame, a lamp's rim, a bolt. It must not make a 1 a T."""
        count, room = len(canvas), look["room"]
        depth = numpy.where(self.rng.random(count) < 0.12, room * self.rng.uniform(0.5, 1.25, count), -99)
        wide = numpy.where(self.rng.random(count) < 0.35, 600, self.rng.uniform(5, 45, count))
        off = (x - self.each(self.rng.uniform(0.05, 0.95, count)) * mm_x).abs() < self.each(wide)
        low = self.each(self.rng.random(count) < 0.3)
        on = off & ((y * (1 - low) + (mm_y - y) * low) < self.each(depth))
        grey = self.rng.uniform(10, 235, (count, 1)) + self.rng.normal(0, 10, (count, 3))
        return torch.where(on, self.each(grey), canvas)

    def strengthened(self, ink):
        """Strokes thicker or thinner than the glyph has them."""
        change = self.each(numpy.clip(self.rng.normal(0, 0.5, len(ink)), -0.7, 1))
        thick = functional.max_pool2d(ink, 3, 1, 1)
        thin = -functional.max_pool2d(-ink, 3, 1, 1)
        return ink + change.clamp(min=0) * (thick - ink) + change.clamp(max=0) * (ink - thin)

    def dot(self, kind, place):
        """The dot between office and serial."""
        mm_x, mm_y = self.each(self.sizes[kind, 0]), self.each(self.sizes[kind, 1])
        x, y = self.u.to(self.number) * mm_x, self.v.to(self.number)[:, None] * mm_y
        gap = (place[:, 1, 0] + place[:, 1, 2] + place[:, 2, 0]) / 2
        height = place[:, 1, 1] + place[:, 1, 3] * self.rng.uniform(0.35, 0.65, len(kind))
        has = numpy.array(["L" in KINDS[k].pattern and KINDS[k].layout in ("one", "two") for k in kind])
        has = has & (self.rng.random(len(kind)) < 0.85)
        far = torch.hypot(x - self.each(gap) * mm_x, y - self.each(height) * mm_y)
        found = (self.each(self.rng.uniform(4, 7, len(kind))) - far).clamp_(0, 1) * self.each(has)
        dashed = numpy.array([KINDS[k].layout == "dashes" for k in kind])
        for back in (4, 2):
            # Between two characters counted from the end: the number of letters before them varies.
            last = numpy.array([len(KINDS[k].pattern) for k in kind]) - back
            at = numpy.arange(len(kind))
            middle = (place[at, last - 1, 0] + place[at, last - 1, 2] + place[at, last, 0]) / 2
            near = torch.maximum((x - self.each(middle) * mm_x).abs() / 12, (y - mm_y / 2).abs() / 5)
            found = torch.maximum(found, (near < 1).to(self.number) * self.each(dashed))
        return found

    def screws(self, count, x, y, size):
        inset = self.rng.uniform(0.18, 0.32, count)
        found = torch.zeros_like(x + y)
        for right in (False, True):
            for low in (False, True):
                at = (1 - inset if right else inset) + self.rng.normal(0, 0.01, count)
                down = numpy.abs(low - self.rng.uniform(0.05, 0.15, count))
                far = torch.hypot(x - self.each(at * size[:, 0]), y - self.each(down * size[:, 1]))
                radius = numpy.where(self.rng.random(count) < 0.55, self.rng.uniform(3, 9, count), -9)
                found = torch.maximum(found, (self.each(radius) - far) / 2 + 0.5)
        return found.clamp_(0, 1)

    def surrounded(self, canvas, edge, one, having):
        """The car behind the plate, sometimes a frame round it."""
        count = len(canvas)
        base = self.rng.choice([20, 60, 120, 200, 235], (count, 1)) + self.rng.normal(0, 25, (count, 3))
        rows, columns = int(self.rng.integers(2, 9)), int(self.rng.integers(1, 9))
        body = self.each(base) + (self.blotches(count, rows, columns, 3) - 0.5) * one(0, 160)
        frame = ((edge < 0) & (edge > -one(2, 14))) * having(0.4)
        body = body + (one(10, 230) - body) * frame
        # A frame may also cover the plate's edge.
        outside = edge < one(-1, 1) + having(0.2) * one(0, 5)
        return torch.where(outside, body, canvas).clamp_(0, 255)

    def repaint(self, canvas, facts, colours, swap):
        """Paints other characters over some of real, aligned one-row plates: `swap` (batch, slots) of bools."""
        count = len(canvas)
        numbers = numpy.where(swap, texts(KINDS[0], count, self.rng), facts["text"])
        box = numpy.repeat(self.boxes[:1], count, 0)
        place = self.places(box, numbers)
        chosen = torch.from_numpy(self.choose(numbers)).to(self.device)
        ink = self.strengthened(self.ink(chosen, self.tensor(place), swap)[0])
        # The cleared box, a little larger than the character.
        x, y, w, h = (self.tensor(box[..., k])[..., None] for k in range(4))
        soft = lambda line, a, length, by: ((torch.minimum(line - a, a + length - line) + by) / by).clamp(0, 1)
        clear = (soft(self.v, y, h, 0.04) * self.tensor(swap)[..., None]).transpose(1, 2) @ soft(self.u, x, w, 0.012)
        clear = clear[:, None].clamp(0, 1).to(self.number)
        ground, letter = (self.each(colours[:, k, ::-1]) for k in range(2))
        painted = ground + (letter - ground) * ink + (torch.rand_like(canvas[:, :1]) - 0.5) * 12
        canvas = canvas + (painted - canvas) * clear
        moved = numpy.stack([place[..., 0] + place[..., 2] / 2, place[..., 1] + place[..., 3] / 2], -1)
        facts["centres"] = numpy.where(swap[..., None], moved, facts["centres"])
        facts["text"] = numbers
        place = numpy.where(swap[..., None], place, box)
        canvas, facts["hidden"] = hide.some(self, canvas.clamp_(0, 255), facts, place)
        return canvas, facts
