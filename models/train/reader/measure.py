"""Measures the public reader and ours on the same pictures: by set, province, rows and colour.

    python measure.py --data DATA --models CACHE --ours plate-reader.onnx [--found found.json] [--list]

`--data` is a folder of sets as docs/measurements.md describes them, each with its `truth.jsonl`. Nothing is trained or
chosen on these pictures. Where a set says where its plates are, reading with the true corners is measured too; that
tells the reader's errors from the detector's.
"""

import argparse
import collections
import json
import pathlib
import time
from dataclasses import replace

import cv2
import numpy

from alphabet import PROVINCES
from detector import Detector, ordered
from readers import Ours, Public, plausible


def shown(read):
    """Whether a single picture's read is worth showing; see `acceptable` in the agent."""
    return (plausible(read.text) and read.mean >= 0.6) or (6 <= len(read.text) <= 8 and read.mean >= 0.85)


def shown_ours(read):
    """Ours says itself whether it saw a plate, so a sure text of any length may be shown."""
    known = plausible(read.text) and read.mean >= 0.6
    return read.plate >= 0.5 and (known or (len(read.text) >= 4 and read.mean >= 0.85))


def bin_of(sure):
    """The confidence of a text's least sure character, in steps."""
    return next(f"confidence below {top}" for top in (0.5, 0.8, 0.9, 0.95, 0.99, 1.01) if sure < top)


def sets(data, names):
    for name in names:
        for line in (data / name / "truth.jsonl").read_text().splitlines():
            entry = json.loads(line)
            plates = entry.get("plates") or [{k: v for k, v in entry.items() if k != "image"}]
            yield name, entry["image"], plates


class Tally:
    def __init__(self):
        self.right, self.all = collections.Counter(), collections.Counter()
        self.false, self.sure_province, self.colour = 0, [], collections.Counter()
        self.list = []

    def count(self, keys, ok):
        for key in keys:
            self.all[key] += 1
            self.right[key] += ok


def plain(text):
    """Truth spells the O of old police plates as a zero, and the public reader knows no other."""
    return text[:1] + text[1:2].replace("O", "0") + text[2:]


def close(a, b):
    return sum(x == y for x, y in zip(a, b)) + (len(a) == len(b))


def judge(tally, name, plates, reads, shown, image):
    """Compares the reads of a picture with its plates."""
    texts = {plain(p["text"]) for p in plates}
    reads = [replace(r, text=plain(r.text)) for r in reads if shown(r)]
    for plate in plates:
        text = plain(plate["text"])
        ok = any(r.text == text for r in reads)
        keys = [name + (" hard" if plate.get("hard") else "")]
        if not plate.get("hard"):
            keys += ["colour " + plate.get("colour", "?"), f"rows {plate.get('rows', 1)}"]
            keys += ["province " + text[0]] if text[0] in PROVINCES else ["province none"]
        tally.count(keys, ok)
        # The read of this plate, right or not: the nearest one that shares most of its characters.
        near = max(reads, key=lambda r: close(r.text, text), default=None)
        if near and close(near.text[1:], text[1:]) >= len(text) - 3 and text[0] in PROVINCES:
            tally.count(["province asked " + name], near.text[:1] == text[0])
            if near.text[:1] != text[0] and near.sure[0] > 0.9:
                tally.sure_province.append(f"{image}: {text}>{near.text} {near.sure[0]:.2f}")
        if near and close(near.text, text) >= len(text) - 3:
            tally.count([bin_of(near.least)], near.text == text)
        if near and ok and near.colour and plate.get("colour"):
            tally.colour[near.colour == plate["colour"]] += 1
        if not ok:
            hard = " hard" if plate.get("hard") else ""
            seen = " ".join(f"{r.text}({r.least:.2f})" for r in reads) or "-"
            tally.list.append(f"{name}/{image} {text}{hard} > {seen}")
    tally.false += sum(r.text not in texts for r in reads)


def table(tallies, prefix=""):
    keys = sorted({k for t in tallies.values() for k in t.all if k.startswith(prefix)})
    for key in keys:
        part = lambda t: 100 * t.right[key] / max(1, t.all[key])
        cells = [f"{t.right[key]}/{t.all[key]} {part(t):.1f} %" for t in tallies.values()]
        print(f"| {key} | " + " | ".join(cells) + " |")


def speed(reader, flat):
    times = []
    for _ in range(300):
        start = time.perf_counter()
        reader.run(flat) if isinstance(reader, Ours) else reader.steps(flat)
        times.append(time.perf_counter() - start)
    return numpy.median(times) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--ours", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--found", type=pathlib.Path, help="where the detector's finds are kept between runs")
    parser.add_argument("--looks", type=int, default=4)
    parser.add_argument("--list", action="store_true", help="name every plate read wrong")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    detector = Detector(arguments.models / "clp_det.onnx")
    readers = {"public": Public(arguments.models / "clp_v2_c_rec.onnx", arguments.models / "clp_dict.txt")}
    readers |= {path.stem: Ours(path, arguments.looks) for path in arguments.ours}
    tallies = {name: Tally() for name in readers}
    cache = json.loads(arguments.found.read_text()) if arguments.found and arguments.found.exists() else {}
    names = [p.parent.name for p in sorted(arguments.data.glob("*/truth.jsonl")) if p.parent.name != "footage"]
    for name, image, plates in sets(arguments.data, names):
        picture = cv2.imread(str(arguments.data / name / image))
        judged = lambda r: shown_ours if isinstance(readers[r], Ours) else shown
        if name == "plates":
            for r, reader in readers.items():
                judge(tallies[r], name, plates, [reader.crop(picture)], lambda _: True, image)
            continue
        key = f"{name}/{image}"
        if key not in cache:
            cache[key] = [{"quad": f["quad"].tolist(), "score": f["score"]} for f in detector.still(picture)]
        quads = [ordered(f["quad"]) for f in cache[key]]
        for r, reader in readers.items():
            judge(tallies[r], name, plates, [reader.read(picture, q) for q in quads], judged(r), image)
            for plate in plates:
                if plate.get("quad"):
                    read = reader.read(picture, ordered(plate["quad"]))
                    tallies[r].count([f"{name}, true corners"], plain(read.text) == plain(plate["text"]))
    if arguments.found:
        arguments.found.write_text(json.dumps(cache))
    print("| | " + " | ".join(readers) + " |\n|" + " --- |" * (len(readers) + 1))
    table(tallies)
    flat = numpy.full((64, 192, 3), 90, numpy.uint8)
    print("| reads in no truth | " + " | ".join(str(t.false) for t in tallies.values()) + " |")
    print("| province wrong, over 0.9 | " + " | ".join(str(len(t.sure_province)) for t in tallies.values()) + " |")
    row = lambda name, cells: print(f"| {name} | " + " | ".join(cells) + " |")
    row("colour right", (f"{t.colour[True]}/{sum(t.colour.values())}" for t in tallies.values()))
    times = (speed(r, flat if isinstance(r, Ours) else flat[:32, :112]) for r in readers.values())
    row("ms a plate", (f"{t:.2f}" for t in times))
    if arguments.list:
        for name, tally in tallies.items():
            print(f"\n{name}", *tally.list, sep="\n  ")
            print("sure of a wrong province", *tally.sure_province, sep="\n  ")


if __name__ == "__main__":
    main()
