"""Collects pictures without plates: those that two Python packages carry, and the project's own rendered roads.

    python pictures.py --samples ../../../agent/samples --out FOLDER

The packages' pictures are in the public domain, CC0 or, `china.jpg` and `flower.jpg`, CC-BY 2.0. The rendered roads'
plates are painted over.
"""

import argparse
import importlib.util
import json
import pathlib

import cv2
import numpy

PACKED = {
    "skimage": ("data", ("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
                         "gravel.png", "rocket.jpg")),
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
}
# Of the samples' frames, which are much alike.
EVERY = 9


def packed():
    for package, (folder, names) in PACKED.items():
        found = importlib.util.find_spec(package)
        root = pathlib.Path(found.origin).parent / folder
        yield from (root / name for name in names)


def unplated(folder):
    """Frames of a sample with its plates blurred away."""
    for line in (folder / "plates.jsonl").read_text().splitlines()[::EVERY]:
        frame = json.loads(line)
        picture = cv2.imread(str(folder / frame["image"]))
        mask = numpy.zeros(picture.shape[:2], numpy.uint8)
        for plate in frame["plates"]:
            cv2.fillConvexPoly(mask, numpy.int32(plate["quad"]), 255)
        mask = cv2.dilate(mask, numpy.ones((9, 9), numpy.uint8))
        yield frame["image"], numpy.where(mask[..., None] > 0, cv2.blur(picture, (91, 61)), picture)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in packed():
        (arguments.out / path.name).write_bytes(path.read_bytes())
    for folder in sorted(p.parent for p in arguments.samples.glob("*/plates.jsonl")):
        for name, picture in unplated(folder):
            cv2.imwrite(str(arguments.out / f"{folder.name}-{name}"), picture)


if __name__ == "__main__":
    main()
