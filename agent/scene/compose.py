"""Make footage of rendered parts: python compose.py --sequence day --work DIR --out FOLDER

Lays the parts over the background, adds the sensor's noise, writes JPEG frames and the truth beside them.
"""
import argparse
import json
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from sequences import ALL, RATE

CLASSES = {"sedan": "car", "suv": "car", "van": "car", "truck": "truck", "bus": "bus"}
FEATHER = 8  # as render.py leaves around what moves
LEAST_VISIBLE = 24  # pixels of height from which a vehicle counts as in the picture


def lines(path, records):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")


def lay(picture, part, box):
    """Blend a rendered part in, softly where it does not end at the picture's edge."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    mask, ramp = np.ones(part.shape[:2], "float32"), np.linspace(0, 1, FEATHER, dtype="float32")
    if x0 > 0:
        mask[:, :FEATHER] *= ramp
    if x1 < width:
        mask[:, -FEATHER:] *= ramp[::-1]
    if y0 > 0:
        mask[:FEATHER] *= ramp[:, None]
    if y1 < height:
        mask[-FEATHER:] *= ramp[::-1, None]
    under = picture[y0:y1, x0:x1]
    picture[y0:y1, x0:x1] = under * (1 - mask[..., None]) + part * mask[..., None]


def noise(dice, shape, strength):
    """Mostly noise of brightness, with a little of colour."""
    grey = dice.normal(0, strength, (*shape[:2], 1))
    colour = dice.normal(0, strength * 0.4, shape)
    return (grey + colour).astype("float32")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequence", choices=ALL, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sequence = ALL[options.sequence]
    options.out.mkdir(parents=True, exist_ok=True)

    background = cv2.imread(str(options.work / "background.png")).astype("float32")
    dice, start = np.random.default_rng(7), datetime.fromisoformat(sequence.time)
    frames, plates, seen, clean = [], [], {}, background
    for number in range(sequence.frames):
        source = options.work / f"{number:06d}.json"
        if not source.exists():  # a preview
            continue
        record, name = json.loads(source.read_text(encoding="utf-8")), f"{number:06d}.jpg"
        picture = background.copy()
        for x0, y0, x1, y1 in ([round(k) for k in box] for box in record["kept"]):  # stood still: as it was
            picture[y0:y1, x0:x1] = clean[y0:y1, x0:x1]
        for part in record["parts"]:
            lay(picture, cv2.imread(str(options.work / part["file"])).astype("float32"), part["box"])
        clean = picture
        picture = cv2.GaussianBlur(picture, (0, 0), sequence.softness) + noise(dice, picture.shape, sequence.noise)
        style = [cv2.IMWRITE_JPEG_QUALITY, sequence.quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        cv2.imwrite(str(options.out / name), np.clip(picture, 0, 255).astype("uint8"), style)

        time = start + timedelta(milliseconds=1000 // RATE * number)
        frames.append({"file": name, "time": time.isoformat(timespec="milliseconds")})
        plates.append({"image": name, "plates": [{k: p[k] for k in ("text", "colour", "quad")} for p in record["plates"] if p["seen"]]})
        for vehicle in record["vehicles"]:
            if vehicle["box"][3] - vehicle["box"][1] >= LEAST_VISIBLE:
                seen.setdefault(vehicle["passage"], []).append(number / RATE)

    passages = [
        {"text": p.text, "colour": p.colour, "class": CLASSES[p.kind], "lane": p.lane,
         "direction": "leaving" if sequence.leaving else "approaching", "from_s": seen[i][0], "to_s": seen[i][-1]}
        for i, p in enumerate(sequence.passages) if i in seen
    ]
    lines(options.out / "frames.jsonl", frames)
    lines(options.out / "plates.jsonl", plates)
    lines(options.out / "truth.jsonl", [{"footage": sequence.name, "passages": passages, "note": sequence.note}])
    size = sum(f.stat().st_size for f in options.out.glob("*.jpg"))
    print(f"{len(frames)} frames, {size / 2**20:.2f} MiB, {size / 1024 / len(frames):.1f} KiB a frame")


if __name__ == "__main__":
    main()
