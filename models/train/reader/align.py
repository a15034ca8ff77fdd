"""Lays each real training crop onto the plan of its plate: finds the four corners from the known text.

The crops come as boxes round more or less tilted plates. Knowing the corners, training can tilt and shift them as it
likes, knows where each character stands, and can cut single characters out. A drawing of the plate is slid over the
crop until the two agree best (ECC, Evangelidis and Psarakis 2008); the agreement tells how well that went.

    python align.py CROPS... --out aligned.json
"""

import argparse
import json
import multiprocessing
import pathlib

import cv2
import numpy

import glyphs
from kinds import KINDS, boxes

WIDTH, HEIGHT = 220, 70
ONE_ROW = boxes(KINDS[0])
# Agreement from which an alignment is believed.
GOOD = 0.55


def drawing(text):
    """The plate's characters as ink of 0..1 on the plan, without colours."""
    plan = numpy.zeros((HEIGHT, WIDTH), numpy.float32)
    scale = WIDTH / 440
    for symbol, (x, y, w, h) in zip(text, ONE_ROW):
        x, y, w, h = (round(v * scale) for v in (x, y, w, h))
        glyph = cv2.resize(glyphs.plain(symbol), (w, h), interpolation=cv2.INTER_AREA)
        plan[y : y + h, x : x + w] = numpy.maximum(plan[y : y + h, x : x + w], glyph / 255)
    cv2.circle(plan, (round(137 * scale), round(70 * scale)), 2, 1.0, -1)
    return plan


def is_light_ink(crop):
    """Blue plates have light letters, yellow ones dark; the crops are of no other kind."""
    b, g, r = (crop[:, :, c].astype(numpy.float32).mean() for c in range(3))
    return (r + g) / 2 <= b * 1.25


def ink(crop):
    """Brightness with the letters bright."""
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(numpy.float32)
    return grey if is_light_ink(crop) else -grey


def starts(width, height):
    """First guesses: the plan onto the crop, filling it, smaller, or sheared and turned within it."""
    for dx, shear, turn in ((0.0, 0, 0), (0.02, 0.12, 0), (0.02, -0.12, 0), (0.04, 0, 0.15), (0.04, 0, -0.15),
                            (0.04, 0.2, 0.25), (0.04, -0.2, -0.25), (0.06, 0, 0)):
        tall = 1 - abs(turn) - 2 * dx
        yield numpy.array(
            [
                [width * (1 - 2 * dx) / WIDTH, shear * height / HEIGHT, width * dx - shear * height / 2],
                [turn * height / WIDTH, height * tall / HEIGHT, height * ((1 - tall) / 2 - turn / 2)],
            ],
            numpy.float32,
        )


def align(crop, text):
    """The corners in the crop, and the agreement."""
    plan = cv2.GaussianBlur(drawing(text), (0, 0), 1.5)
    height, width = crop.shape[:2]
    picture = cv2.GaussianBlur(ink(crop), (0, 0), max(1.0, width / 150))
    best, quad = 0.0, None
    for start in starts(width, height):
        try:
            stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-3)
            _, affine = cv2.findTransformECC(plan, picture, start, cv2.MOTION_AFFINE, stop, None, 5)
            full = numpy.vstack([affine, [0, 0, 1]]).astype(numpy.float32)
            stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
            score, full = cv2.findTransformECC(plan, picture, full, cv2.MOTION_HOMOGRAPHY, stop, None, 3)
        except cv2.error:
            continue
        if score > best:
            corners = numpy.float32([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
            best, quad = score, cv2.perspectiveTransform(corners[None], full)[0]
        if best > 0.85:
            break
    return quad, best


def one(job):
    folder, line = job
    crop = cv2.imread(str(folder / line["image"]))
    quad, score = align(crop, line["text"])
    if quad is None:
        return None
    found = [[round(float(v), 2) for v in p] for p in quad]
    return {"folder": folder.name, "image": line["image"], "text": line["text"], "quad": found, "score": round(score, 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crops", nargs="*", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    jobs = [(f, json.loads(line)) for f in arguments.crops for line in (f / "truth.jsonl").read_text().splitlines()]
    with multiprocessing.Pool(arguments.workers) as pool:
        found = [f for f in pool.imap(one, jobs, 16) if f]
    arguments.out.write_text("".join(json.dumps(f, ensure_ascii=False) + "\n" for f in found))
    print(f"{sum(f['score'] >= GOOD for f in found)} of {len(jobs)} crops aligned")


if __name__ == "__main__":
    main()
