"""From flat canvases to what a camera and a plate detector hand over: corners, light, blur, noise, compression, size.

Everything is done to a whole batch at once. What has to be the same for all pictures of a tensor, their size above
all, is drawn once per chunk.
"""

import math

import numpy
import torch
from torch.nn import functional

from alphabet import HEIGHT, WIDTH
from material import MARGIN_X, MARGIN_Y

# Of the quantisation of JPEG, annex K, the luminance table.
QUANTA = torch.tensor([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
], dtype=torch.float32).view(8, 8)
COSINES = torch.tensor(
    [[math.sqrt((1 if k == 0 else 2) / 8) * math.cos((2 * n + 1) * k * math.pi / 16) for n in range(8)] for k in range(8)]
)
# The two-dimensional transform of a block as one matrix: many small products are slow, one large one is not.
TRANSFORM = torch.kron(COSINES, COSINES)
# Luminance and colour differences of RGB.
YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])


class Camera:
    def __init__(self, device, seed):
        self.device = device
        self.rng = numpy.random.default_rng(seed)

    def tensor(self, values):
        return torch.from_numpy(numpy.ascontiguousarray(values, numpy.float32)).to(self.device, non_blocking=True)

    def normal(self, spread, *shape):
        return torch.randn(*shape, device=self.device) * spread

    def uniform(self, low, high, *shape):
        return torch.rand(*shape, device=self.device) * (high - low) + low

    def having(self, share, count):
        return (torch.rand(count, 1, 1, 1, device=self.device) < share).float()

    def corners(self, count, boxed, loose):
        """Matrices (count, 3, 3) from the straightened picture to the plate, both as 0..1.

        `boxed` of them are cut as upright boxes round a tilted plate, as careless detectors do; `loose` scales how far
        the others are off.
        """
        box = (torch.rand(count, device=self.device) < boxed).float()
        n = lambda s: self.normal(s, count)
        spread = loose * (0.5 + torch.rand(count, device=self.device))
        shear = n(0.04) * spread + box * n(0.14)
        turn = n(0.055) * spread + box * n(0.42)
        wide = 1 + (0.01 + n(0.035)) * spread + box * (shear.abs() * 0.5)
        tall = 1 + (0.04 + n(0.075)) * spread + box * turn.abs() * 0.9
        zero = torch.zeros(count, device=self.device)
        matrix = torch.stack([
            torch.stack([wide, shear, 0.5 + n(0.014) * spread], 1),
            torch.stack([turn, tall, 0.5 + n(0.035) * spread], 1),
            torch.stack([n(0.05) * spread, n(0.04) * spread, zero + 1], 1),
        ], 1)
        middle = torch.eye(3, device=self.device)
        middle[:2, 2] = -0.5
        return matrix @ middle

    def warp(self, canvas, matrix, height, width):
        """The straightened pictures, height x width, area-averaged where they are much smaller than the canvas."""
        fine = 2 if width < 150 else 1
        h, w = height * fine, width * fine
        count = len(canvas)
        y, x = torch.meshgrid(
            (torch.arange(h, device=self.device) + 0.5) / h, (torch.arange(w, device=self.device) + 0.5) / w, indexing="ij"
        )
        at = torch.stack([x, y, torch.ones_like(x)], -1).view(1, -1, 3) @ matrix.transpose(1, 2)
        plate = (at[..., :2] / at[..., 2:].clamp(min=0.3)).view(count, h, w, 2)
        # The plate itself is bent, and the model of the corners is not exact.
        bend = self.normal(1, count, 2, 3, 6) * self.uniform(0, 0.007, count, 1, 1, 1)
        bend[:, 1] *= 2.2
        plate = plate + functional.interpolate(bend, (h, w), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
        scale = torch.tensor([1 + 2 * MARGIN_X, 1 + 2 * MARGIN_Y], device=self.device)
        shift = torch.tensor([MARGIN_X, MARGIN_Y], device=self.device)
        grid = (plate + shift) / scale * 2 - 1
        picture = functional.grid_sample(canvas, grid.to(canvas.dtype), mode="bilinear", padding_mode="border", align_corners=False)
        return (functional.avg_pool2d(picture, fine) if fine > 1 else picture).float()

    def light(self, x, hard):
        """Shadow, glare, exposure, colour cast, haze; `hard` (0..1 per picture) scales all of it."""
        count, _, h, w = x.shape
        one = lambda low, high: self.uniform(low, high, count, 1, 1, 1)
        u = torch.linspace(-0.5, 0.5, w, device=self.device)[None, None, None, :]
        v = torch.linspace(-0.5, 0.5, h, device=self.device)[None, None, :, None]
        angle = one(0, 2 * math.pi)
        ramp = torch.sigmoid((u * torch.cos(angle) + v * torch.sin(angle) * 0.6 + one(-0.3, 0.3)) * torch.exp(one(0.7, 4)))
        x = x * (1 - ramp * one(0.15, 0.75) * self.having(0.35, count) * hard)
        spot = torch.exp(-(((u - one(-0.6, 0.6)) / one(0.08, 0.4)) ** 2) - ((v - one(-0.6, 0.6)) / one(0.15, 0.8)) ** 2)
        x = x + spot * one(40, 230) * self.having(0.12, count) * hard
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * (1 + (one(-0.8, 0.35)) * self.having(0.5, count) * hard)
        x = x * (1 + self.normal(0.11, count, 3, 1, 1) * hard)
        haze = one(0.15, 0.7) * self.having(0.22, count) * hard
        x = x * (1 - haze) + (one(20, 230) + self.normal(12, count, 3, 1, 1)) * haze
        # A third by day, a fifth nearly in the dark, some too bright.
        chance = torch.rand(count, 1, 1, 1, device=self.device)
        gain = torch.where(chance < 0.2, one(0.15, 0.5), torch.where(chance > 0.86, one(1.2, 1.9), one(0.5, 1.2)))
        x = (x * (1 + (gain - 1) * hard) + one(-15, 15) * hard).clamp(0, 255)
        return 255 * (x / 255) ** (1 + one(-0.4, 0.6) * self.having(0.3, count) * hard)

    def blur(self, x, hard):
        """Out of focus, and moved: in Gaussians along both axes, and along a slant for the whole chunk at times."""
        count, _, h, w = x.shape
        unit = max(1.0, w / 100)
        soft = self.uniform(0.0, 1.0, count, 1) * self.having(0.55, count)[:, :, 0, 0] * unit
        soft = soft * (1 + (torch.rand(count, 1, device=self.device) < 0.15).float() * 0.9) * hard[:, :, 0, 0]
        move = self.uniform(0.3, 2.2, count, 1) * self.having(0.15, count)[:, :, 0, 0] * unit * hard[:, :, 0, 0]
        across = torch.rand(count, 1, device=self.device) < 0.75
        x = self.smear(x, (soft**2 + (move * across) ** 2).sqrt(), 3)
        x = self.smear(x, (soft**2 + (move * ~across) ** 2).sqrt(), 2)
        if self.rng.random() < 0.12:
            dx, dy = self.rng.uniform(-1.2, 1.2, 2) * unit
            steps = [self.shift(x, dx * k, dy * k) for k in (-2, -1, 0, 1, 2)]
            x = sum(steps) / len(steps)
        return x

    def smear(self, x, spread, axis):
        reach = 6
        taps = torch.arange(-reach, reach + 1, device=self.device)
        weights = torch.exp(-0.5 * (taps / spread.clamp(min=0.15)) ** 2)
        weights = weights / weights.sum(1, keepdim=True)
        pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
        padded = functional.pad(x, pad, mode="replicate")
        length = x.shape[axis]
        return sum(padded.narrow(axis, k, length) * weights[:, k, None, None, None] for k in range(2 * reach + 1))

    def shift(self, x, dx, dy):
        h, w = x.shape[2:]
        theta = torch.tensor([[1, 0, 2 * dx / w], [0, 1, 2 * dy / h]], device=self.device, dtype=x.dtype)
        grid = functional.affine_grid(theta[None].expand(len(x), 2, 3), x.shape, align_corners=False)
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def sensor(self, x, hard):
        """Noise, sharpening, rain or snow."""
        count, _, h, w = x.shape
        dark = (1.3 - x.mean((1, 2, 3), keepdim=True) / 110).clamp(0.4, 1.3)
        strength = self.uniform(0, 13, count, 1, 1, 1) * self.having(0.55, count) * hard * dark.clamp(max=1.0)
        coloured = self.having(0.6, count)
        noise = torch.randn_like(x) * coloured + torch.randn_like(x[:, :1]) * (1 - coloured)
        x = x + noise * strength
        drops = (torch.rand(count, 1, max(2, h // 3), w, device=self.device) < 0.012).float()
        drops = functional.interpolate(drops, (h, w), mode="bilinear", align_corners=False)
        x = x + drops * self.uniform(-60, 110, count, 1, 1, 1) * self.having(0.06, count) * hard
        soft = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        x = x + (x - soft) * self.uniform(0.3, 2.0, count, 1, 1, 1) * self.having(0.2, count) * hard
        return x.clamp(0, 255)

    def compress(self, x, share):
        """JPEG as a camera or recorder does: 8 x 8 blocks in a random phase, colours at half the size at times."""
        count, _, h, w = x.shape
        top, left = (int(v) for v in self.rng.integers(0, 8, 2))
        padded = functional.pad(x, (left, (-left - w) % 8, top, (-top - h) % 8), mode="replicate")
        ph, pw = padded.shape[2:]
        ycc = torch.einsum("ij,bjhw->bihw", YCC.to(self.device), padded)
        if self.rng.random() < 0.7 and ph % 2 == 0 and pw % 2 == 0:
            small = functional.avg_pool2d(ycc[:, 1:], 2)
            ycc = torch.cat([ycc[:, :1], functional.interpolate(small, (ph, pw), mode="nearest")], 1)
        transform, quanta = TRANSFORM.to(self.device), QUANTA.to(self.device).flatten()
        shift = torch.tensor([128.0, 0, 0], device=self.device)[:, None, None]
        blocks = (ycc - shift).view(count, 3, ph // 8, 8, pw // 8, 8).transpose(3, 4).reshape(count, -1, 64)
        quality = self.uniform(18, 92, count, 1, 1)
        factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
        quanta = (quanta * factor).clamp(min=1).round()
        waves = ((blocks @ transform.T) / quanta).round() * quanta
        blocks = (waves @ transform).view(count, 3, ph // 8, pw // 8, 8, 8)
        ycc = blocks.transpose(3, 4).reshape(count, 3, ph, pw) + shift
        done = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(YCC).to(self.device), ycc)[:, :, top : top + h, left : left + w]
        chosen = self.having(share, count)
        return (x * (1 - chosen) + done * chosen).clamp(0, 255)

    def photograph(self, canvas, hard, boxed=0.22, loose=1.0, matrix=None):
        """Straightened pictures (BGR, 0..255, HEIGHT x WIDTH) of canvases, and the matrices of their corners.

        `hard` (per picture) is 1 for flat made-up plates and less for pictures that a camera has been at already.
        """
        width = int(math.exp(self.rng.uniform(math.log(46), math.log(230))))
        height = max(15, round(width / 3 * math.exp(self.rng.normal(0.05, 0.22))))
        height = min(height, 96)
        if self.rng.random() < 0.2:
            # Far off and cut upright: plates come flat and small.
            width = int(self.rng.integers(56, 120))
            height = max(14, round(width / self.rng.uniform(3.4, 4.6)))
        if matrix is None:
            matrix = self.corners(len(canvas), boxed, loose)
        hard = hard[:, None, None, None]
        x = self.warp(canvas, matrix, height, width)
        x = self.light(x, hard)
        x = self.blur(x, hard)
        x = self.sensor(x, hard)
        x = self.compress(x, 0.5)
        x = functional.interpolate(x, (HEIGHT, WIDTH), mode="bilinear", align_corners=False, antialias=width > WIDTH)
        return x.flip(1), matrix
