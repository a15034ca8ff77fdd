"""Vehicles in pictures that nobody has marked: where two other detectors agree, there is one.

    python truth.py --data FOLDER --teachers vehicle-detection-0200.onnx yolox_nano.onnx --out truth.npz

Both look at the whole picture and at four overlapping quarters of it, so that small vehicles are seen too. A box that
both find is a vehicle; one that only one finds, or both only faintly, is neither right nor wrong. Two wheels are known
to one of them only.
"""

import argparse
import pathlib

import cv2
import numpy
import onnxruntime

# Folder -> every how many pictures; footage -> every how many seconds.
PICTURES = {"frames": 1, "yard-campus": 1, "yard-carpark": 1, "inspection": 1, "tollgate": 3, "provinces": 2, "special": 1,
            "green": 1}
FOOTAGE = {"toll-gate": 0.5, "car-park": 1.0, "suburb-a": 0.5, "suburb-b": 0.5}
SIDE = 1280  # larger pictures are made smaller first
YOLOX = {1: "two", 3: "two", 2: "four", 5: "four", 7: "four"}  # COCO's 80 classes


def material(data):
    """(set, name, picture) of everything that is measured on; BGR."""
    for folder, every in PICTURES.items():
        for path in sorted((data / folder).glob("*.jpg"))[::every]:
            picture = cv2.imread(str(path))
            scale = min(1.0, SIDE / max(picture.shape[:2]))
            size = tuple(max(1, round(s * scale)) for s in picture.shape[1::-1])
            yield folder, path.name, cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    for name, apart in FOOTAGE.items():
        film, due = cv2.VideoCapture(str(data / "footage" / f"{name}.mp4")), 0.0
        while True:
            at = film.get(cv2.CAP_PROP_POS_MSEC) / 1000
            good, picture = film.read()
            if not good:
                break
            if at >= due:
                due = at + apart
                yield name, f"{at:.2f}", picture


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def iou(a, b):
    """Of every box in `a` with every one in `b`; x1 y1 x2 y2."""
    a, b = a[:, None], b[None]
    low, high = numpy.maximum(a[..., :2], b[..., :2]), numpy.minimum(a[..., 2:4], b[..., 2:4])
    both = numpy.prod(numpy.clip(high - low, 0, None), -1)
    area = lambda c: numpy.prod(c[..., 2:4] - c[..., :2], -1)
    return both / numpy.maximum(area(a) + area(b) - both, 1e-9)


def suppressed(boxes, most=0.5):
    """`boxes`: x1 y1 x2 y2 score; the best of those that overlap."""
    boxes, kept = boxes[numpy.argsort(-boxes[:, 4], kind="stable")], []
    while len(boxes):
        kept.append(boxes[0])
        boxes = boxes[1:][iou(boxes[:1], boxes[1:])[0] <= most]
    return numpy.array(kept).reshape(-1, 5)


class Barrier:
    """vehicle-detection-0200: offsets, class scores and anchors with their variances."""

    def __init__(self, path):
        self.net = session(path)

    def find(self, picture, least):
        height, width = picture.shape[:2]
        x = cv2.resize(picture, (256, 256)).transpose(2, 0, 1)[None].astype(numpy.float32)
        outs = {o.name: v for o, v in zip(self.net.get_outputs(), self.net.run(None, {self.net.get_inputs()[0].name: x}))}
        return decode_barrier(outs, width, height, least)


def decode_barrier(outs, width, height, least):
    priors = next(v for v in outs.values() if v.ndim == 3 and v.shape[1] == 2)[0].reshape(2, -1, 4)
    flat = [v.reshape(-1) for v in outs.values() if not (v.ndim == 3 and v.shape[1] == 2)]
    number = priors.shape[1]
    places = next(v for v in flat if len(v) == 4 * number).reshape(-1, 4)
    scores = next(v for v in flat if len(v) == 2 * number).reshape(-1, 2)
    anchors, variance = priors
    middle, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    middle = middle + places[:, :2] * variance[:, :2] * size
    size = size * numpy.exp(places[:, 2:] * variance[:, 2:])
    boxes = numpy.concatenate([middle - size / 2, middle + size / 2], 1).clip(0, 1)
    if not numpy.allclose(scores.sum(1), 1, atol=0.01):
        scores = numpy.exp(scores - scores.max(1, keepdims=True))
        scores /= scores.sum(1, keepdims=True)
    good = scores[:, 0] >= least
    good &= numpy.prod(boxes[:, 2:] - boxes[:, :2], 1) < 0.9  # it takes an empty picture for a vehicle
    return suppressed(numpy.concatenate([boxes * [width, height, width, height],
                                         scores[:, :1]], 1)[good])


class Yolox:
    def __init__(self, path):
        self.net = session(path)

    def find(self, picture, least, kind):
        height, width = picture.shape[:2]
        ratio = min(416 / width, 416 / height)
        canvas = numpy.full((416, 416, 3), 114, numpy.uint8)
        w, h = round(width * ratio), round(height * ratio)
        canvas[:h, :w] = cv2.resize(picture, (w, h))
        x = canvas.transpose(2, 0, 1)[None].astype(numpy.float32)
        rows = self.net.run(None, {self.net.get_inputs()[0].name: x})[0][0]
        first, made = 0, []
        for step in (8, 16, 32):
            n = 416 // step
            part = rows[first:first + n * n]
            first += n * n
            y, x = numpy.divmod(numpy.arange(n * n), n)
            middle = (part[:, :2] + numpy.stack([x, y], 1)) * step
            half = numpy.exp(part[:, 2:4]) * step / 2
            mine = [5 + k for k, v in YOLOX.items() if v == kind]
            made.append(numpy.column_stack([(middle - half) / ratio, (middle + half) / ratio,
                                            part[:, 4] * part[:, mine].max(1)]))
        made = numpy.concatenate(made)
        return suppressed(made[made[:, 4] >= least])


def parts(picture):
    height, width = picture.shape[:2]
    yield 0, 0, picture
    h, w = round(height * 0.6), round(width * 0.6)
    for top in (0, height - h):
        for left in (0, width - w):
            yield left, top, picture[top:top + h, left:left + w]


def everywhere(find, picture):
    """In the whole picture and its quarters. A box at a quarter's inner border may be half a vehicle: left out."""
    height, width = picture.shape[:2]
    made = []
    for left, top, part in parts(picture):
        found = find(part)
        h, w = part.shape[:2]
        whole = numpy.ones(len(found), bool)
        if part.shape != picture.shape:
            margin = 4
            whole &= (found[:, 0] > margin) | (left == 0)
            whole &= (found[:, 1] > margin) | (top == 0)
            whole &= (found[:, 2] < w - margin) | (left + w == width)
            whole &= (found[:, 3] < h - margin) | (top + h == height)
        made.append(found[whole] + [left, top, left, top, 0])
    made = suppressed(numpy.concatenate(made))
    made[:, [0, 2]] = made[:, [0, 2]].clip(0, width)
    made[:, [1, 3]] = made[:, [1, 3]].clip(0, height)
    return made


SURE, FAINT = 0.35, 0.15


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--teachers", type=pathlib.Path, nargs=2, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    barrier, yolox = Barrier(arguments.teachers[0]), Yolox(arguments.teachers[1])
    kept = {}
    for set_, name, picture in material(arguments.data):
        a = everywhere(lambda p: barrier.find(p, FAINT), picture)
        b = everywhere(lambda p: yolox.find(p, FAINT, "four"), picture)
        two = everywhere(lambda p: yolox.find(p, FAINT, "two"), picture)
        sure_a, sure_b = a[a[:, 4] >= SURE], b[b[:, 4] >= SURE]
        match = iou(sure_a, sure_b) if len(sure_a) and len(sure_b) else numpy.zeros((len(sure_a), 1))
        both = sure_a[match.max(1) >= 0.5]
        # The second one's boxes fit better.
        if len(both):
            both = sure_b[match[match.max(1) >= 0.5].argmax(1)]
        kept[f"{set_}/{name}/sure"] = suppressed(both) if len(both) else both
        kept[f"{set_}/{name}/faint"] = numpy.concatenate([a, b, two])
        kept[f"{set_}/{name}/two"] = two[two[:, 4] >= 0.5]
    numpy.savez_compressed(arguments.out, **kept)
    print(f"{len(kept) // 3} pictures, {sum(len(v) for k, v in kept.items() if k.endswith('/sure'))} vehicles, "
          f"{sum(len(v) for k, v in kept.items() if k.endswith('/two'))} of two wheels")


if __name__ == "__main__":
    main()
