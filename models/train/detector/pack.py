"""Everything that needs fonts or pictures, packed into one file before training.

    python pack.py --samples ../../../agent/samples --pictures FOLDER... [--crops CROPS... --aligned aligned.jsonl] \
        --out scenes.npz

`aligned.jsonl` comes from the reader's align.py and says where the plate is in a real crop; `--pictures` are those of
the reader's pictures.py and of photos.py. Training itself runs anywhere, without fonts.
"""

import argparse
import json
import pathlib
import random
import sys

import cv2
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reader"))
import align  # noqa: E402
import drawn  # noqa: E402
import negatives  # noqa: E402
from material import CANVAS, PLACED, atlas, flatten, packed  # noqa: E402

# Pictures to lay things on, and rendered frames with the corners of their plates.
GROUND, FRAME = (384, 640), (540, 960)
QUADS = 3
WRITING = (40, 320)


def grounds(rng, paths, count):
    """Pieces of pictures without a plate, and textures between them."""
    pictures = [cv2.imread(str(path)) for path in paths]
    found = []
    for picture in pictures:
        height, width = picture.shape[:2]
        high = min(height, int(width * GROUND[0] / GROUND[1]))
        y = (height - high) // 2
        found.append(cv2.resize(picture[y : y + high], GROUND[::-1], interpolation=cv2.INTER_AREA))
    while len(found) < count:
        picture = cv2.resize(negatives.texture(rng, (96, 160)), GROUND[::-1], interpolation=cv2.INTER_CUBIC)
        if rng.random() < 0.7 and pictures:
            part = negatives.piece(rng, pictures, GROUND)
            share = rng.uniform(0.2, 1)
            picture = cv2.addWeighted(part, share, picture, 1 - share, 0)
        for _ in range(rng.randint(0, 3)):
            x, y, w, h = rng.randint(0, 480), rng.randint(0, 300), rng.randint(40, 160), rng.randint(20, 84)
            kind = rng.choice([negatives.bars, negatives.sign])
            picture[y : y + h, x : x + w] = kind(rng, (h, w))
        found.append(picture)
    return found


def frames(folder, every):
    """Rendered frames and the corners of their plates, scaled to FRAME."""
    for line in (folder / "plates.jsonl").read_text().splitlines()[::every]:
        frame = json.loads(line)
        picture = cv2.imread(str(folder / frame["image"]))
        scale = numpy.float32([FRAME[1] / picture.shape[1], FRAME[0] / picture.shape[0]])
        quads = numpy.zeros((QUADS, 4, 2), numpy.float32)
        for k, plate in enumerate(frame["plates"][:QUADS]):
            # Theirs begin with the right bottom; ours with the left top.
            quads[k] = numpy.float32(plate["quad"])[[2, 3, 0, 1]] * scale
        yield cv2.resize(picture, FRAME[::-1], interpolation=cv2.INTER_AREA), quads


def crops(folders, aligned, most, rng):
    """Real plates laid flat with their surroundings."""
    lines = [line for line in map(json.loads, aligned.read_text().splitlines()) if line["score"] >= PLACED]
    by_name = {folder.name: folder for folder in folders}
    for line in rng.sample(lines, min(most, len(lines))):
        crop = cv2.imread(str(by_name[line["folder"]] / line["image"]))
        yield flatten(crop, line["quad"])


def writings(rng, count):
    """Texts as cover alone: overlays, painted words."""
    for _ in range(count):
        picture = numpy.zeros((*WRITING, 3), numpy.uint8)
        while picture.max() < 128:
            picture[:] = 0
            negatives.write(rng, picture, negatives.writing(rng))
        high = picture.max()
        yield numpy.minimum(255, picture.max(2).astype(numpy.int32) * 255 // high).astype(numpy.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=pathlib.Path, required=True)
    parser.add_argument("--pictures", nargs="+", type=pathlib.Path, required=True)
    parser.add_argument("--crops", nargs="*", type=pathlib.Path, default=[], help="none: only made-up plates")
    parser.add_argument("--aligned", type=pathlib.Path)
    parser.add_argument("--most", type=int, default=1300, help="real plates")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    rng = random.Random(12)
    pictures, table = atlas({})
    unplated = [path for folder in arguments.pictures for path in sorted(folder.iterdir())]
    # Every fourth frame: neighbours are alike.
    samples = sorted(p.parent for p in arguments.samples.glob("*/plates.jsonl"))
    shown = [f for folder in samples for f in frames(folder, 4)]
    real = list(crops(arguments.crops, arguments.aligned, arguments.most, rng)) if arguments.crops else []
    sprites = [drawn.sprite(rng) for _ in range(260)]
    kept = {"pictures": pictures, "table": table}
    for name, found, quality in (
        ("ground", grounds(rng, unplated, 130), 78),
        ("frame", [picture for picture, _ in shown], 82),
        ("real", real, 86),
        ("none", negatives.pool(unplated, CANVAS, 700), 76),
        ("sprite", [picture for picture, _, _ in sprites], 75),
        ("cover", [cover for _, cover, _ in sprites], 60),
        ("writing", list(writings(rng, 300)), 75),
    ):
        kept[name], kept[name + "_starts"] = packed(found, quality)
    # The reader's pictures.py painted over what has truth; far plates of the rendered frames have none.
    rendered = [path.name.startswith(tuple(f"{folder.name}-" for folder in samples)) for path in unplated]
    kept["ground_more"] = numpy.array(rendered + [False] * (len(kept["ground_starts"]) - 1 - len(rendered)))
    kept["frame_quads"] = numpy.stack([quads for _, quads in shown])
    kept["sprite_place"] = numpy.float32([place for _, _, place in sprites])
    numpy.savez_compressed(arguments.out, **kept)
    sizes = {name: round(kept[name].nbytes / 1e6, 2) for name in kept if not name.endswith("_starts")}
    print(json.dumps({"megabytes": sizes, "file": round(arguments.out.stat().st_size / 1e6, 1)}))


if __name__ == "__main__":
    main()
