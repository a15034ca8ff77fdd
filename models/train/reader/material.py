"""Everything that needs fonts or pictures, packed into one file before training: glyphs, real plates, what is no plate.

    python material.py --crops CROPS... --aligned aligned.jsonl --pictures PICTURES... --out material.npz

Training itself then runs anywhere, without fonts. Real crops are split here: some of every province that has a few
are kept out and only measured on, and no glyph is cut from those.
"""

import argparse
import collections
import json
import pathlib
import random

import cv2
import numpy

import align
import glyphs
import negatives
from alphabet import DIGITS, LETTERS, SLOTS, SYMBOLS, encode

# The plan of a canvas: the plate with a margin of its surroundings, as parts of the plate's width and height.
CANVAS = (96, 272)
MARGIN_X, MARGIN_Y = 0.1, 0.2
# Agreement from which a crop's characters stand where the plan says.
PLACED = 0.7
# Characters are cut out of crops that fit better still, of each character the sharpest.
CUT = 0.82
CELLS = 40
# Of every province this part of the crops is kept out, and none of one that has fewer than four.
KEPT_OUT = 0.08


def flatten(crop, quad):
    """The canvas of a crop whose plate stands in `quad`."""
    height, width = CANVAS
    x0, x1 = width * MARGIN_X / (1 + 2 * MARGIN_X), width * (1 + MARGIN_X) / (1 + 2 * MARGIN_X)
    y0, y1 = height * MARGIN_Y / (1 + 2 * MARGIN_Y), height * (1 + MARGIN_Y) / (1 + 2 * MARGIN_Y)
    plan = numpy.float32([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    matrix = cv2.getPerspectiveTransform(numpy.float32(quad), plan)
    return cv2.warpPerspective(crop, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def two_colours(canvas, light_ink):
    """Ground and ink of a plate: the mean colours of the two sides of Otsu's threshold."""
    height, width = CANVAS
    inner = canvas[height // 4 : -height // 4, width // 8 : -width // 8].reshape(-1, 3)
    grey = cv2.cvtColor(inner[None], cv2.COLOR_BGR2GRAY)[0]
    threshold, _ = cv2.threshold(grey[None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light, dark = inner[grey > threshold], inner[grey <= threshold]
    if len(light) == 0 or len(dark) == 0:
        return inner.mean(0), inner.mean(0)
    return (dark.mean(0), light.mean(0)) if light_ink else (light.mean(0), dark.mean(0))


def cut(crop, quad, light):
    """Single characters of an aligned crop as ink: (box number, picture, contrast)."""
    flat = numpy.float32([[0, 0], [880, 0], [880, 280], [0, 280]])
    matrix = cv2.getPerspectiveTransform(numpy.float32(quad), flat)
    grey = cv2.warpPerspective(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), matrix, (880, 280), flags=cv2.INTER_CUBIC)
    grey = grey.astype(numpy.float32) if light else 255.0 - grey
    for k, (x, y, w, h) in enumerate(align.ONE_ROW):
        # A little more than the box: the plan and the plate differ by a millimetre or two.
        x, y, w, h = (round(2 * v) for v in (x - 2, y - 3, w + 4, h + 6))
        cell = cv2.resize(grey[y : y + h, x : x + w], (glyphs.BROAD, glyphs.TALL), interpolation=cv2.INTER_AREA)
        low, high = numpy.percentile(cell, (15, 96))
        if high - low < 30:
            continue
        ink = numpy.clip((cell - low - 0.12 * (high - low)) / (0.8 * (high - low)), 0, 1)
        # A filled box is a shadow or a poor alignment, not a character.
        if ink.mean() > 0.62:
            continue
        yield k, (ink * 255).astype(numpy.uint8), float(high - low) / cell.std()


def split(lines):
    """Numbers of the lines kept out for measuring."""
    by_province = collections.defaultdict(list)
    for i, line in enumerate(lines):
        by_province[line["text"][0]].append(i)
    rng = random.Random(10)
    out = set()
    for numbers in by_province.values():
        if len(numbers) >= 4:
            out.update(rng.sample(numbers, max(1, round(KEPT_OUT * len(numbers)))))
    return out


def atlas(cells):
    """All pictures of all characters in one array; for each character where its made and its real ones lie."""
    pictures, table = [], []
    for symbol in SYMBOLS:
        made = glyphs.made(symbol)
        # An old police plate's O is the plates' zero.
        real = cells.get("0" if symbol == "O" else symbol, [])
        real = [picture for _, picture in sorted(real, key=lambda c: -c[0])[:CELLS]]
        table.append((len(pictures), len(made), len(pictures) + len(made), len(real)))
        pictures.extend(made + real)
    return numpy.stack(pictures), numpy.array(table, numpy.int64)


def world(before):
    """Pictures for plates of other countries and for writing: the pictures, where each letter's and digit's lie, and
    where strange characters, words, the bar and the dot do. `before` pictures come first."""
    found, ranges = [], []
    words = [glyphs.boxed(glyphs.typeset(s, *face)) for s in sorted(set(negatives.WORDS)) for face in glyphs.HANZI[1:4]]
    latin = [glyphs.worldly(symbol) for symbol in DIGITS + LETTERS]
    bar, dot = glyphs.shapes()
    for group in [*latin, glyphs.strange() or [dot], words, [bar], [dot]]:
        ranges.append((before + len(found), len(group)))
        found.extend(group)
    ranges = numpy.array(ranges, numpy.int64)
    return numpy.stack(found), ranges[: len(latin)], ranges[len(latin) :]


def packed(pictures, quality=90):
    """Pictures as one array of JPEG bytes, and where each begins."""
    if not pictures:
        return numpy.zeros(0, numpy.uint8), numpy.zeros(1, numpy.int64)
    codes = [cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel() for p in pictures]
    return numpy.concatenate(codes), numpy.cumsum([0] + [len(c) for c in codes])


def unpacked(codes, starts):
    pictures = [cv2.imdecode(codes[a:b], cv2.IMREAD_COLOR) for a, b in zip(starts, starts[1:])]
    return numpy.stack(pictures) if pictures else numpy.zeros((0, *CANVAS, 3), numpy.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", nargs="*", type=pathlib.Path, default=[], help="none: only made-up plates")
    parser.add_argument("--aligned", type=pathlib.Path, required=True)
    parser.add_argument("--pictures", nargs="*", type=pathlib.Path, default=[], help="pictures without plates")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    folders = {folder.name: folder for folder in arguments.crops}
    found = {(l["folder"], l["image"]): l for l in map(json.loads, arguments.aligned.read_text().splitlines())}
    lines = []
    for name, folder in folders.items():
        for line in map(json.loads, (folder / "truth.jsonl").read_text().splitlines()):
            if all(symbol in SYMBOLS for symbol in line["text"]):
                lines.append({"folder": name, **line})
    kept_out = split(lines)
    canvases, facts, colours, cells = [], [], [], collections.defaultdict(list)
    for i, line in enumerate(lines):
        crop = cv2.imread(str(folders[line["folder"]] / line["image"]))
        height, width = crop.shape[:2]
        place = found.get((line["folder"], line["image"]), {"score": 0.0})
        placed = place["score"] >= PLACED
        quad = place["quad"] if placed else [[0, 0], [width, 0], [width, height], [0, height]]
        canvas = flatten(crop, quad)
        light = align.is_light_ink(crop)
        canvases.append(canvas)
        colours.append(two_colours(canvas, light))
        # Real crops are blue or yellow; the yellow ones have dark letters.
        facts.append(encode(line["text"]) + [int(placed), int(i in kept_out), 0 if light else 1])
        if place["score"] >= CUT and i not in kept_out:
            for k, picture, sharpness in cut(crop, quad, light):
                cells[line["text"][k]].append((sharpness * place["score"] * min(1.0, width / 200), picture))
    pictures, table = atlas(cells)
    more, latin, groups = world(len(pictures))
    pictures = numpy.concatenate([pictures, more])
    real, real_starts = packed(canvases, 85)
    none, none_starts = packed(negatives.pool(arguments.pictures, CANVAS, 2800), 72)
    numpy.savez_compressed(
        arguments.out,
        pictures=pictures,
        table=table,
        latin=latin,
        groups=groups,
        real=real,
        real_starts=real_starts,
        facts=numpy.array(facts, numpy.int64).reshape(-1, SLOTS + 3),
        colours=numpy.array(colours, numpy.float32).reshape(-1, 2, 3),
        none=none,
        none_starts=none_starts,
    )
    print(f"{len(pictures)} glyphs, {len(lines)} real plates, {len(kept_out)} of them kept out,"
          f" {len(none_starts) - 1} others")
    print("real pictures:", " ".join(f"{s}{table[i][3]}" for i, s in enumerate(SYMBOLS)))


if __name__ == "__main__":
    main()
