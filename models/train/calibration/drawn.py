"""Plates drawn by the reader's own generator, from a seed that it was not trained with: for counting what is taken for what.

    python drawn.py --material material.npz --count 20000 --out DIR

`material.npz` is that of models/train/reader. DIR becomes a set of cropped plates for `kakou eval`. Every province and
every character is as frequent as every other one in its place. Plates with a hidden character are left out.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reader"))

import cv2
import numpy
import torch

from alphabet import decode
from batches import Material
from camera import Camera
from compose import Composer

CHUNK = 40
SEED = 990_011


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--material", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    device = torch.device("cpu")
    packed = Material(arguments.material, device)
    composer, camera = Composer(packed.pictures, packed.table, device, SEED), Camera(device, SEED + 1)
    rng = numpy.random.default_rng(SEED + 2)
    done = 0
    with torch.no_grad(), (arguments.out / "truth.jsonl").open("w") as truth:
        while done < arguments.count:
            canvas, facts = composer.plates(CHUNK)
            # From clean to as bad as the worst that it was trained on.
            hard = torch.from_numpy(rng.uniform(0.1, 1.0, CHUNK).astype(numpy.float32))
            picture, _ = camera.photograph(canvas.float(), hard, boxed=0.05, loose=0.7)
            seen = (facts["hidden"] == 0).all(1)
            for k in numpy.flatnonzero(seen):
                if done == arguments.count:
                    break
                text = decode(facts["text"][k])
                # The agent spells the O of old police plates as a zero.
                text = text[:1] + text[1:2].replace("O", "0") + text[2:]
                name = f"{done:06}.jpg"
                flat = picture[k].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
                cv2.imwrite(str(arguments.out / name), flat, [cv2.IMWRITE_JPEG_QUALITY, 95])
                truth.write(json.dumps({"image": name, "text": text}, ensure_ascii=False) + "\n")
                done += 1


if __name__ == "__main__":
    main()
