"""Look at finished footage with the default models: python check.py --footage FOLDER --models FOLDER

For each plate: in how many frames it was in view, found, and read exactly; what else was read where no plate is; and,
if the vehicle model is there, how often each plate's vehicle was found. For tuning the scene, not for measuring Kakou.
"""
import argparse
import json
import math
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

NEAR = 80  # pixels of plate width from which reading is expected


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def priors(width, height):
    out = []
    for stride, sizes in ((8, (24, 48)), (16, (96, 192)), (32, (384, 768))):
        for j in range(math.ceil(height / stride)):
            for i in range(math.ceil(width / stride)):
                out += [((i + 0.5) * stride / width, (j + 0.5) * stride / height, s / width, s / height) for s in sizes]
    return np.array(out, "float32")


def clockwise(points):
    """Left top, right top, right bottom, left bottom, by geometry."""
    middle = points.mean(0)
    ring = points[np.argsort(np.arctan2(points[:, 1] - middle[1], points[:, 0] - middle[0]))]
    return np.roll(ring, -np.argmin(ring.sum(1)), axis=0)


class Plates:
    def __init__(self, folder):
        self.find, self.read = session(folder / "clp_det.onnx"), session(folder / "clp_v2_c_rec.onnx")
        self.letters = [x for x in (folder / "clp_dict.txt").read_text(encoding="utf-8").splitlines() if x]
        self.boxes = {}

    def quads(self, frame, width=960):
        scale = width / frame.shape[1]
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        h, w = small.shape[:2]
        blob = (small.astype("float32") - (104, 117, 123)).astype("float32").transpose(2, 0, 1)[None]
        loc, conf, marks = self.find.run(None, {self.find.get_inputs()[0].name: blob})
        prior = self.boxes.setdefault((w, h), priors(w, h))
        keep = conf[0, :, 1] >= 0.5
        p, score = prior[keep], conf[0, keep, 1]
        points = p[:, None, :2] + marks[0, keep].reshape(-1, 4, 2) * 0.1 * p[:, None, 2:]
        points *= np.array([w, h]) / scale
        found = []
        for i in np.argsort(-score):
            if all(np.linalg.norm(points[i].mean(0) - q.mean(0)) > 25 for q, _ in found):
                found.append((points[i], float(score[i])))
        return found

    def text(self, frame, quad):
        a = clockwise(quad).astype("float32")
        wide = (np.linalg.norm(a[1] - a[0]) + np.linalg.norm(a[2] - a[3])) / 2
        high = (np.linalg.norm(a[3] - a[0]) + np.linalg.norm(a[2] - a[1])) / 2
        w = int(min(320, max(32, round(32 * wide / max(high, 1)))))
        flat = cv2.warpPerspective(frame, cv2.getPerspectiveTransform(a, np.float32([[0, 0], [w, 0], [w, 32], [0, 32]])), (w, 32), flags=cv2.INTER_CUBIC)
        line = np.zeros((1, 3, 32, 320), "float32")
        line[0, :, :, :w] = ((flat.astype("float32") / 255 - 0.5) / 0.5).transpose(2, 0, 1)
        best = self.read.run(None, {self.read.get_inputs()[0].name: line})[0][0]
        order = best.argmax(1)
        chosen = [(c, best[t, c]) for t, c in enumerate(order) if c and (t == 0 or order[t - 1] != c)]
        return "".join(self.letters[c - 1] for c, _ in chosen), float(np.mean([s for _, s in chosen])) if chosen else 0.0


class Vehicles:
    def __init__(self, path):
        self.model = session(path)

    def find(self, frame):
        """Car, truck and bus boxes at 0.5, in pixels; decodes nothing but picks the outputs by their shape."""
        out = self.model.run(None, {self.model.get_inputs()[0].name: cv2.cvtColor(cv2.resize(frame, (300, 300)), cv2.COLOR_BGR2RGB)[None]})
        boxes = next(o for o in out if o.shape[-1] == 4).reshape(-1, 4)
        scores = next(o for o in out if o.shape[-1] >= 90).reshape(len(boxes), -1)[:, :90]
        best = scores[:, [2, 5, 7]].max(1)
        h, w = frame.shape[:2]
        return [(b[[1, 0, 3, 2]] * (w, h, w, h), s) for b, s in zip(boxes, best) if s >= 0.5]


def overlap(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(0, w) * max(0, h)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="render.py's folder, for the vehicles' boxes")
    parser.add_argument("--width", type=int, default=960, help="width at which plates are looked for")
    options = parser.parse_args()
    reader = Plates(options.models)
    weights = options.models / "ssdlite_mobilenet_v2_coco.onnx"
    vehicles = Vehicles(weights) if options.work and weights.exists() else None

    counts, wrong, best, strays = defaultdict(Counter), defaultdict(Counter), {}, Counter()
    met, passed = Counter(), Counter()
    for line in (options.footage / "plates.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        frame = cv2.imread(str(options.footage / record["image"]))
        reads = [(q, s, *reader.text(frame, q)) for q, s in reader.quads(frame, options.width)]
        used = set()
        for plate in record["plates"]:
            quad = np.array(plate["quad"])
            size = "near" if np.linalg.norm(quad[0] - quad[1]) >= NEAR else "far"
            tally = counts[plate["text"]]
            tally[size] += 1
            for i, (q, _, text, score) in enumerate(reads):
                if np.linalg.norm(q.mean(0) - quad.mean(0)) < 30:
                    used.add(i)
                    tally[size + " found"] += 1
                    tally[size + " exact"] += text == plate["text"]
                    if text != plate["text"]:
                        wrong[plate["text"]][text] += 1
                    best[plate["text"]] = max(best.get(plate["text"], (0, "")), (score, text))
                    break
        truth = None
        if options.work:
            truth = json.loads((options.work / record["image"].replace(".jpg", ".json")).read_text(encoding="utf-8"))
        for i, (q, s, text, score) in enumerate(reads):
            if i in used:
                continue
            # a real plate that is too small or partly outside for plates.jsonl is no stray
            early = next((p for p in truth["plates"] if np.linalg.norm(np.mean(p["quad"], 0) - q.mean(0)) < 30), None) if truth else None
            if early:
                counts[early["text"]]["small or cut"] += 1
                counts[early["text"]]["small or cut exact"] += text == early["text"]
            else:
                strays[(text, int(q[:, 0].mean()) // 20 * 20, int(q[:, 1].mean()) // 20 * 20, round(score, 1))] += 1
        if vehicles:
            found = vehicles.find(frame)
            for v in truth["vehicles"]:
                if v["box"][3] - v["box"][1] >= 150:
                    met[v["passage"]] += 1
                    passed[v["passage"]] += any(overlap(b, v["box"]) >= 0.4 for b, _ in found)
    for text, tally in counts.items():
        print(text, dict(tally), "best", best.get(text), "wrong", dict(wrong[text]))
    print("where no plate is due:", dict(strays))
    if vehicles:
        print("vehicles at least 150 px tall, found:", {k: f"{passed[k]} of {n}" for k, n in met.items()})


if __name__ == "__main__":
    main()
