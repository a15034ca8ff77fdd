"""Where plates and other things stand in a made-up picture: plain numbers, a picture at a time.

A plane is a matrix that carries plate coordinates (0..1 across, 0..1 down the plate) to pixels. What is round the plate
in its plane, a vehicle above all, has coordinates beyond that.
"""

import numpy

# At most so many plates, vehicles, other things and texts in a picture.
PLATES, VEHICLES, OTHERS, TEXTS = 4, 2, 3, 2
# Of the pictures this part is like the agent's second look: one plate, large and near the middle.
CLOSE = 0.3
EMPTY = 0.12
# Width in pixels of a plate in a wide view and in a close one.
WIDE_PX, CLOSE_PX = (18, 300), (100, 330)
TRIES = 8


def rotation(yaw, pitch, roll):
    cy, cp, cr = numpy.cos((yaw, pitch, roll))
    sy, sp, sr = numpy.sin((yaw, pitch, roll))
    about_y = numpy.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = numpy.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = numpy.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def plane(rng, ratio, far, upright=False):
    """A plate's plane seen from somewhere: 3 x 3, the plate about 1 wide and its middle at 0, 0."""
    if upright:
        yaw = pitch = roll = 0.0
    else:
        yaw = numpy.clip(rng.normal(0, 0.42), -1.0, 1.0)
        pitch = numpy.clip(rng.normal(0.08, 0.24), -0.7, 0.7)
        roll = rng.normal(0, 0.06 if rng.random() < 0.7 else 0.3)
    turn = rotation(yaw, pitch, roll)
    depth = rng.uniform(*far)
    # x = (u - 0.5), y = (v - 0.5) / ratio, z = 0; then moved away and projected.
    flat = numpy.array([[1, 0, -0.5], [0, 1 / ratio, -0.5 / ratio], [0, 0, 0]])
    seen = turn @ flat
    seen[2] = seen[2] / depth
    seen[2, 2] += 1
    return seen


def carry(matrix, points):
    p = numpy.concatenate([points, numpy.ones((len(points), 1))], 1) @ matrix.T
    return p[:, :2] / p[:, 2:]


UNIT = numpy.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)


def placed(rng, matrix, width, height, px, near_middle):
    """The plane scaled to `px` pixels across and moved into the picture, and the plate's corners."""
    quad = carry(matrix, UNIT)
    scale = px / max(1e-3, (numpy.linalg.norm(quad[1] - quad[0]) + numpy.linalg.norm(quad[2] - quad[3])) / 2)
    x, y = (rng.normal(0.5, 0.09), rng.normal(0.5, 0.09)) if near_middle else (rng.uniform(0, 1), rng.uniform(0, 1))
    move = numpy.array([[scale, 0, x * width], [0, scale, y * height], [0, 0, 1]])
    return move @ matrix, carry(move @ matrix, UNIT)


def bounds(quad):
    return numpy.concatenate([quad.min(0), quad.max(0)])


def apart(box, others, gap=3):
    return all(box[2] + gap < o[0] or o[2] + gap < box[0] or box[3] + gap < o[1] or o[3] + gap < box[1] for o in others)


def inside(box, width, height):
    part = max(0, min(box[2], width) - max(box[0], 0)) * max(0, min(box[3], height) - max(box[1], 0))
    return part / max(1e-6, (box[2] - box[0]) * (box[3] - box[1]))


def picture(rng, ratios, width, height, taken):
    """One picture's layout: planes of plates, vehicles (each round the plate of its number), other things and texts.

    `ratios` of the plates that may be used, `taken` boxes where something is already. What is not there has no plane.
    A plate cut by the border so that little is missing counts, one of which much is missing is left open.
    """
    most = {"plate": PLATES, "other": OTHERS, "text": TEXTS}
    found = {name: numpy.zeros((count, 3, 3)) for name, count in most.items()}
    quads, state = numpy.zeros((PLATES, 4, 2)), numpy.zeros(PLATES, numpy.int64)
    vehicle = numpy.zeros(VEHICLES, bool)
    taken = list(taken)
    kind = rng.random()
    close = kind < CLOSE
    count = 1 if close else 0 if kind > 1 - EMPTY else int(rng.integers(1, PLATES + 1))
    for k in range(count):
        on_vehicle = k < VEHICLES and rng.random() < 0.7
        low, high = numpy.log(CLOSE_PX if close and k == 0 else WIDE_PX)
        for _ in range(TRIES):
            px = float(numpy.exp(rng.uniform(low, high)))
            # Two rows are narrower plates, on average.
            px *= 1.0 if ratios[k] > 2.5 else 0.8
            matrix = plane(rng, ratios[k], (7, 16) if on_vehicle else (2.2, 9))
            matrix, quad = placed(rng, matrix, width, height, px, close)
            box = bounds(quad)
            if apart(box, taken) and inside(box, width, height) > 0.4:
                found["plate"][k], quads[k] = matrix, quad
                state[k] = 1 if inside(box, width, height) > 0.94 else 2
                taken.append(box)
                if on_vehicle:
                    vehicle[k] = True
                break
    for name, many, share in (("other", OTHERS, 0.55), ("text", TEXTS, 0.5)):
        for k in range(many):
            if rng.random() > share:
                continue
            ratio = (2.8 if name == "other" else 8.0) * numpy.exp(rng.normal(0, 0.25))
            px = float(numpy.exp(rng.uniform(*numpy.log((24, 260) if name == "other" else (60, 420)))))
            matrix = plane(rng, ratio, (3, 10), upright=name == "text" and rng.random() < 0.6)
            matrix, quad = placed(rng, matrix, width, height, px, False)
            # A text may stand anywhere but on a plate.
            if apart(bounds(quad), taken, 1):
                found[name][k] = matrix
                if name == "other":
                    taken.append(bounds(quad))
    return {**found, "quads": quads, "state": state, "vehicle": vehicle}
