"""Whole pictures with plates, put together a chunk at a time on the processor that trains.

Background, vehicles, other things, texts and plates are laid over each other by homographies; then light, blur, noise
and compression. Plates are the reader's: made up, or real crops laid flat.
"""

import pathlib
import sys

import numpy
import torch
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reader"))
import layout  # noqa: E402
from camera import Camera  # noqa: E402
from compose import Composer  # noqa: E402
from kinds import KINDS  # noqa: E402
from material import MARGIN_X, MARGIN_Y, unpacked  # noqa: E402

from retina import MEAN  # noqa: E402

# Of the vehicles drawn: parts of the sprite that a plate's width spans, see drawn.py.
SPAN = 6.0
REAL = 0.4
FRAME = 0.3
# Some pictures end before the input does, as the agent's do at a frame's border: the rest has the mean colour.
SHORT = 0.08
# Truths per picture: those of a rendered frame and those laid into it.
TRUTHS = layout.PLATES + 3
NONE, PLATE, OPEN = 0, 1, 2


class Flat:
    """The reader's plates, those with two rows more often, and how much wider than high each is."""

    def __init__(self, *arguments):
        self.composer = Composer(*arguments)
        self.shares = self.composer.shares**0.75 * numpy.array([2.5 if kind.rows == 2 else 1.0 for kind in KINDS])
        self.ratios = numpy.array([kind.size[0] / kind.size[1] for kind in KINDS])

    def drawn(self, count):
        # The composer draws kinds itself; shown those of one shape only, it tells the shape.
        shapes = numpy.unique(self.ratios)
        weights = numpy.array([self.shares[self.ratios == shape].sum() for shape in shapes])
        counts = self.composer.rng.multinomial(count, weights / weights.sum())
        canvases, ratios = [], []
        for shape, part in zip(shapes, counts):
            if part:
                shares = self.shares * (self.ratios == shape)
                self.composer.shares = shares / shares.sum()
                canvases.append(self.composer.plates(int(part))[0].float())
                ratios.append(numpy.full(part, shape))
        return torch.cat(canvases), numpy.concatenate(ratios)


class Material:
    def __init__(self, path, device):
        packed = numpy.load(path)
        self.pictures, self.table = packed["pictures"], packed["table"]
        for name in ("ground", "frame", "real", "none", "sprite", "cover", "writing"):
            # Unpacked as BGR; everything here works in RGB until the end.
            pictures = unpacked(packed[name], packed[name + "_starts"])
            setattr(self, name, torch.from_numpy(pictures).permute(0, 3, 1, 2).flip(1).contiguous().to(device))
        self.cover, self.writing = self.cover[:, :1], self.writing[:, :1]
        self.frame_quads, self.sprite_place = packed["frame_quads"], packed["sprite_place"]
        self.ground_more = packed["ground_more"]


class Scenes:
    def __init__(self, material, device, seed, height=384, width=512):
        self.material, self.device, self.height, self.width = material, device, height, width
        self.flat = Flat(material.pictures, material.table, device, seed)
        self.camera = Camera(device, seed + 1)
        self.rng = numpy.random.default_rng(seed + 2)
        torch.manual_seed(seed)
        y, x = (torch.arange(length, device=device) + 0.5 for length in (height, width))
        y, x = torch.meshgrid(y, x, indexing="ij")
        self.pixels = torch.stack([x, y, torch.ones_like(x)], -1).view(-1, 3)

    def tensor(self, values):
        return torch.from_numpy(numpy.ascontiguousarray(values, numpy.float32)).to(self.device)

    def one(self, count, low, high):
        return torch.rand(count, 1, 1, 1, device=self.device) * (high - low) + low

    def having(self, count, share):
        return (torch.rand(count, 1, 1, 1, device=self.device) < share).float()

    def pick(self, pictures, count):
        numbers = self.rng.integers(0, len(pictures), count)
        return pictures[torch.from_numpy(numbers).to(self.device)].float(), numbers

    def chunk(self, count):
        """Pictures (BGR bytes), corners of their plates in pixels, what each is, and which pictures may hold more.

        A plate is NONE, PLATE or OPEN. Far plates of the rendered frames have no truth.
        """
        ends = numpy.tile([self.width, self.height], (count, 1)).astype(float)
        axis, short = self.rng.integers(0, 2, count), self.rng.random(count) < SHORT
        ends[numpy.arange(count), axis] *= numpy.where(short, self.rng.uniform(0.45, 0.95, count), 1)
        picture, quads, state, more = self.background(count, ends)
        canvas, ratios = self.plates(count * layout.PLATES)
        canvas, ratios = canvas.view(count, layout.PLATES, *canvas.shape[1:]), ratios.reshape(count, layout.PLATES)
        plans = []
        for k in range(count):
            taken = [layout.bounds(q) for q, s in zip(quads[k], state[k]) if s != NONE]
            plans.append(layout.picture(self.rng, ratios[k], *ends[k], taken))
        plan = {name: numpy.stack([p[name] for p in plans]) for name in plans[0]}
        night = self.having(count, 0.22)
        dim = 1 - night * self.one(count, 0.3, 0.8)
        picture = picture * dim
        for k in range(layout.VEHICLES):
            picture, cover = self.vehicle(picture, plan["plate"][:, k], plan["vehicle"][:, k], ratios[:, k], dim)
            state = self.hidden(state, quads, cover)
        for k in range(layout.OTHERS):
            thing, _ = self.pick(self.material.none, count)
            thing = self.camera.light(thing, self.one(count, 0, 0.7)) * dim**0.6
            picture = self.lay(picture, thing, plan["other"][:, k], (0.0, 0.0), self.one(count, 0, 3))
        for k in range(layout.TEXTS):
            picture = self.text(picture, plan["text"][:, k])
        for k in range(layout.PLATES):
            # At night plates throw back what light there is.
            flat = self.camera.light(canvas[:, k], self.one(count, 0, 0.8)) * dim ** self.one(count, 0.1, 0.9)
            edge = torch.where(self.having(count, 0.5) > 0, self.one(count, 0.0, 0.5), self.one(count, 3, 30))
            picture = self.lay(picture, flat, plan["plate"][:, k], (MARGIN_X, MARGIN_Y), edge)
        quads = numpy.concatenate([quads, plan["quads"]], 1)
        state = numpy.concatenate([state, plan["state"]], 1)
        return {
            "picture": self.ended(self.taken(picture, night), ends),
            "quads": self.tensor(quads),
            "state": torch.from_numpy(state).to(self.device),
            "more": torch.from_numpy(more).to(self.device),
        }

    def background(self, count, ends):
        """Pieces of pictures without plates, or of rendered frames with theirs."""
        quads, state = numpy.zeros((count, 3, 4, 2)), numpy.zeros((count, 3), numpy.int64)
        framed = self.rng.random(count) < FRAME
        ground, grounds = self.pick(self.material.ground, count)
        frame, numbers = self.pick(self.material.frame, count)
        matrices = {}
        for name, pictures, least, most in (("ground", ground, 0.8, 3.0), ("frame", frame, 0.45, 1.8)):
            height, width = pictures.shape[2:]
            matrices[name] = numpy.zeros((count, 3, 3))
            for k in range(count):
                scale = numpy.exp(self.rng.uniform(numpy.log(least), numpy.log(most)))
                scale *= max(self.width / width, self.height / height) ** 0.5
                angle = self.rng.normal(0, 0.05)
                c, s = numpy.cos(angle) * scale, numpy.sin(angle) * scale
                flip = 1 if name == "frame" or self.rng.random() < 0.5 else -1
                x, y = self.rng.uniform(0.25, 0.75, 2) * (width, height)
                turn = numpy.array([[c, -s, self.width / 2], [s, c, self.height / 2], [0, 0, 1]])
                matrices[name][k] = turn @ numpy.array([[flip, 0, -flip * x], [0, 1, -y], [0, 0, 1]])
        frame, _ = self.seen(frame, matrices["frame"], True)
        ground, _ = self.seen(ground, matrices["ground"], True)
        picture = torch.where(self.tensor(framed)[:, None, None, None] > 0, frame, ground)
        for k in numpy.flatnonzero(framed):
            for i, quad in enumerate(self.material.frame_quads[numbers[k]]):
                if quad.any():
                    quads[k, i] = layout.carry(matrices["frame"][k], quad)
                    part = layout.inside(layout.bounds(quads[k, i]), *ends[k])
                    state[k, i] = PLATE if part > 0.94 else OPEN if part > 0 else NONE
        cast = 1 + torch.randn(count, 3, 1, 1, device=self.device) * 0.06
        picture = (picture * cast * self.one(count, 0.6, 1.25)).clamp(0, 255)
        return picture, quads, state, framed | self.material.ground_more[grounds]

    def plates(self, count):
        """Flat plates, made up or real, mixed, and how much wider than high each is."""
        real = round(count * REAL) if len(self.material.real) else 0
        canvas, ratios = self.flat.drawn(count - real)
        if real:
            found, _ = self.pick(self.material.real, real)
            canvas = torch.cat([canvas, found])
            ratios = numpy.concatenate([ratios, numpy.full(real, 440 / 140)])
        order = self.rng.permutation(count)
        return canvas[torch.from_numpy(order).to(self.device)], ratios[order]

    def seen(self, texture, matrices, mirrored=False):
        """Textures carried to the picture by matrices from texture to picture pixels; and the coordinates."""
        height, width = texture.shape[2:]
        # What is not there has no plane: nothing of it is seen.
        there = numpy.abs(numpy.linalg.det(matrices)) > 1e-12
        inverse = numpy.linalg.inv(numpy.where(there[:, None, None], matrices, numpy.eye(3)))
        at = self.pixels @ self.tensor(inverse).transpose(1, 2)
        depth = at[..., 2:]
        at = at[..., :2] / depth.clamp(min=0.05)
        ahead = (depth > 0.05).float() * self.tensor(there)[:, None, None]
        grid = (at / torch.tensor([width, height], device=self.device) * 2 - 1).view(-1, self.height, self.width, 2)
        scale = self.tensor(shrink(matrices, width, height) * there)
        texture = softened(texture, scale)
        beyond = "reflection" if mirrored else "border"
        found = functional.grid_sample(texture, grid, padding_mode=beyond, align_corners=False)
        shape = (-1, 1, self.height, self.width)
        return found, (at[..., 0].view(shape), at[..., 1].view(shape), ahead.view(shape), scale[:, None, None, None])

    def lay(self, picture, texture, planes, margin, edge):
        """A texture with `margin` round the plate laid over the picture, fading out over `edge` pixels outside it."""
        height, width = texture.shape[2:]
        mx, my = margin
        # From texture pixels to plate coordinates.
        flat = numpy.array([[(1 + 2 * mx) / width, 0, -mx], [0, (1 + 2 * my) / height, -my], [0, 0, 1]])
        found, (x, y, ahead, scale) = self.seen(texture, planes @ flat)
        # Distance from the plate's edge in pixels of the picture; positive inside.
        left, top = width * mx / (1 + 2 * mx), height * my / (1 + 2 * my)
        inner = torch.minimum(torch.minimum(x - left, width - left - x),
                              torch.minimum(y - top, height - top - y)) * scale
        # And from the texture's, where nothing more is known.
        outer = torch.minimum(torch.minimum(x, width - x), torch.minimum(y, height - y)) * scale
        cover = torch.minimum(inner / edge.clamp(min=1) + 1 * (edge > 1) + 0.5, outer + 0.5).clamp(0, 1) * ahead
        return picture + (found - picture) * cover

    def vehicle(self, picture, planes, having, ratios, dim):
        """A vehicle in its plate's plane."""
        count = len(picture)
        sprite, numbers = self.pick(self.material.sprite, count)
        cover = self.material.cover[torch.from_numpy(numbers).to(self.device)].float() / 255
        side = sprite.shape[2]
        place = self.material.sprite_place[numbers]
        flat = numpy.zeros((count, 3, 3))
        flat[:, 2, 2] = 1
        flat[:, 0, 0], flat[:, 0, 2] = SPAN / side, 0.5 - SPAN * place[:, 0]
        # Down the plate one is its height, and sprites are square in millimetres.
        flat[:, 1, 1], flat[:, 1, 2] = SPAN * ratios / side, 0.5 - SPAN * ratios * place[:, 1]
        sprite = self.camera.light(sprite, self.one(count, 0, 0.5)) * dim
        found, (x, y, ahead, _) = self.seen(torch.cat([sprite, cover], 1), (planes @ flat) * having[:, None, None])
        within = ((x > 0) & (x < side) & (y > 0) & (y < side)).float()
        cover = found[:, 3:] * within * ahead
        return picture + (found[:, :3] - picture) * cover, cover

    def hidden(self, state, quads, cover):
        """A rendered frame's plates behind a vehicle that was laid over them: gone, or left open if partly seen."""
        points = self.tensor(numpy.concatenate([quads, quads.mean(2, keepdims=True)], 2))
        grid = points / torch.tensor([self.width, self.height], device=self.device) * 2 - 1
        behind = functional.grid_sample(cover, grid, align_corners=False)[:, 0].mean(2).cpu().numpy()
        state = numpy.where((behind > 0.02) & (state == PLATE), OPEN, state)
        return numpy.where(behind > 0.7, NONE, state)

    def text(self, picture, planes):
        """A text in one colour over whatever is there."""
        count = len(picture)
        letters, _ = self.pick(self.material.writing, count)
        height, width = letters.shape[2:]
        found, (x, y, ahead, _) = self.seen(letters, planes @ numpy.diag([1 / width, 1 / height, 1.0]))
        within = ((x > 0) & (x < width) & (y > 0) & (y < height)).float()
        light = torch.where(self.having(count, 0.6) > 0, self.one(count, 200, 255), self.one(count, 0, 70))
        ink = light + torch.randn(count, 3, 1, 1, device=self.device) * 25 * self.having(count, 0.4)
        return picture + (ink - picture) * found / 255 * within * ahead

    def taken(self, x, night):
        """What a camera makes of it: lamps, exposure, blur, noise, compression."""
        count = len(x)
        u, v = (self.pixels[:, k].view(1, 1, self.height, self.width) for k in range(2))
        for _ in range(2):
            size = self.one(count, 6, 60)
            far = ((u - self.one(count, 0, self.width)) ** 2 + (v - self.one(count, 0, self.height)) ** 2) / size**2
            lamp = torch.exp(-far)
            x = x + lamp * self.one(count, 60, 255) * self.having(count, 0.08)
            x = x + lamp * night * self.having(count, 0.4) * 200
        gain = torch.exp(torch.randn(count, 1, 1, 1, device=self.device) * 0.25)
        haze = self.one(count, 0, 0.5) * self.having(count, 0.2)
        x = (x * gain * (1 - haze) + haze * self.one(count, 60, 220)).clamp(0, 255)
        x = 255 * (x / 255) ** torch.exp(torch.randn(count, 1, 1, 1, device=self.device) * 0.2)
        grey = x.mean(1, keepdim=True)
        strong = torch.where(self.having(count, 0.07) > 0, torch.zeros_like(gain), self.one(count, 0.6, 1.2))
        x = grey + (x - grey) * strong
        soft = self.one(count, 0.2, 1.3)[:, :, 0, 0] * self.having(count, 0.5)[:, :, 0, 0]
        moved = self.one(count, 0.5, 2.5)[:, :, 0, 0] * self.having(count, 0.12)[:, :, 0, 0]
        x = self.camera.smear(x, (soft**2 + moved**2).sqrt(), 3)
        x = self.camera.smear(x, soft, 2)
        x = self.camera.sensor(x, self.one(count, 0, 1))
        return self.camera.compress(x, 0.6).flip(1)

    def ended(self, x, ends):
        ends = self.tensor(ends)[:, :, None, None]
        u, v = (self.pixels[:, k].view(1, self.height, self.width) for k in range(2))
        within = (u < ends[:, 0]) & (v < ends[:, 1])
        mean = torch.tensor(MEAN, device=self.device)[:, None, None]
        return torch.where(within[:, None], x, mean).round().clamp(0, 255).to(torch.uint8)


def shrink(matrices, width, height):
    """Pixels of the picture per pixel of the texture, about the texture's middle; of the two axes the smaller one."""
    middle = numpy.array([width / 2, height / 2, 1.0])
    w = matrices @ middle
    depth = numpy.where(numpy.abs(w[:, 2:]) < 1e-9, 1.0, w[:, 2:])
    ahead = [(matrices[:, :2, k] * depth - w[:, :2] * matrices[:, 2:, k]) / depth**2 for k in range(2)]
    return numpy.minimum(*(numpy.linalg.norm(a, axis=1) for a in ahead))


def softened(texture, scale):
    """Textures averaged to about the size at which they will be seen, so that none flickers."""
    found = texture
    level = torch.log2(1 / scale.clamp(min=1e-3)).round().clamp(0, 3)
    for k in (1, 2, 3):
        if bool((level == k).any()):
            small = functional.avg_pool2d(texture, 2**k, ceil_mode=True, count_include_pad=False)
            again = functional.interpolate(small, texture.shape[2:], mode="bilinear", align_corners=False)
            found = torch.where((level == k)[:, None, None, None], again, found)
    return found
