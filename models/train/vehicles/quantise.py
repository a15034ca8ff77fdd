"""How the values of each layer are held with 8 bits, from what the 32-bit detector makes of some pictures."""

import copy

import numpy
import onnxruntime

from writing import write

BINS = 4096


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(net, picture, names):
    return dict(zip(names, net.run(list(names), {"image": picture[None]})))


def histograms(detector, height, width, pictures):
    """Per layer: counts, and the range they are over."""
    names = [layer.name for layer in detector.layers]
    net = session(write(detector, height, width, taps=names))
    ends = {}
    for picture in pictures:
        for name, value in run(net, picture, names).items():
            low, high = ends.get(name, (0.0, 0.0))
            ends[name] = (min(low, float(value.min())), max(high, float(value.max())))
    counts = {name: numpy.zeros(BINS) for name in names}
    for picture in pictures:
        for name, value in run(net, picture, names).items():
            counts[name] += numpy.histogram(value, BINS, ends[name])[0]
    return {name: (counts[name], *ends[name]) for name in names}


def error(counts, middles, low, high):
    """Mean square of what rounding and cutting to low..high does to the values."""
    step = (high - low) / 255
    held = numpy.clip(numpy.round((middles - low) / step), 0, 255) * step + low
    return float((counts * (held - middles) ** 2).sum() / counts.sum())


def divergence(counts, middles, low, high):
    """Kullback-Leibler, of the values and of what 8 bits leave of them."""
    step = (high - low) / 255
    code = numpy.clip(numpy.round((middles - low) / step), 0, 255).astype(int)
    kept, filled = numpy.bincount(code, counts, 256), numpy.bincount(code, counts > 0, 256)
    inside = numpy.where((middles >= low) & (middles <= high), counts, 0)
    after = numpy.where(counts > 0, kept[code] / numpy.maximum(filled[code], 1), 0)
    p, q = (inside + 1e-9) / (inside + 1e-9).sum(), (after + 1e-9) / (after + 1e-9).sum()
    return float((p * numpy.log(p / q)).sum())


def ends(histogram, method):
    """From where to where values are told apart."""
    counts, low, high = histogram
    middles = low + (numpy.arange(BINS) + 0.5) * (high - low) / BINS
    if method == "minmax" or high - low < 1e-6:
        return low, high
    if method.startswith("percentile"):
        # Zeros are left out: after a ReLU they are half of all values, and say nothing about the others.
        far = numpy.where(numpy.abs(middles) > (high - low) / BINS, counts, 0)
        share, out = numpy.cumsum(far) / max(far.sum(), 1), 1 - float(method[10:]) / 100
        return (min(0.0, middles[numpy.searchsorted(share, out)]) if low < 0 else 0.0,
                max(0.0, middles[min(numpy.searchsorted(share, 1 - out), BINS - 1)]))
    if method == "entropy":
        counts = numpy.where(numpy.abs(middles) > (high - low) / BINS, counts, 0)  # likewise
    loss = {"entropy": divergence, "square": error}[method]
    lows = [low * k for k in (numpy.arange(8, 21) / 20 if low < 0 else [1.0])]
    highs = [high * k for k in numpy.arange(8, 21) / 20]
    return min(((a, b) for a in lows for b in highs), key=lambda pair: loss(counts, middles, *pair))


def code(low, high):
    """Scale and zero point; zero itself is held exactly, because paddings are zeros."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return float(numpy.float32(scale)), int(round(-low / scale))


LOGITS = (-6.0, 3.5)  # scores from 0.002 to 0.97; beyond, nothing has to be told apart


def ranges(detector, found, method):
    held = {layer.name: code(*ends(found[layer.name], method)) for layer in detector.layers}
    # The heads' outputs are joined, so they share a scale.
    offsets = [ends(found[name], "minmax") for name in detector.boxes]
    for name in detector.boxes:
        held[name] = code(min(o[0] for o in offsets), max(o[1] for o in offsets))
    for name in detector.classes:
        held[name] = code(*LOGITS)
    return held


def corrected(detector, height, width, held, pictures):
    """The detector with biases that take back what 8 bits do to the mean of each channel, layer after layer."""
    detector = copy.deepcopy(detector)
    layers = [layer for layer in detector.layers if layer.weight is not None]
    taps = [f"{layer.name}/c" if layer.clipped else layer.name for layer in layers]  # before ReLU6 cuts the mean
    wanted = means(write(detector, height, width, taps=taps), taps, pictures)
    for layer, name in zip(layers, taps):
        model = write(detector, height, width, held, taps=[name], until=layer.name)
        got = means(model, [name], pictures)[name]
        # The first layer gives several pixels side by side: a mean per channel of all of them.
        layer.bias += wanted[name] - got.reshape(-1, len(layer.bias)).mean(0)
    return detector


def means(model, taps, pictures):
    """Of each channel, over all places and pictures."""
    net, sums = session(model), dict.fromkeys(taps, 0.0)
    for picture in pictures:
        for name, value in run(net, picture, taps).items():
            sums[name] = sums[name] + value.mean((0, 2, 3), dtype=numpy.float64)
    return {name: total / len(pictures) for name, total in sums.items()}
