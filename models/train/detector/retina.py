"""The network: a MobileNet of a quarter of the usual width, a pyramid of three levels, context and a head on each.

It answers over the priors of the model card of kind `retina-plate`, so the agent reads it as it reads the public
detector. `Public` is that one, to learn from. `Plates` is ours. Where they differ, 8 bits are the reason:

- plain ReLUs, which are folded into a convolution; leaky ones are not;
- the first three layers, on half the picture's size and with 8 channels, took more than half of the time at 8 bits. One
  convolution that steps four pixels does their work;
- a pyramid 48 wide, and one branch less in the context.
"""

import numpy
import torch
from torch import nn
from torch.nn import functional

STRIDES = (8, 16, 32)
# Side lengths of the two priors of each stride, in pixels of the input.
SIZES = ((24.0, 48.0), (96.0, 192.0), (384.0, 768.0))
VARIANCES = (0.1, 0.2)
MEAN = (104.0, 117.0, 123.0)
# Width and stride of the pairs of a depthwise and a pointwise convolution.
PAIRS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1), (128, 1), (128, 1),
         (256, 2), (256, 1))
# Ours begins after the second of them. The pyramid takes the last pair of each width.
SKIPPED = 2
TAKEN = (4, 10, 12)
WIDTH = 48
# Box values, scores and corner values of the two priors of a cell.
OUTPUTS = 28


class Conv(nn.Module):
    """A convolution with its activation. While training there is a normalisation between them; `fold` ends that."""

    def __init__(self, before, after, size, stride=1, groups=1, act="relu", normal=True):
        super().__init__()
        self.conv = nn.Conv2d(before, after, size, stride, size // 2, groups=groups)
        self.normal = nn.BatchNorm2d(after, momentum=0.03) if normal else nn.Identity()
        self.act = {"relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.1), "none": nn.Identity()}[act]

    def forward(self, x):
        return self.act(self.normal(self.conv(x)))

    @torch.no_grad()
    def fold(self):
        n = self.normal
        if isinstance(n, nn.BatchNorm2d):
            scale = n.weight / (n.running_var + n.eps).sqrt()
            self.conv.weight.mul_(scale[:, None, None, None])
            self.conv.bias.sub_(n.running_mean).mul_(scale).add_(n.bias)
            self.normal = nn.Identity()


def pair(before, after, stride, act="relu", normal=True):
    return nn.Sequential(Conv(before, before, 3, stride, before, act, normal),
                         Conv(before, after, 1, 1, 1, act, normal))


class PublicContext(nn.Module):
    def __init__(self, width):
        super().__init__()
        conv = lambda a, b, act: Conv(a, b, 3, act=act, normal=False)
        self.near = conv(width, width // 2, "none")
        self.down = conv(width, width // 4, "leaky")
        self.middle = conv(width // 4, width // 4, "none")
        self.down_again = conv(width // 4, width // 4, "leaky")
        self.far = conv(width // 4, width // 4, "none")

    def forward(self, x):
        down = self.down(x)
        return functional.relu(torch.cat([self.near(x), self.middle(down), self.far(self.down_again(down))], 1))


class Context(nn.Module):
    """What is near, and what is farther round it. Widths are multiples of 16: others cost as much as the next one."""

    def __init__(self, width):
        super().__init__()
        self.near = Conv(width, width - 16, 3)
        self.far = nn.Sequential(Conv(width, 16, 3), Conv(16, 16, 3), Conv(16, 16, 3))

    def forward(self, x):
        return torch.cat([self.near(x), self.far(x)], 1)


class Retina(nn.Module):
    """The parts in common; `stem`, `body`, `begins`, `taken`, `across`, `merge`, `context`, `heads` come from below."""

    def features(self, picture):
        """What the first layers give, on a quarter of the picture's size, and what the pyramid is made of."""
        x, found = self.stem(picture), []
        for k, part in enumerate(self.body):
            if k == self.begins:
                found.append(x)
            x = part(x)
            if k in self.taken:
                found.append(x)
        return found

    def levels(self, features):
        up = lambda small, large: large + functional.interpolate(small, size=large.shape[2:], mode="nearest")
        low, middle, high = (conv(x) for conv, x in zip(self.across, features))
        middle = self.merge[1](up(high, middle))
        low = self.merge[0](up(middle, low))
        return [context(x) for context, x in zip(self.context, (low, middle, high))]

    def forward(self, picture, features=False):
        """Box offsets, logits and corner offsets over all priors; at wish also the `features`."""
        taken = self.features(picture)
        boxes, scores, corners = [], [], []
        for head, x in zip(self.heads, self.levels(taken[1:])):
            # Corners need more digits than half precision has.
            with torch.autocast(x.device.type, enabled=False):
                y = head(x.float()).permute(0, 2, 3, 1)
            boxes.append(y[..., :8].reshape(y.shape[0], -1, 4))
            scores.append(y[..., 8:12].reshape(y.shape[0], -1, 2))
            corners.append(y[..., 12:].reshape(y.shape[0], -1, 8))
        answer = torch.cat(boxes, 1), torch.cat(scores, 1), torch.cat(corners, 1)
        return (*answer, taken) if features else answer


def chain(pairs, before, act, normal):
    parts = []
    for after, stride in pairs:
        parts.append(pair(before, after, stride, act, normal))
        before = after
    return nn.ModuleList(parts)


class Public(Retina):
    def __init__(self, width=64):
        super().__init__()
        self.stem = Conv(3, 8, 3, 2, act="leaky", normal=False)
        self.body = chain(PAIRS, 8, "leaky", False)
        self.begins, self.taken = SKIPPED, TAKEN
        self.across = nn.ModuleList(Conv(PAIRS[k][0], width, 1, act="leaky", normal=False) for k in TAKEN)
        self.merge = nn.ModuleList(Conv(width, width, 3, act="leaky", normal=False) for _ in range(2))
        self.context = nn.ModuleList(PublicContext(width) for _ in STRIDES)
        self.heads = nn.ModuleList(nn.Conv2d(width, OUTPUTS, 1) for _ in STRIDES)


class Plates(Retina):
    def __init__(self, width=WIDTH):
        super().__init__()
        first = PAIRS[SKIPPED - 1][0]
        self.stem = Conv(3, first, 5, 4)
        self.body = chain(PAIRS[SKIPPED:], first, "relu", True)
        self.begins, self.taken = 0, tuple(k - SKIPPED for k in TAKEN)
        self.across = nn.ModuleList(Conv(PAIRS[k][0], width, 1) for k in TAKEN)
        self.merge = nn.ModuleList(Conv(width, width, 3) for _ in range(2))
        self.context = nn.ModuleList(Context(width) for _ in STRIDES)
        self.heads = nn.ModuleList(nn.Conv2d(width, OUTPUTS, 1) for _ in STRIDES)
        for head in self.heads:
            # Hardly any prior is a plate.
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            head.bias.data[8:12] = torch.tensor([2.0, -2.0, 2.0, -2.0])


def fold(net):
    """Takes the normalisations into the convolutions."""
    for part in net.modules():
        if isinstance(part, Conv):
            part.fold()
    return net


def priors(height, width):
    """All priors as (N, 3): centre x, centre y and size, in pixels."""
    found = []
    for stride, sizes in zip(STRIDES, SIZES):
        y, x = numpy.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
        cell = [numpy.stack([(x + 0.5) * stride, (y + 0.5) * stride, numpy.full(x.shape, size)], -1) for size in sizes]
        found.append(numpy.stack(cell, 2).reshape(-1, 3))
    return numpy.concatenate(found).astype(numpy.float32)


def encode(quad, prior):
    """Box and corner offsets that name a plate: quads (..., 4, 2) and priors (..., 3), in pixels."""
    at, size = prior[..., :2], prior[..., 2:]
    low, high = quad.amin(-2), quad.amax(-2)
    middle = ((low + high) / 2 - at) / (VARIANCES[0] * size)
    length = ((high - low).clamp(min=1) / size).log() / VARIANCES[1]
    corner = (quad - at[..., None, :]) / (VARIANCES[0] * size[..., None])
    return torch.cat([middle, length], -1), corner.flatten(-2)


def corners(offsets, prior):
    """The quads that corner offsets name."""
    return prior[..., None, :2] + offsets.unflatten(-1, (4, 2)) * VARIANCES[0] * prior[..., None, 2:]
