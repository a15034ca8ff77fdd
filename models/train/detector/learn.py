"""Trains the detector for a given time.

    python learn.py --material scenes.npz --public clp_det.onnx --seconds 560 --out FOLDER [--start plates.pt]

The middle of the network begins as the public detector's (Apache-2.0), and for the first part of the time its features
are also to be like that one's: so what it knows of real pictures is kept while the truth of made-up pictures is learnt.
FOLDER gets `plates.pt` (averaged weights), now and then while it runs and at its end, a log, and the 32-bit ONNX file.
"""

import argparse
import copy
import json
import math
import os
import pathlib
import time
import traceback

# Before PyTorch: many processes share the processors.
os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch  # noqa: E402

import public  # noqa: E402
from feed import HEIGHT, WIDTH, Feed  # noqa: E402
from losses import figures, likeness, losses  # noqa: E402
from retina import MEAN, Plates, priors  # noqa: E402

RATE, NEW_RATE, DECAY = 1.2e-3, 2.4e-3, 1e-3
WARM_UP = 150
# What came from the public detector waits for the first layer, which is new, by this part of the time.
WAITS = 0.1
PARTS = {"plate": 1.0, "background": 1.0, "box": 0.6, "corner": 1.2}
# How much likeness to the public detector counts at first; it is let go by this part of the time.
LIKE, LET_GO = 1.0, 0.6
SAVE_EVERY = 45.0
AVERAGE = 0.998


class Log:
    def __init__(self, path):
        self.file, self.begun = path.open("a"), time.time()

    def __call__(self, **values):
        line = json.dumps({"s": round(time.time() - self.begun, 1), **values})
        print(line, flush=True)
        print(line, file=self.file, flush=True)


def ready(picture, mean):
    return picture.float() - mean


@torch.no_grad()
def averaged(kept, net, steps):
    """Weights and statistics averaged over the last steps; at the beginning over fewer."""
    share = min(AVERAGE, (1 + steps) / (10 + steps))
    pairs = [(a, b) for a, b in zip(kept.state_dict().values(), net.state_dict().values()) if a.dtype.is_floating_point]
    torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - share)


def save(net, path):
    half_done = path.with_suffix(".part")
    torch.save({k: v.cpu() for k, v in net.state_dict().items()}, half_done)
    half_done.replace(path)


@torch.no_grad()
def check(net, held, prior, mean, mixed):
    net.eval()
    found = plates = wrong = pictures = 0
    errors = []
    for batch in held:
        with mixed():
            answer = net(ready(batch["picture"], mean))
        f, p, e, w = figures(tuple(a.float() for a in answer), batch, prior)
        found, plates, wrong, pictures = found + f, plates + p, wrong + w, pictures + len(batch["picture"])
        errors.append(e)
    error = round(sum(errors) / len(errors), 4)
    return {"found": f"{found}/{plates}", "corners": error, "wrong": f"{wrong}/{pictures}"}


def groups(net, rate):
    """What came from the public detector learns at half the rate; vectors do not decay."""
    kept, new = ([], []), ([], [])
    for name, weight in net.named_parameters():
        place = kept if name.startswith("body.") else new
        place[weight.dim() == 1].append(weight)
    part = lambda weights, scale, decay, waits: {
        "params": weights, "scale": scale, "weight_decay": decay, "waits": waits}
    new_scale = NEW_RATE / RATE
    return [part(kept[0], 1.0, DECAY, True), part(kept[1], 1.0, 0.0, True),
            part(new[0], new_scale, DECAY, False), part(new[1], new_scale, 0.0, False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--material", required=True)
    parser.add_argument("--public", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--start", type=pathlib.Path, help="weights to go on with")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--makers", help="what makes the pictures, if not --device")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    # The end takes a few seconds, too.
    until = time.time() + max(5.0, arguments.seconds - 10.0)
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = Log(arguments.out / "log.jsonl")
    device = torch.device(arguments.device)
    log(arguments={k: str(v) for k, v in vars(arguments).items()}, torch=torch.__version__)
    torch.manual_seed(arguments.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    cuda = device.type == "cuda"
    mixed = lambda: torch.autocast(device.type, torch.bfloat16, enabled=cuda)
    with Feed(arguments.material, device, arguments.workers, 1000 * arguments.seed, arguments.makers) as feed:
        train(arguments, feed, device, mixed, until, log)


def train(arguments, feed, device, mixed, until, log):
    theirs = public.load(arguments.public).to(device)
    mean = torch.tensor(MEAN, device=device)[:, None, None]
    prior = torch.from_numpy(priors(HEIGHT, WIDTH)).to(device)
    held = [feed.batch(24, 2)]
    with torch.no_grad():
        net = public.begun(theirs, ready(held[0]["picture"][:8], mean))
    if arguments.start:
        net.load_state_dict(torch.load(arguments.start, map_location=device))
    kept = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(groups(net, arguments.rate), lr=arguments.rate, betas=(0.9, 0.98))
    begun = time.time()
    log(first_chunk=True, parameters=sum(p.numel() for p in net.parameters()))
    saved, told, step, shown = begun, begun, 0, {}
    path = arguments.out / "plates.pt"
    while time.time() < until:
        done = min(1.0, (time.time() - begun) / max(1e-3, until - begun))
        rate = arguments.rate * min(1.0, (step + 1) / WARM_UP) * max(0.004, 0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["scale"] * (min(1.0, done / WAITS) ** 2 if group["waits"] else 1.0)
        try:
            batch = feed.batch(arguments.batch, 6)
            if step == 60:
                # Chunks of all processes are there by now. For a glance while it trains; `measure.py` is what counts.
                held = [feed.batch(48, 12) for _ in range(2)]
        except TimeoutError as error:
            # What was learnt until here is kept.
            log(ended_early=str(error))
            break
        picture = ready(batch["picture"], mean)
        net.train()
        with torch.no_grad(), mixed():
            _, their_score, _, their_features = theirs(picture, features=True)
        with mixed():
            *answer, features = net(picture, features=True)
        answer = [a.float() for a in answer]
        cost = losses(answer, their_score.float().softmax(2)[..., 1], batch, prior)
        like = likeness(features, their_features)
        share = LIKE * max(0.0, 1 - done / LET_GO)
        loss = sum(PARTS[k] * v for k, v in cost.items()) + share * like
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        grown = torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        # A step that cannot be taken is left out.
        if torch.isfinite(grown):
            optimiser.step()
        averaged(kept, net, step)
        step += 1
        if time.time() - told > 10 or step in (1, 20, 100):
            told = time.time()
            shown = {k: round(v.item(), 4) for k, v in {**cost, "like": like}.items()}
            log(step=step, rate=round(rate, 6), made=feed.come, **shown)
        if time.time() - saved > SAVE_EVERY:
            saved = time.time()
            save(kept, path)
            log(saved=step, **check(kept, held, prior, mean, mixed))
    save(kept, path)
    log(done=step, made=feed.come, seconds=round(time.time() - begun, 1), **check(kept, held, prior, mean, mixed))
    try:
        from quantise import write

        write(path, arguments.out / "plates-fp32.onnx")
        log(written="plates-fp32.onnx")
    except Exception:
        # The weights are what counts; the file can be made elsewhere.
        log(not_written=traceback.format_exc()[-400:])


if __name__ == "__main__":
    main()
