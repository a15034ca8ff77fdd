"""The pictures that the 8-bit scales are taken from: the project's own rendered frames, and those that two Python
packages carry (public domain, CC0, or, `china.jpg` and `flower.jpg`, CC-BY 2.0). No picture of a test set is among them.
"""

import importlib.util
import pathlib

import numpy
from PIL import Image

PACKED = {
    "skimage": ("data", ("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png",
                         "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg")),
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
}
EVERY = 6  # frames that follow each other are much alike
VIEWS = 3  # of each picture: the whole, and parts of it in other light


def sources(samples):
    """Paths, and whether it is a frame of the project's own, which is taken whole too."""
    paths = []
    for folder in sorted(p.parent for p in samples.glob("*/truth.jsonl")):
        paths += [(path, True) for path in sorted(folder.glob("*.jpg"))[::EVERY]]
    for package, (folder, names) in PACKED.items():
        root = pathlib.Path(importlib.util.find_spec(package).origin).parent / folder
        # Six times, so that the few real pictures weigh as much as the rendered ones.
        paths += [(root / name, False) for name in names] * 6
    return paths


def view(picture, rng, whole):
    """A part of the picture, at least two fifths of each side, perhaps mirrored, in another light."""
    if not whole:
        height, width = picture.shape[:2]
        h, w = (int(side * rng.uniform(0.4, 1.0)) for side in (height, width))
        top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        picture = picture[top:top + h, left:left + w]
        light, contrast = rng.uniform(-35, 35), rng.uniform(0.6, 1.3)
        picture = numpy.clip((picture.astype(numpy.float32) - 128) * contrast + 128 + light, 0, 255).astype(numpy.uint8)
    return picture[:, ::-1] if rng.random() < 0.5 else picture


def pictures(samples, height, width, seed=3):
    """Bytes, N x height x width x RGB, the whole pictures squashed into that size."""
    rng = numpy.random.default_rng(seed)
    made = []
    for path, own in sources(pathlib.Path(samples)):
        picture = numpy.asarray(Image.open(path).convert("RGB"))
        for number in range(VIEWS):
            part = view(picture, rng, own and number == 0)
            made.append(numpy.asarray(Image.fromarray(numpy.ascontiguousarray(part)).resize((width, height), Image.BILINEAR)))
    return numpy.stack(made)
