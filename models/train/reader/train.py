"""Trains the reader for a given time and leaves its weights, averaged over the last steps, in a file.

    python train.py --material material.npz --seconds 540 --out reader.pt

The schedule follows the clock, so that a slow machine ends in time with fewer steps. On the processor of an edge box
that takes hours; see README.md.
"""

import argparse
import copy
import json
import math
import pathlib
import time

import torch
from torch.nn import functional

import hide
from alphabet import SYMBOLS, decode
from batches import Batches, Material, where
from loader import Loader
from net import Reader, normalise

# How much each head's loss counts. Places help most at the start; later the text decides alone.
WHERE, COLOUR, ROWS, PLATE = 1.0, 0.15, 0.1, 0.2
WARM_UP = 300
# How often a training says where it is and leaves its weights, in seconds.
SAYS, SAVES = 25, 60


def possible(device):
    """For each way of being hidden, an even target over what a character may be: (ways, symbols)."""
    target = torch.zeros(3, len(SYMBOLS) + 1, device=device)
    target[hide.PROVINCE, hide.FIRST_PROVINCE : hide.LAST_PROVINCE + 1] = 1
    target[hide.SERIAL, 1 : hide.LAST_SERIAL + 1] = 1
    return target / target.sum(1, keepdim=True).clamp(min=1)


def text_loss(text, targets):
    """Cross entropy; where a character is hidden, what is above the least that an even target can have."""
    likely, truth, hidden = functional.log_softmax(text, 2), targets["text"], targets["hidden"]
    seen = -likely.gather(2, truth[..., None])[..., 0]
    even = possible(text.device)
    least = -(even * even.clamp(min=1e-9).log()).sum(1)
    spread = -(likely * even[hidden]).sum(2) - least[hidden]
    return torch.where(hidden == hide.SEEN, seen, spread).mean()


def losses(net, picture, targets):
    text, colour, rows, plate, looks = net(normalise(picture.float()))
    n = len(targets["text"])
    text, looks = text[:n].float(), looks[:n].float()
    labels = torch.zeros(len(picture), dtype=torch.long, device=picture.device)
    labels[:n] = 1
    placed = targets["placed"]
    off = -(where(targets["at"]) * functional.log_softmax(looks, 2)).sum(2)
    return {
        "text": text_loss(text, targets) * 4,
        "where": (off * placed).sum() / placed.sum().clamp(min=1),
        "colour": functional.cross_entropy(colour[:n].float(), targets["colour"]),
        "rows": functional.cross_entropy(rows[:n].float(), targets["rows"]),
        "plate": functional.cross_entropy(plate.float(), labels),
    }


@torch.no_grad()
def read(net, pictures, device):
    """Texts, each text's smallest probability of a character, its first one's, and that there is a plate."""
    texts, sure, firsts, plates = [], [], [], []
    for part in pictures.split(512):
        text, _, _, plate, _ = net(normalise(part.to(device).float()))
        best, index = torch.softmax(text.float(), 2).max(2)
        texts.extend(decode(row) for row in index.tolist())
        sure.extend(best.min(1).values.tolist())
        firsts.extend(best[:, 0].tolist())
        plates.extend(torch.softmax(plate.float(), 1)[:, 1].tolist())
    return texts, sure, firsts, plates


def kept_out(material, batches):
    """The real crops that are not trained on, straightened, and their texts."""
    numbers = (material.kept_out > 0).nonzero()[0]
    canvas = material.real[torch.from_numpy(numbers).to(batches.device)].float()
    matrix = torch.eye(3, device=batches.device).expand(len(numbers), 3, 3)
    picture = batches.camera.warp(canvas, matrix, 64, 192).flip(1)
    return picture, [decode(row) for row in material.text[numbers]]


def right(texts, truth):
    return sum(a == b for a, b in zip(texts, truth)) / max(1, len(truth))


def groups(net):
    """Weight decay for matrices, none for what shifts and scales."""
    matrices = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": 0.03}, {"params": others, "weight_decay": 0.0}]


def follow(average, net, keep):
    with torch.no_grad():
        for a, b in zip(average.state_dict().values(), net.state_dict().values()):
            a.lerp_(b, 1 - keep) if a.dtype.is_floating_point else a.copy_(b)


def rate_at(part, step, most):
    """Up in the first steps, then down along a cosine of the time that has passed."""
    return most * min(1.0, (step + 1) / WARM_UP) * (0.004 + 0.498 * (1 + math.cos(math.pi * part)))


class Watch:
    """Measures now and then on the same pictures, and says so."""

    def __init__(self, material, device):
        batches = Batches(material, device, 999)
        self.device = device
        self.real, self.real_truth = kept_out(material, batches)
        size, many = (192, 8) if device.type == "cuda" else (64, 4)
        made, targets = zip(*(batches.chunk(size, 0.0) for _ in range(many)))
        count = len(targets[0]["text"])
        text = torch.cat([t["text"] for t in targets]).cpu()
        hidden = torch.cat([t["hidden"] for t in targets]).cpu()
        mainland = ((text >= hide.FIRST_PROVINCE) & (text <= hide.LAST_PROVINCE)).any(1)
        self.made, self.made_truth = torch.cat([m[:count] for m in made]), [decode(row) for row in text.tolist()]
        self.none = torch.cat([m[count:] for m in made])
        # Plates that are whole, those of no province, and those whose province is hidden.
        self.whole = (mainland & (hidden.max(1).values == 0)).nonzero()[:, 0].tolist()
        self.strange = (~mainland).nonzero()[:, 0].tolist()
        self.hidden = (hidden[:, 0] == hide.PROVINCE).nonzero()[:, 0].tolist()

    def line(self, net):
        texts, sure, _, _ = read(net, self.real, self.device)
        wrong = [(a, b, s) for a, b, s in zip(texts, self.real_truth, sure) if a != b]
        texts, _, first, plate = read(net, self.made, self.device)
        none = read(net, self.none, self.device)[3]
        part = lambda numbers: round(right([texts[i] for i in numbers], [self.made_truth[i] for i in numbers]), 4)
        return {
            "real": round(1 - len(wrong) / max(1, len(self.real_truth)), 4),
            "made": part(self.whole),
            "no province": part(self.strange),
            "hidden, surest": round(max((first[i] for i in self.hidden), default=0), 2),
            "hidden, mean": round(sum(first[i] for i in self.hidden) / max(1, len(self.hidden)), 3),
            "none taken": round(sum(p >= 0.5 for p in none) / len(none), 3),
            "plate left": round(sum(p < 0.5 for p in plate) / len(plate), 3),
            "sure and wrong": sum(s > 0.9 for _, _, s in wrong),
            "wrong": " ".join(f"{b}>{a}" for a, b, _ in wrong[:12]),
        }


def save(net, path):
    """Whole or not at all: what reads it may come at any time."""
    part = path.with_suffix(".part")
    torch.save(net.state_dict(), part)
    part.replace(path)


def train(arguments, net, average, batch, watch, device):
    began = said = saved = time.time()
    length = arguments.until - began if arguments.until else arguments.seconds
    optimiser = torch.optim.AdamW(groups(net), arguments.rate, betas=(0.9, 0.98))
    step, sums, steps = 0, {}, 0
    while (part := (time.time() - began) / length) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(part, step, arguments.rate)
        picture, targets = batch()
        net.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = losses(net, picture.contiguous(memory_format=torch.channels_last), targets)
        total = loss["text"] + WHERE * (1 - 0.85 * part) * loss["where"]
        total = total + COLOUR * loss["colour"] + ROWS * loss["rows"] + PLATE * loss["plate"]
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 3.0)
        optimiser.step()
        step, steps = step + 1, steps + 1
        follow(average, net, min(arguments.keep, (step + 1) / (step + 10)))
        for key, value in loss.items():
            sums[key] = sums.get(key, 0) + value.detach()
        if time.time() - said > min(SAYS, length / 6):
            mean = {key: round(float(value) / steps, 3) for key, value in sums.items()}
            now = time.time()
            line = {"seconds": round(now - began), "step": step, "a second": round(steps / (now - said), 1)}
            print(json.dumps(line | mean | watch.line(average), ensure_ascii=False), flush=True)
            sums, steps, said = {}, 0, time.time()
        if time.time() - saved > SAVES:
            save(average, arguments.out)
            saved = time.time()
    save(average, arguments.out)
    return step, time.time() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--material", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--until", type=float, help="instead: when training ends, in seconds since 1970")
    parser.add_argument("--chunk", type=int,
                        help="pictures of one size and compression; 512, and 64 without a graphics processor")
    parser.add_argument("--chunks", type=int, default=3, help="chunks in a batch")
    parser.add_argument("--workers", type=int, default=5, help="processes that make chunks; 0: none but this one")
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--real", type=float, default=0.25, help="part of real plates")
    parser.add_argument("--again", type=float, default=2.5, help="how often each picture is drawn")
    parser.add_argument("--keep", type=float, default=0.999, help="how slowly the averaged weights follow")
    parser.add_argument("--start", type=pathlib.Path, help="weights to go on from")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arguments.chunk = arguments.chunk or (512 if device.type == "cuda" else 64)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(arguments.seed)
    material = Material(arguments.material, device)
    watch = Watch(material, device)
    net = Reader().to(device, memory_format=torch.channels_last)
    if arguments.start:
        net.load_state_dict(torch.load(arguments.start, map_location=device))
    average = copy.deepcopy(net).eval()
    print(f"{device}, {sum(p.numel() for p in net.parameters())} weights", flush=True)
    if arguments.workers:
        source = Loader(arguments.material, device, arguments.workers, arguments.chunk, arguments.real,
                        arguments.seed, arguments.again)
        with source:
            draw = lambda: source.batch(arguments.chunk * arguments.chunks)
            step, seconds = train(arguments, net, average, draw, watch, device)
            print(f"{source.come} pictures made, each drawn {source.drawn / source.come:.1f} times")
    else:
        batches = Batches(material, device, arguments.seed)
        count = arguments.chunk * arguments.chunks
        make = torch.no_grad()(lambda: batches.batch(count, arguments.chunks, arguments.real))
        step, seconds = train(arguments, net, average, make, watch, device)
    done = {"steps": step, "plates": step * arguments.chunk * arguments.chunks, "seconds": round(seconds)}
    print(json.dumps(done | watch.line(average), ensure_ascii=False))


if __name__ == "__main__":
    main()
