"""Measures plate detectors beside each other on pictures with truth.

    python measure.py --models old=clp_det.onnx new=plate-detector.onnx [--data DATA] [--material scenes.npz] [--time]

DATA holds folders with `truth.jsonl`. Where the truth names corners: plates found (quads that overlap by at least
half), the mean error of the corners in parts of the plate's width, and finds that lie on no true plate. Where it does
not: in how many pictures there are at least as many finds as plates, and how many finds there are. `--material` adds
made-up pictures, seeded so that no training saw them. A line per set, way of looking and model; the ways are single
scales, named by the longer side, and `still`, the agent's way with single pictures.
"""

import argparse
import json
import pathlib
import sys
import time

import cv2
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reader"))
from detector import Detector, ordered, sides, suppress  # noqa: E402

SIDES = (480, 640, 960, 1280)
LEAST = 0.5
# Overlap from which a find is the plate, and from which it is at least no invention.
SAME, NEAR = 0.5, 0.15
# Seeds far from those of training, which are thousands.
SEED, MADE = 990_001, 160
SHAPES = ((544, 960), (384, 640), (256, 352))


def overlap(a, b):
    """Intersection over union of two convex quads."""
    a, b = (numpy.float32(ordered(q)) for q in (a, b))
    both, _ = cv2.intersectConvexConvex(a, b)
    union = cv2.contourArea(a) + cv2.contourArea(b) - both
    return both / union if union > 0 else 0.0


def looks(detector, picture, way):
    """Finds of one way of looking, best first, scores of at least LEAST."""
    if way == "still":
        return [f for f in detector.still(picture) if f["score"] >= LEAST]
    height, width = picture.shape[:2]
    scale = min(int(way) / max(height, width), 2.0)
    return [f for f in suppress(detector.find(picture, [0, 0, width, height], scale)) if f["score"] >= LEAST]


class Tally:
    def __init__(self):
        self.plates = self.found = self.inventions = self.enough = self.pictures = self.finds = 0
        self.errors, self.by_rows = [], {1: [0, 0], 2: [0, 0]}

    def add(self, finds, plates):
        """`plates`: dictionaries with `quad` (None: unknown), `rows`, and `open` if it counts neither way."""
        self.pictures += 1
        self.finds += len(finds)
        counted = [p for p in plates if not p.get("open")]
        self.plates += len(counted)
        self.enough += len(finds) >= len(counted)
        if any(p["quad"] is None for p in plates):
            return
        free = list(finds)
        for plate in counted:
            best = max(free, key=lambda f: overlap(f["quad"], plate["quad"]), default=None)
            hit = best is not None and overlap(best["quad"], plate["quad"]) >= SAME
            rows = self.by_rows[plate.get("rows", 1)]
            rows[1] += 1
            if hit:
                rows[0] += 1
                self.found += 1
                true = ordered(plate["quad"])
                free = [f for f in free if f is not best]
                away = numpy.linalg.norm(ordered(best["quad"]) - true, axis=1)
                self.errors.append(float(away.mean() / sides(true)[0]))
        self.inventions += sum(all(overlap(f["quad"], p["quad"]) < NEAR for p in plates) for f in free)

    def line(self, known):
        if not known:
            return {"pictures": self.pictures, "plates": self.plates, "enough": self.enough, "finds": self.finds}
        rows = {f"rows{k}": f"{a}/{b}" for k, (a, b) in self.by_rows.items() if b} if self.by_rows[2][1] else {}
        error = round(100 * float(numpy.mean(self.errors)), 2) if self.errors else None
        return {"plates": self.plates, "found": self.found, **rows, "corners_%": error, "inventions": self.inventions}


def truths(folder):
    """Pictures and plates of a folder; plates without corners have None."""
    for line in map(json.loads, (folder / "truth.jsonl").read_text().splitlines()):
        if "image" not in line:
            continue
        plates = line.get("plates") or [line]
        yield folder / line["image"], [{"quad": p.get("quad"), "rows": p.get("rows", 1)} for p in plates]


def rows_of(quad):
    """By the shape alone."""
    width, height = sides(ordered(quad))
    return 2 if width < 2.3 * height else 1


def made_up(material):
    """Made-up pictures with exact corners."""
    import torch

    from scenes import OPEN, PLATE, Material, Scenes

    scenes = Scenes(Material(material, torch.device("cpu")), torch.device("cpu"), SEED)
    with torch.no_grad():
        for _ in range(MADE // 16):
            chunk = scenes.chunk(16)
            # A frame whose far plates have no truth cannot tell inventions.
            for picture, quads, state, more in zip(*(chunk[k].numpy() for k in ("picture", "quads", "state", "more"))):
                if not more:
                    known = [(q, s) for q, s in zip(quads, state) if s in (PLATE, OPEN)]
                    plates = [{"quad": q, "rows": rows_of(q), "open": s == OPEN} for q, s in known]
                    yield numpy.ascontiguousarray(picture.transpose(1, 2, 0)), plates


def sets(arguments):
    if arguments.data:
        for folder in sorted(p.parent for p in arguments.data.glob("*/truth.jsonl")):
            found = list(truths(folder))
            # Cropped plates and footage are not pictures to find plates in.
            if found and folder.name not in arguments.without:
                yield folder.name, [(cv2.imread(str(path)), plates) for path, plates in found[: arguments.most]]
    if arguments.material:
        yield "made up", list(made_up(arguments.material))


def timed(models):
    """Milliseconds of processor time per input, the least of many, models in turn."""
    for height, width in SHAPES:
        noise = numpy.random.default_rng(0).random((1, 3, height, width), numpy.float32)
        data = (noise * 255 - 110).astype(numpy.float32)
        least = {name: numpy.inf for name in models}
        for turn in range(25):
            for name, detector in models.items():
                begun = time.thread_time()
                detector.session.run(None, {"image": data})
                if turn > 2:
                    least[name] = min(least[name], (time.thread_time() - begun) * 1e3)
        print(json.dumps({"input": f"{width}x{height}", **{k: round(v, 2) for k, v in least.items()}}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--material", type=pathlib.Path)
    parser.add_argument("--without", nargs="*", default=["plates", "footage"])
    parser.add_argument("--ways", nargs="*", default=[*map(str, SIDES), "still"])
    parser.add_argument("--most", type=int, help="pictures per set")
    parser.add_argument("--time", action="store_true")
    arguments = parser.parse_args()
    models = {name: Detector(path) for name, path in (m.split("=", 1) for m in arguments.models)}
    if arguments.time:
        timed(models)
    for name, pictures in sets(arguments):
        known = all(p["quad"] is not None for _, plates in pictures for p in plates)
        for way in arguments.ways:
            for model, detector in models.items():
                tally = Tally()
                for picture, plates in pictures:
                    tally.add(looks(detector, picture, way), plates)
                print(json.dumps({"set": name, "way": way, "model": model, **tally.line(known)}), flush=True)


if __name__ == "__main__":
    main()
