"""How near an 8-bit detector is to the 32-bit one, on pictures that its scales were not taken from.

    python check.py --source ../../cache/ssdlite_mobilenet_v2_coco.onnx --samples ../../../agent/samples vehicles.onnx ...

Prints, over all scores that either gives 0.15 or more: the mean difference of their logits and its spread; and of the
boxes with such a score the mean overlap, and how many score 0.3 and 0.5.
"""

import argparse
import pathlib

import numpy
import onnx

from detector import load
from make import split
from quantise import run, session
from writing import write

LEAST, PICTURES = 0.15, 70


def answers(model, pictures):
    net = session(model)
    return [[v[0] for v in run(net, p, ["boxes", "scores"]).values()] for p in pictures]


def logits(scores):
    scores = numpy.clip(scores, 1e-6, 1 - 1e-6)
    return numpy.log(scores / (1 - scores))


def overlaps(a, b):
    """Of each box with the other model's box of the same anchor."""
    both = numpy.prod(numpy.clip(numpy.minimum(a[:, 2:], b[:, 2:]) - numpy.maximum(a[:, :2], b[:, :2]), 0, None), 1)
    area = lambda boxes: numpy.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return both / (area(a) + area(b) - both)


def compare(wanted, got):
    differences, overlap = [], []
    for (boxes, scores), (our_boxes, our_scores) in zip(wanted, got):
        seen = numpy.maximum(scores, our_scores) >= LEAST
        differences.append((logits(our_scores) - logits(scores))[seen])
        overlap.append(overlaps(boxes[seen.any(1)], our_boxes[seen.any(1)]))
    differences, overlap = numpy.concatenate(differences), numpy.concatenate(overlap)
    over = lambda answers, least: sum(int((s.max(1) >= least).sum()) for _, s in answers)
    return (f"logits {differences.mean():+.3f} +- {differences.std():.3f}, overlap {overlap.mean():.3f}, boxes over 0.3: "
            f"{over(got, 0.3)} of {over(wanted, 0.3)}, over 0.5: {over(got, 0.5)} of {over(wanted, 0.5)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=pathlib.Path, nargs="+")
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    detector = load(arguments.source)
    for path in arguments.models:
        model = onnx.load(str(path))
        height, width = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:3])
        _, others = split(arguments.samples, height, width)
        wanted = answers(write(detector, height, width), others[:PICTURES])
        print(f"{path.name}: {compare(wanted, answers(model, others[:PICTURES]))}")


if __name__ == "__main__":
    main()
