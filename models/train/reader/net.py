"""The reader's network: a small residual net, attention that picks one place per character, four heads.

Input is a straightened plate, whatever its kind; a two-row plate fills the same rectangle. The text head has nine
slots: slot k looks for the k-th character of the text. Which place a slot looks at is learnt, and while training on
made-up plates it is also told, because the generator knows where each character stands. A character written twice
stands in two places and so cannot melt into one, as it does in readers that walk along the columns.
"""

import torch
from torch import nn
from torch.nn import functional

from alphabet import COLOURS, HEIGHT, SLOTS, SYMBOLS, WIDTH

# Rows and columns of the feature map that the slots look at.
MAP = (HEIGHT // 8, WIDTH // 4)


class Convolution(nn.Module):
    """A convolution with its batch norm, which export folds into it."""

    def __init__(self, inputs, outputs, kernel=3, stride=1, active=True):
        super().__init__()
        kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x):
        x = self.norm(self.convolution(x))
        # ReLU, because it melts into an 8-bit convolution; smoother activations do not.
        return functional.relu(x) if self.active else x


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = Convolution(channels, channels)
        self.second = Convolution(channels, channels, active=False)

    def forward(self, x):
        return functional.relu(x + self.second(self.first(x)))


class Reader(nn.Module):
    """Returns logits: text (batch, slots, symbols), colour, rows, plate; and the slots' places."""

    def __init__(self, channels=(32, 48, 96, 128), width=128):
        super().__init__()
        a, b, c, d = channels
        self.body = nn.Sequential(
            Convolution(3, a, 3, 2),
            Convolution(a, b, 3, 2),
            Residual(b),
            Convolution(b, c, 3, (2, 1)),
            Residual(c),
            Convolution(c, d, 3, 1),
            Residual(d),
        )
        # Where on the plate a feature stands, and what kind of plate it is: together they say which
        # character of the text it belongs to.
        self.place = nn.Parameter(torch.randn(1, d, *MAP) * 0.1)
        self.whole = nn.Linear(d, d)
        self.along = Convolution(d, d // 2, 1)
        self.wide = Convolution(d // 2, d // 2, (3, 9))
        self.where = nn.Conv2d(d // 2, SLOTS, 1)
        self.values = Convolution(d, width, 1)
        self.slot = nn.Parameter(torch.randn(1, SLOTS, width) * 0.1)
        self.hidden = nn.Linear(width, width)
        self.text = nn.Linear(width, len(SYMBOLS) + 1)
        self.look = nn.Linear(d, 64)
        self.colour = nn.Linear(64, len(COLOURS))
        self.rows = nn.Linear(64, 2)
        self.plate = nn.Linear(64, 2)

    def forward(self, x):
        x = self.body(x)
        whole = x.mean((2, 3))
        placed = x + self.place + self.whole(whole)[:, :, None, None]
        where = self.where(self.wide(self.along(functional.relu(placed)))).flatten(2)
        values = self.values(x).flatten(2).transpose(1, 2)
        seen = torch.softmax(where, 2) @ values + self.slot
        text = self.text(functional.relu(self.hidden(seen)) + seen)
        look = functional.relu(self.look(whole))
        return text, self.colour(look), self.rows(look), self.plate(look), where


class Normalised(nn.Module):
    """The net as it is exported: takes bytes' values, evens out light itself, gives probabilities."""

    def __init__(self, reader, temperature=1.0):
        super().__init__()
        self.reader = reader
        self.temperature = temperature

    def forward(self, picture):
        text, colour, rows, plate, _ = self.reader(normalise(picture))
        return (
            torch.softmax(text / self.temperature, 2),
            torch.softmax(colour, 1),
            torch.softmax(rows, 1),
            torch.softmax(plate, 1),
        )


def normalise(picture):
    """Mean and spread of the whole picture, not per channel: the colour must stay visible."""
    picture = picture - picture.mean((1, 2, 3), keepdim=True)
    spread = (picture * picture).mean((1, 2, 3), keepdim=True).sqrt()
    return picture / (spread + 4.0)
