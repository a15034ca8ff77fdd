"""Fits the weights of agent/traffic/src/plate/probability.rs: the probability that a voted text is right.

    python fit.py --real real.jsonl --worn worn.jsonl --moved moved.jsonl

The files are what `kakou eval --calibration --signs FILE` writes of sets of pictures, of worn ones, and of recordings.
A logistic regression with few weights, none of which may have the wrong sign. What is reported was never fitted on:
all pictures, worn pictures and recordings of one plate's text are in the same of ten folds; then set by set, each with
the weights fitted on all other sets.
"""

import argparse
import collections
import json
import pathlib
import zlib

import numpy
from scipy.optimize import minimize

FOLDS = 10
# A worn picture counts for less than a real one, and all words about one vehicle for as much as one picture.
WORN, MOVED = 0.35, 1.0
RIDGE = 0.005
# Log odds at which the slope changes: 0.88.
BEND = 2.0
NAMES = ("constant", "low", "high", "agreeing", "against", "invalid", "colour", "legible")
# The signs that may only speak for a text, and those that may only speak against it. Grounds against a layout and
# very illegible reads are few, so their weights have a bound too.
BOUNDS = [(None, None), (0.2, 2.5), (0.1, 1.5), (0, 2), (None, 0), (None, 0), (-1.5, 0), (0, 2)]


def features(s):
    """As `Signs::features` has them."""
    joint = min(max(s["joint"], 0.02), 0.998)
    odds = numpy.log(joint / (1 - joint))
    return (
        1.0,
        # Doubt says more than sureness: there are plates that look just like another one.
        min(odds, BEND),
        max(odds - BEND, 0),
        numpy.log2(min(max(s["frames_agreeing"], 1), 8)),
        1 - s["agreeing"] / max(s["all"], 1e-6),
        float(not s["valid"]),
        float(s["colour_against"]),
        s["legibility"],
    )


def load(path, weight):
    rows = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
    words = collections.Counter((r["picture"], r["vehicle"]) for r in rows)
    for r in rows:
        if r["truth"] is not None:
            r["right"] = r["text"] == r["truth"]
            r["weight"] = weight / (words[r["picture"], r["vehicle"]] if r["vehicle"] is not None else 1)
            yield r


def fit(rows):
    x = numpy.array([features(r) for r in rows])
    y = numpy.array([r["right"] for r in rows], float)
    weight = numpy.array([r["weight"] for r in rows])
    sign = 1 - 2 * y
    shrink = numpy.array([0.0] + [RIDGE] * (x.shape[1] - 1)) * weight.sum() / 100

    def loss(w):
        z = sign * (x @ w)
        slope = weight * sign / (1 + numpy.exp(-z))
        return (weight * numpy.logaddexp(0, z)).sum() + (shrink * w * w).sum(), x.T @ slope + 2 * shrink * w

    start = numpy.array([1.0, 0.7, 0.7, 0, 0, 0, 0, 0])
    return minimize(loss, start, jac=True, bounds=BOUNDS, method="L-BFGS-B").x


def said(w, rows):
    return 1 / (1 + numpy.exp(-numpy.array([features(r) for r in rows]) @ w))


def wilson(k, n, z=1.96):
    p, d = k / n, 1 + z * z / n
    half = z / d * numpy.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (p + z * z / (2 * n)) / d - half, (p + z * z / (2 * n)) / d + half


def error(p, y, edges):
    at = numpy.clip(numpy.searchsorted(edges, p, side="right") - 1, 0, len(edges) - 2)
    return sum(abs(p[at == b].sum() - y[at == b].sum()) for b in set(at)) / len(p)


def report(name, p, rows):
    y = numpy.array([r["right"] for r in rows], float)
    ranks = numpy.argsort(numpy.argsort(p, kind="stable"), kind="stable")
    counts = sum(abs(p[ranks * 10 // len(p) == b].sum() - y[ranks * 10 // len(p) == b].sum()) for b in range(10)) / len(p)
    print(f"{name}: {int(y.sum())} of {len(y)} right, said {p.mean():.3f}; expected error {error(p, y, numpy.linspace(0, 1, 11)):.4f}"
          f" (equal widths), {counts:.4f} (equal counts); Brier {((p - y) ** 2).mean():.4f}")
    for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 0.99), (0.99, 1.01)):
        part = (p >= low) & (p < high)
        if part.any():
            a, b = wilson(y[part].sum(), part.sum())
            print(f"  {low:.2f} to {high:.2f}: said {p[part].mean():.3f}, right {int(y[part].sum())} of {part.sum()}, {a:.3f} to {b:.3f}")


def fold(row):
    return zlib.crc32(row["truth"].encode()) % FOLDS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("real", "worn", "moved"):
        parser.add_argument(f"--{name}", type=pathlib.Path, nargs="*", default=[])
    arguments = parser.parse_args()
    parts = {
        "pictures": [r for p in arguments.real for r in load(p, 1.0)],
        "worn pictures": [r for p in arguments.worn for r in load(p, WORN)],
        "recordings": [r for p in arguments.moved for r in load(p, MOVED)],
    }
    singles = [r for r in parts["pictures"] if r["vehicle"] is None]
    parts["recordings"] += [r for r in parts["pictures"] if r["vehicle"] is not None]
    parts["pictures"] = singles
    rows = [r for part in parts.values() for r in part]
    weights = [fit([r for r in rows if fold(r) != k]) for k in range(FOLDS)]
    for name, part in parts.items():
        if part:
            report(f"{name}, each fold by the others", numpy.array([said(weights[fold(r)], [r])[0] for r in part]), part)
    part = parts["recordings"]
    for reads in (1, 2, 4, 8):
        after = [r for r in part if r["reads"] == reads]
        if after:
            report(f"votes after {reads}", numpy.array([said(weights[fold(r)], [r])[0] for r in after]), after)
    p = numpy.zeros(len(parts["pictures"]))
    for name in sorted({r["set"] for r in parts["pictures"]}):
        own = [i for i, r in enumerate(parts["pictures"]) if r["set"] == name]
        texts = {parts["pictures"][i]["truth"] for i in own}
        w = fit([r for r in rows if r["set"] != name and r["truth"] not in texts])
        p[own] = said(w, [parts["pictures"][i] for i in own])
    report("pictures, each set by the others", p, parts["pictures"])
    found = fit(rows)
    spread = numpy.std(weights, axis=0)
    print("const WEIGHTS: [f32; 8] = [" + ", ".join(f"{v:.3f}" for v in found) + "];")
    for name, value, s in zip(NAMES, found, spread):
        print(f"  {name:<10} {value:+.3f}  (between folds {s:.3f})")


if __name__ == "__main__":
    main()
