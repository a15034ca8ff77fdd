"""Worn pictures and recordings made of sets of pictures with a truth: reads that go wrong, whose truth is known.

    python wear.py pictures SETS... --out DIR [--each N]      # as `kakou eval` takes them: worse, once or several times
    python wear.py recordings SETS... --out DIR [--every N]   # each picture comes nearer over a second, at ten a second

Good pictures are read right nearly always, so they say little about how sure a read is. What is done to them is what a
camera does: smaller, blurred, dark, noisy, compressed. The plates stay real; nothing is drawn.
"""

import argparse
import json
import pathlib
import random
import zlib

import numpy
from PIL import Image, ImageFilter

FRAMES, RATE = 10, 10
# The largest frame of a recording.
FRAME = (960, 720)


def entries(folder):
    for line in (folder / "truth.jsonl").read_text().splitlines():
        if line.strip():
            yield json.loads(line)


def plates_of(entry):
    return entry.get("plates") or [{k: v for k, v in entry.items() if k != "image"}]


def drawn(key):
    """The same for a picture whatever else is made."""
    return random.Random(zlib.crc32(key.encode()))


def moved_blur(picture, length, upright):
    if length < 1.5:
        return picture
    size = 3 if length < 3 else 5
    kernel = numpy.zeros((size, size))
    kernel[:, size // 2] = 1
    kernel = kernel if upright else kernel.T
    return picture.filter(ImageFilter.Kernel((size, size), kernel.flatten().tolist(), size))


class Camera:
    """What stays the same while a picture is looked at, and what changes with each look."""

    def __init__(self, rng, hard):
        self.rng = rng
        self.gain = rng.choice([1.0, 1.0, rng.uniform(0.35, 1.0), rng.uniform(1.0, 1.35)])
        self.noise = rng.uniform(1, 3 + 9 * hard)
        self.blur = rng.uniform(0, 0.3 + 0.9 * hard)
        self.quality = round(rng.uniform(85 - 45 * hard, 92))
        self.motion = rng.uniform(0, 1.5 + 3 * hard)
        self.numbers = numpy.random.default_rng(rng.randrange(1 << 30))

    def shoot(self, picture):
        rng = self.rng
        if self.blur > 0.25:
            picture = picture.filter(ImageFilter.GaussianBlur(self.blur * rng.uniform(0.7, 1.2)))
        picture = moved_blur(picture, self.motion * rng.uniform(0.3, 1.0), rng.random() < 0.7)
        pixels = numpy.asarray(picture, numpy.float32) * self.gain * rng.uniform(0.95, 1.05)
        pixels = pixels + self.numbers.normal(0, self.noise, (*pixels.shape[:2], 1)) + self.numbers.normal(
            0, self.noise / 2, pixels.shape)
        return Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))


def smaller(picture, scale):
    size = tuple(max(8, round(side * scale)) for side in picture.size)
    return picture.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR)


def pictures(folder, out, each):
    out.mkdir(parents=True, exist_ok=True)
    with (out / "truth.jsonl").open("w") as truth:
        for entry in entries(folder):
            whole = Image.open(folder / entry["image"]).convert("RGB")
            crop = "plates" not in entry and "quad" not in entry
            for k in range(each):
                rng = drawn(f"{folder.name}/{entry['image']}/{k}")
                hard = rng.random()
                # A small picture is a near one cut out; large ones have plates that bear more.
                least = 0.45 if crop or max(whole.size) < 600 else 0.3
                scale = 1 - hard * rng.uniform(0.3, 1.0) * (1 - least)
                camera = Camera(rng, hard * (0.6 if crop else 1.0))
                picture = camera.shoot(smaller(whole, scale))
                name = f"{pathlib.Path(entry['image']).stem}-{k}.jpg"
                picture.save(out / name, quality=camera.quality)
                copy = json.loads(json.dumps(entry)) | {"image": name}
                for plate in [copy, *copy.get("plates", [])]:
                    if plate.get("quad"):
                        plate["quad"] = [[x * scale, y * scale] for x, y in plate["quad"]]
                truth.write(json.dumps(copy, ensure_ascii=False) + "\n")


def recordings(folder, out, every):
    out.mkdir(parents=True, exist_ok=True)
    with (out / "truth.jsonl").open("w") as truth:
        for entry in list(entries(folder))[::every]:
            whole = Image.open(folder / entry["image"]).convert("RGB")
            rng = drawn(f"{folder.name}/{entry['image']}/recording")
            stem = pathlib.Path(entry["image"]).stem
            (out / stem).mkdir(exist_ok=True)
            last = min(FRAME[0] / whole.width, FRAME[1] / whole.height, 1.3)
            first = last * rng.uniform(0.3, 0.5)
            camera = Camera(rng, rng.random() ** 1.5)
            size = (round(whole.width * last), round(whole.height * last))
            edge = smaller(whole, last).filter(ImageFilter.GaussianBlur(20))
            for k in range(FRAMES):
                scale = first * (last / first) ** (k / (FRAMES - 1))
                view = smaller(whole, scale)
                frame = edge.resize(size)
                # The vanishing point lies above the middle.
                left = (size[0] - view.width) / 2 + rng.uniform(-1.5, 1.5)
                top = (size[1] - view.height) * 0.35 + rng.uniform(-1.5, 1.5)
                frame.paste(view, (round(left), round(top)))
                camera.shoot(frame).save(out / stem / f"{k:03}.jpg", quality=camera.quality)
            passages = [{"text": p["text"], "from_s": 0, "to_s": FRAMES / RATE} for p in plates_of(entry)]
            truth.write(json.dumps({"footage": stem, "passages": passages}, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["pictures", "recordings"])
    parser.add_argument("sets", type=pathlib.Path, nargs="+")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--each", type=int, default=1, help="worn pictures of each picture")
    parser.add_argument("--every", type=int, default=1, help="one recording of so many pictures")
    arguments = parser.parse_args()
    for folder in arguments.sets:
        out = arguments.out / folder.name
        if arguments.kind == "pictures":
            pictures(folder, out, arguments.each)
        else:
            recordings(folder, out, arguments.every)


if __name__ == "__main__":
    main()
