"""Reads a recording of plates of other countries and counts how often one becomes a plate of the mainland.

    python abroad.py --video toll-gate.mp4 --models CACHE --ours plate-reader.onnx [...] [--found found.json]

Nothing is trained or chosen on the recording. `province`: the reads shown whose first character is one; `mass` is what
the first slot gives to all provinces together, the mean over the looks.
"""

import argparse
import json
import pathlib

import cv2
import numpy

from alphabet import HEIGHT, INDEX, PROVINCES, WIDTH, decode
from detector import Detector, grow, ordered, straighten
from measure import shown_ours
from readers import LOOKS, Ours, plausible

FIRST, LAST = INDEX[PROVINCES[0]], INDEX[PROVINCES[-1]]


def frames(path, every):
    video, at = cv2.VideoCapture(str(path)), 0
    while True:
        there, picture = video.read()
        if not there:
            return
        if at % every == 0:
            yield at, picture
        at += 1


def mean_text(reader, picture, quad):
    looks = [reader.run(straighten(picture, grow(quad, x, y, x, y), WIDTH, HEIGHT))[0] for x, y in LOOKS]
    return numpy.mean(looks, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--ours", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--found", type=pathlib.Path, help="where the detector's finds are kept between runs")
    parser.add_argument("--every", type=int, default=12)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    detector = Detector(arguments.models / "clp_det.onnx")
    cache = json.loads(arguments.found.read_text()) if arguments.found and arguments.found.exists() else {}
    readers = {path.stem + f" {i}": Ours(path) for i, path in enumerate(arguments.ours)}
    counted = ("finds", "shown", "a plate of GA 36", "province", "province over 0.9")
    tallies = {name: dict.fromkeys(counted, 0) for name in readers}
    for at, picture in frames(arguments.video, arguments.every):
        if str(at) not in cache:
            cache[str(at)] = [f["quad"].tolist() for f in detector.still(picture)]
        for quad in map(ordered, cache[str(at)]):
            for name, reader in readers.items():
                read, tally = reader.read(picture, quad), tallies[name]
                text = mean_text(reader, picture, quad)
                mass, shown = float(text[0, FIRST : LAST + 1].sum()), shown_ours(read)
                tally["finds"] += 1
                tally["shown"] += shown
                tally["a plate of GA 36"] += shown and plausible(read.text)
                tally["province"] += shown and read.text[:1] in PROVINCES
                tally["province over 0.9"] += shown and read.text[:1] in PROVINCES and read.sure[0] > 0.9
                print(f"{at} {name}: {read.text} least {read.least:.2f} plate {read.plate:.2f} rows {read.rows}"
                      f" mass {mass:.2f} best of each slot {decode(text.argmax(1))}{'' if shown else ' (not shown)'}")
    if arguments.found:
        arguments.found.write_text(json.dumps(cache))
    for name, tally in tallies.items():
        print(name, json.dumps(tally))


if __name__ == "__main__":
    main()
