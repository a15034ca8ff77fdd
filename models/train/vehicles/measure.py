"""Compares vehicle detectors of kind ssd-coco on pictures that nobody has marked (see truth.py), and their speed.

    python measure.py --data FOLDER --truth truth.npz old.onnx new.onnx
    python measure.py --time old.onnx new.onnx

Of a file with 90 outputs the manifest's classes are looked at, of one with five all of them.
"""

import argparse
import pathlib
import time

import numpy
from PIL import Image

from detector import CLASSES
from truth import iou, material, session, suppressed

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
# A box's size: the root of its share of the picture.
SIZES = {"small": (0.0, 0.08), "middle": (0.08, 0.2), "large": (0.2, 9.0)}
SAME, OTHER = 0.4, 0.3  # boxes that overlap more are one vehicle; less than the latter with any teacher's: a false one
TWO_WHEELS = (0, 2)  # places of bicycle and motorcycle in CLASSES


class Detector:
    def __init__(self, path):
        self.net = session(path)
        _, self.height, self.width, _ = self.net.get_inputs()[0].shape

    def raw(self, picture):
        """`picture`: RGB. Boxes x1 y1 x2 y2 in pixels, and the five scores of each."""
        small = Image.fromarray(picture).resize((self.width, self.height), Image.BILINEAR)
        boxes, scores = self.net.run(["boxes", "scores"], {"image": numpy.asarray(small)[None]})
        boxes, scores = boxes[0], scores[0]
        if scores.shape[1] == 90:
            scores = scores[:, list(CLASSES.values())]
        height, width = picture.shape[:2]
        return boxes[:, [1, 0, 3, 2]].clip(0, 1) * [width, height, width, height], scores

    def find(self, picture, least):
        """Vehicles of four wheels and more, and of two, suppressed among themselves as the agent does."""
        boxes, scores = self.raw(picture)
        best, two = scores.max(1), numpy.isin(scores.argmax(1), TWO_WHEELS)
        rows = numpy.column_stack([boxes, best])
        return suppressed(rows[(best >= least) & ~two]), suppressed(rows[(best >= least) & two])


class Count:
    """What one detector finds, by set and size of the box."""

    def __init__(self):
        self.found = {}  # (set, size) -> best score of a box that fits, per vehicle; 0: none
        self.false = {}  # set -> scores of false boxes
        self.pictures = {}
        self.overlap = []

    def add(self, set_, boxes, sure, faint, area):
        self.pictures[set_] = self.pictures.get(set_, 0) + 1
        fits = iou(sure, boxes) if len(sure) and len(boxes) else numpy.zeros((len(sure), 0))
        for vehicle, row in zip(sure, fits):
            share = numpy.sqrt(numpy.prod(vehicle[2:4] - vehicle[:2]) / area)
            size = next(s for s, (low, high) in SIZES.items() if low <= share < high)
            good = row >= SAME
            self.found.setdefault((set_, size), []).append(boxes[good, 4].max() if good.any() else 0.0)
            if good.any():
                self.overlap.append(row.max())
        known = numpy.concatenate([sure, faint])
        if len(boxes):
            near = iou(boxes, known).max(1) if len(known) else numpy.zeros(len(boxes))
            self.false.setdefault(set_, []).extend(boxes[near < OTHER, 4])

    def scores(self, sets=None, size=None):
        return numpy.array([v for (s, z), values in self.found.items() for v in values
                            if (sets is None or s in sets) and (size is None or z == size)])

    def wrong(self, sets=None):
        return numpy.array([v for s, values in self.false.items() if sets is None or s in sets for v in values])

    def threshold_for(self, false):
        """The threshold that lets that many false boxes pass."""
        scores = numpy.sort(self.wrong())[::-1]
        return float(scores[false - 1]) if 0 < false <= len(scores) else 0.0


def compare(detectors, pictures, truth, least=0.1):
    counts = {name: (Count(), Count()) for name in detectors}
    for set_, name, picture in pictures:
        key, area = f"{set_}/{name}", picture.shape[0] * picture.shape[1]
        rgb = numpy.ascontiguousarray(picture[:, :, ::-1])
        for model, detector in detectors.items():
            four, two = detector.find(rgb, least)
            counts[model][0].add(set_, four, truth[f"{key}/sure"], truth[f"{key}/faint"], area)
            counts[model][1].add(set_, two, truth[f"{key}/two"], truth[f"{key}/faint"], area)
    return counts


def share(scores, threshold):
    return f"{100 * (scores >= threshold).mean():.1f}" if len(scores) else "-"


def report(counts):
    """Tables in Markdown."""
    first = next(iter(counts.values()))[0]
    vehicles = {s: len(first.scores(size=s)) for s in SIZES}
    print(f"{sum(first.pictures.values())} pictures, vehicles {vehicles}\n")
    print("| model | threshold | found, % | " + " | ".join(f"{s}, %" for s in SIZES) + " | false boxes | two wheels, % |")
    print("| --- | --- | --- | " + "--- | " * (len(SIZES) + 2))
    base = int((first.wrong() >= 0.3).sum())
    for model, (four, two) in counts.items():
        for threshold in (*THRESHOLDS, four.threshold_for(base)):
            print(f"| {model} | {threshold:.3f} | {share(four.scores(), threshold)} | "
                  + " | ".join(share(four.scores(size=s), threshold) for s in SIZES)
                  + f" | {(four.wrong() >= threshold).sum()} | {share(two.scores(), threshold)} |")
    print("\nFound, %, at 0.3, and false boxes, by set:\n")
    print("| set | pictures | vehicles | " + " | ".join(counts) + " |")
    print("| --- | --- | --- | " + "--- | " * len(counts))
    for set_, number in first.pictures.items():
        print(f"| {set_} | {number} | {len(first.scores([set_]))} | " + " | ".join(
            f"{share(c.scores([set_]), 0.3)} ({(c.wrong([set_]) >= 0.3).sum()})" for c, _ in counts.values()) + " |")
    print("\nOverlap with the teachers' box, mean: "
          + ", ".join(f"{m} {numpy.mean(c.overlap):.3f}" for m, (c, _) in counts.items()))


def clock(detectors, runs=150):
    """In turns, so that a busy moment hits all of them."""
    pictures = {m: numpy.random.default_rng(1).integers(0, 256, (1, d.height, d.width, 3), numpy.uint8)
                for m, d in detectors.items()}
    times = {m: [] for m in detectors}
    for _ in range(runs + 10):
        for model, detector in detectors.items():
            start = time.perf_counter()
            detector.net.run(None, {"image": pictures[model]})
            times[model].append((time.perf_counter() - start) * 1000)
    times = {m: numpy.array(t[10:]) for m, t in times.items()}
    base = next(iter(times.values()))
    for model, own in times.items():
        print(f"{model}: median {numpy.median(own):.2f} ms, fastest {own.min():.2f} ms, "
              f"median ratio to the first {numpy.median(own / base):.3f}, of the fastest {own.min() / base.min():.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=pathlib.Path, nargs="+")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--truth", type=pathlib.Path)
    parser.add_argument("--time", action="store_true")
    arguments = parser.parse_args()
    detectors = {p.stem: Detector(p) for p in arguments.models}
    if arguments.truth:
        report(compare(detectors, material(arguments.data), numpy.load(arguments.truth)))
    if arguments.time:
        clock(detectors)


if __name__ == "__main__":
    main()
