"""Finds plates in whole pictures the way the agent does for single pictures: several scales, then closer looks.

Only for measuring. It follows `agent/src/vision` with the same constants.
"""

import cv2
import numpy
import onnxruntime

MEAN = numpy.float32([104, 117, 123])
STRIDES, PRIORS = (8, 16, 32), ((24, 48), (96, 192), (384, 768))
COARSE, CLOSE, ALONE = 0.2, 0.5, 0.7
CLOSE_INPUT = (352, 256)


def ordered(points):
    """Corners as left top, right top, right bottom, left bottom, whatever their order was."""
    p = numpy.asarray(points, numpy.float32).reshape(4, 2)
    middle = p.mean(0)
    p = p[numpy.argsort(numpy.arctan2(p[:, 1] - middle[1], p[:, 0] - middle[0]))]
    # They go clockwise now; of the four ways to begin, the most upright one.
    upright = lambda q: q[1, 0] - q[0, 0] + q[2, 0] - q[3, 0] + q[3, 1] - q[0, 1] + q[2, 1] - q[1, 1]
    return max((numpy.roll(p, k, 0) for k in range(4)), key=upright)


def homography(quad):
    return cv2.getPerspectiveTransform(numpy.float32([[0, 0], [1, 0], [1, 1], [0, 1]]), numpy.float32(quad))


def grow(quad, left, top, right, bottom):
    """The quad's corners moved outwards along its own axes by parts of its width and height."""
    unit = numpy.float32([[[-left, -top], [1 + right, -top], [1 + right, 1 + bottom], [-left, 1 + bottom]]])
    return cv2.perspectiveTransform(unit, homography(quad))[0]


def sides(quad):
    w = (numpy.linalg.norm(quad[1] - quad[0]) + numpy.linalg.norm(quad[2] - quad[3])) / 2
    h = (numpy.linalg.norm(quad[3] - quad[0]) + numpy.linalg.norm(quad[2] - quad[1])) / 2
    return w, h


def straighten(picture, quad, width, height):
    """The quad as a rectangle; each pixel the mean of several samples where the plate is larger in the picture."""
    w, h = sides(quad)
    nx, ny = (int(numpy.clip(round(a / b), 1, 8)) for a, b in ((w, width), (h, height)))
    big = numpy.float32([[0, 0], [width * nx, 0], [width * nx, height * ny], [0, height * ny]])
    # OpenCV counts from the pixels' centres, the quads from their edges.
    matrix = cv2.getPerspectiveTransform(numpy.float32(quad) - 0.5, big - 0.5)
    flat = cv2.warpPerspective(picture, matrix, (width * nx, height * ny), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(flat, (width, height), interpolation=cv2.INTER_AREA) if nx * ny > 1 else flat


def overlap(a, b):
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    both = max(0, x1 - x0) * max(0, y1 - y0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both + 1e-9)


def suppress(found):
    kept = []
    for f in sorted(found, key=lambda f: -f["score"]):
        if all(overlap(f["box"], k["box"]) <= 0.4 for k in kept):
            kept.append(f)
    return kept


class Detector:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options)

    def find(self, picture, region, scale, size=None):
        """Plates in `region` (x0, y0, x1, y1) scaled by `scale`, put into an input of `size` if that is given."""
        height, width = picture.shape[:2]
        x0, y0, x1, y1 = (int(round(v)) for v in numpy.clip(region, 0, [width, height, width, height]))
        if x1 - x0 < 2 or y1 - y0 < 2:
            return []
        w, h = (max(1 if size else 32, round((b - a) * scale)) for a, b in ((x0, x1), (y0, y1)))
        pw, ph = size or (w, h)
        w, h = min(w, pw), min(h, ph)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        part = cv2.resize(picture[y0:y1, x0:x1], (w, h), interpolation=way).astype(numpy.float32) - MEAN
        data = numpy.zeros((1, 3, ph, pw), numpy.float32)
        data[0, :, :h, :w] = part.transpose(2, 0, 1)
        found = self.decode(self.session.run(None, {self.session.get_inputs()[0].name: data}), pw, ph)
        back = numpy.float32([(x1 - x0) / w, (y1 - y0) / h])
        for f in found:
            f["quad"] = ordered(f["quad"] * back + numpy.float32([x0, y0]))
            f["box"] = (f["box"].reshape(2, 2) * back + numpy.float32([x0, y0])).ravel()
        return suppress(found)

    def decode(self, outputs, width, height):
        by = {o.shape[-1]: o[0] for o in outputs}
        priors = []
        for stride, sizes in zip(STRIDES, PRIORS):
            y, x = numpy.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
            for size in sizes:
                priors.append(numpy.stack([(x + 0.5) * stride, (y + 0.5) * stride, numpy.full(x.shape, size)], -1).reshape(-1, 3))
            priors[-2:] = [numpy.stack(priors[-2:], 1).reshape(-1, 3)]
        priors = numpy.concatenate(priors).astype(numpy.float32)
        keep = by[2][:, 1] >= COARSE
        p, loc, land = priors[keep], by[4][keep], by[8][keep]
        middle = p[:, :2] + loc[:, :2] * 0.1 * p[:, 2:]
        half = p[:, 2:] * numpy.exp(loc[:, 2:] * 0.2) / 2
        boxes = numpy.concatenate([middle - half, middle + half], 1)
        quads = p[:, None, :2] + land.reshape(-1, 4, 2) * 0.1 * p[:, None, 2:]
        return [{"score": float(s), "box": b, "quad": q} for s, b, q in zip(by[2][keep, 1], boxes, quads)]

    def again(self, picture, found, width):
        """A look at one find with the plate scaled to `width`; None where it is none or leaves the picture."""
        middle, w = found["quad"].mean(0), max(4.0, sides(found["quad"])[0])
        scale = width / w
        half = numpy.float32(CLOSE_INPUT) / scale / 2
        near = []
        for f in self.find(picture, [*(middle - half), *(middle + half)], scale, CLOSE_INPUT):
            ratio = sides(f["quad"])[0] / w
            if numpy.linalg.norm(f["quad"].mean(0) - middle) < 0.5 * w and 0.55 <= ratio <= 1.8 and inside(picture, f):
                near.append(f)
        best = max(near, key=lambda f: f["score"], default=None)
        if best and best["score"] >= CLOSE:
            return best
        return found if found["score"] >= ALONE and inside(picture, found) else None

    def still(self, picture):
        """All plates of a single picture."""
        height, width = picture.shape[:2]
        long = max(height, width)
        done, coarse = [], []
        for side in [480, 960, 1920] + ([3840] if long > 2400 else []):
            scale = min(side / long, 2.0)
            if any(max(scale / d, d / scale) < 1.15 for d in done):
                continue
            done.append(scale)
            coarse += self.find(picture, [0, 0, width, height], scale)
        close = [c for c in (self.again(picture, f, 160) for f in suppress(coarse)) if c]
        return [self.again(picture, f, 192) or f for f in suppress(close)]


def inside(picture, found):
    height, width = picture.shape[:2]
    q = found["quad"]
    (x0, y0), (x1, y1) = q.min(0), q.max(0)
    part = max(0, min(x1, width) - max(x0, 0)) * max(0, min(y1, height) - max(y0, 0))
    return part / max(1e-6, (x1 - x0) * (y1 - y0)) >= 0.93
