"""Hides single characters of plates: stickers, mud, glare, hooks, smears, and pictures cut too narrow.

What cannot be seen must not be guessed. Of a hidden province the reader is told that it may be any, each as likely;
of a hidden letter or digit the same. So its confidence there is next to nothing, and whoever shows the text can say so.
"""

import numpy
import torch
from torch.nn import functional

from alphabet import INDEX

# Of what a hidden character may be one: nothing is hidden, a province, a letter or digit.
SEEN, PROVINCE, SERIAL = 0, 1, 2
LAST_SERIAL, FIRST_PROVINCE, LAST_PROVINCE = INDEX["O"] - 1, INDEX["京"], INDEX["琼"]
# Of the plates, this part has a hidden character; of those, this part the first.
SHARE, FIRST = 0.055, 0.75
# What covers is larger than the character's box by this.
GROW = (1.05, 1.45)


def kinds_of(text):
    """What each character is, if it is hidden."""
    province = (text >= FIRST_PROVINCE) & (text <= LAST_PROVINCE)
    return numpy.where(province, PROVINCE, numpy.where((text > 0) & (text <= LAST_SERIAL), SERIAL, SEEN))


def some(composer, canvas, facts, place):
    """Hides a character of some of the plates; the canvases, and what is hidden (plates, slots)."""
    rng, count = composer.rng, len(canvas)
    hidden = numpy.zeros(facts["text"].shape, numpy.int64)
    kinds = kinds_of(facts["text"])
    length = (facts["text"] > 0).sum(1)
    slot = numpy.where(rng.random(count) < FIRST, 0, rng.integers(0, numpy.maximum(length, 1)))
    every = numpy.arange(count)
    able = (kinds[every, slot] > 0) & (facts["placed"][every, slot] > 0)
    chosen = (able & (rng.random(count) < SHARE)).nonzero()[0]
    if len(chosen):
        slot = slot[chosen]
        hidden[chosen, slot] = kinds[chosen, slot]
        facts["placed"][chosen, slot] = 0
        at = torch.from_numpy(chosen).to(canvas.device)
        canvas = canvas.index_copy(0, at, cover(composer, canvas[at], place[chosen, slot]))
    return canvas, hidden


def cover(composer, canvas, box):
    """Something over the boxes (x, y, w, h) of the canvases."""
    rng, count = composer.rng, len(canvas)
    each = composer.each
    u, v = composer.u.to(composer.number), composer.v.to(composer.number)[:, None]
    grow = rng.uniform(*GROW, (2, count))
    x, y = box[:, 0] + box[:, 2] / 2, box[:, 1] + box[:, 3] / 2
    # Of what covers, the edge is hard or soft, and round or square.
    dx = (u - each(x)).abs() / each(box[:, 2] * grow[0] / 2)
    dy = (v - each(y)).abs() / each(box[:, 3] * grow[1] / 2)
    square = torch.maximum(dx, dy)
    far = torch.where(each(rng.random(count) < 0.5).bool(), square, (torch.hypot(dx, dy) * 0.75))
    mask = ((1 - far) * each(rng.choice([6, 12, 60], count)) + 1).clamp_(0, 1)
    ground = functional.avg_pool2d(canvas, 9, 1, 4)[:, :, 40:56, 120:150].mean((2, 3), keepdim=True)
    mud = each(rng.normal((118, 108, 95), 15, (count, 3)) + rng.normal(0, 40, (count, 1)))
    white = each(rng.uniform(225, 255, (count, 1)) + rng.normal(0, 4, (count, 3)))
    thing = each(rng.uniform(5, 235, (count, 1)) + rng.normal(0, 30, (count, 3)))
    smear = functional.avg_pool2d(functional.pad(canvas, (16, 16, 16, 16), mode="replicate"), 33, 1)
    rough = (composer.blotches(count, 8, 20, 1) - 0.5) * each(rng.uniform(0, 70, count))
    way = rng.integers(0, 5, count)
    paints = [ground + rough * 0.4, mud + rough, white, thing + rough, smear]
    found = canvas
    for k, paint in enumerate(paints):
        found = torch.where(each(way == k).bool(), canvas + (paint - canvas) * mask, found)
    return found.clamp(0, 255)


def cut(rng, facts, place, share=0.03):
    """Pictures that begin behind a plate's first character or end before its last: (plates,) start and length, and the
    plates concerned. Only one-row plates; `facts["hidden"]` and `facts["placed"]` are changed."""
    count, length = len(place), (facts["text"] > 0).sum(1)
    start, size = numpy.zeros(count), numpy.ones(count)
    kinds = kinds_of(facts["text"])
    able = (facts["rows"] == 0) & facts["usual"] & (facts["hidden"].max(1) == 0) & (length >= 7)
    for i in (able & (rng.random(count) < share)).nonzero()[0]:
        slot = 0 if rng.random() < 0.75 else length[i] - 1
        if not kinds[i, slot] or not facts["placed"][i, slot]:
            continue
        x, _, w, _ = place[i, slot]
        if slot == 0:
            start[i] = x + w * rng.uniform(0.8, 1.12)
            size[i] = 1 - start[i]
        else:
            size[i] = x + w * rng.uniform(-0.12, 0.2)
        facts["hidden"][i, slot], facts["placed"][i, slot] = kinds[i, slot], 0
    return start, size
