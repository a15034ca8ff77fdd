"""Gets weights to train on from an ONNX file that `export.py` wrote, where the checkpoint behind it is gone.

    python recover.py --onnx plate-reader.onnx --material material.npz --out start.pt [--crops CROPS...]

The 8-bit file has its batch norms melted into its convolutions. Here they are taken apart again: each channel's mean
and spread over training pictures become the norm's, and its scale and shift are set so that the result stays the same.
So training can go on in the usual way. With crops, the outputs of both are compared.
"""

import argparse
import json
import pathlib

import cv2
import numpy
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from alphabet import HEIGHT, WIDTH, decode
from net import Convolution, Normalised, Reader, normalise

# Length of a channel's weights. The norm makes it meaningless, but not how fast the channel learns.
LENGTH = 0.8
# What is shorter than this is a dead channel.
DEAD = 1e-4


def values(path):
    """Every tensor of the graph by its name, as 32-bit numbers; and the temperature."""
    model = onnx.load(str(path))
    stored = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    found = dict(stored)
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            whole, scale, zero = (stored[name] for name in node.input)
            # Per channel the first axis is the channel.
            spread = lambda a: a.reshape(-1, *[1] * (whole.ndim - 1)) if a.ndim and whole.ndim > 1 else a
            found[node.output[0]] = (whole.astype(numpy.float32) - spread(zero.astype(numpy.float32))) * spread(scale)
    heat = {p.key: p.value for p in model.metadata_props}["kakou.temperature"]
    return model, found, float(heat)


def conv(part):
    """The exporter's name of it: `body.2.first.convolution` is `/reader/body/body.2/first/convolution/Conv`."""
    head, *rest = part.removeprefix("body.").split(".")
    return "/".join(["/reader", *(["body", f"body.{head}"] if part.startswith("body.") else [head]), *rest, "Conv"])


def fill(net, model, found):
    """Weights by their names; those of convolutions and of the text's matrices by their nodes."""
    state = net.state_dict()
    nodes = {node.name: node for node in model.graph.node}
    as_tensor = lambda value: torch.from_numpy(value.astype(numpy.float32).copy())
    put = lambda name, value: state[name].copy_(as_tensor(value).view(state[name].shape))
    missing = []
    for name in state:
        part, _, last = name.rpartition(".")
        whole = found.get(f"reader.{name}", found.get(f"reader.{name}_DequantizeLinear_Output"))
        if whole is not None:
            put(name, whole)
        elif part in ("hidden", "text") and last == "weight":
            # The exporter turned these over.
            put(name, found[nodes[f"/reader/{part}/MatMul"].input[1]].T)
        elif last == "weight" and part.endswith("convolution"):
            node = nodes[conv(part)]
            put(name, found[node.input[1]])
            norm = part.replace("convolution", "norm")
            put(norm + ".bias", found[node.input[2]])
            state[norm + ".weight"].fill_(1.0)
            state[norm + ".running_mean"].zero_()
            # So that the norm leaves everything as it is.
            state[norm + ".running_var"].fill_(1.0 - 1e-5)
        elif ".norm." not in name:
            missing.append(name)
    if missing:
        raise SystemExit(f"not in the file: {missing}")
    net.load_state_dict(state)


@torch.no_grad()
def unmelt(net, batches, count, rounds):
    """Takes the norms apart again, over `rounds` batches of training pictures."""
    layers = [m for m in net.modules() if isinstance(m, Convolution)]
    sums = {m: [0.0, 0.0, 0] for m in layers}

    def watch(layer):
        def hook(_, __, output):
            total = sums[layer]
            total[0] = total[0] + output.mean((0, 2, 3)).double() * (output.numel() // output.shape[1])
            total[1] = total[1] + output.square().mean((0, 2, 3)).double() * (output.numel() // output.shape[1])
            total[2] += output.numel() // output.shape[1]
        return layer.convolution.register_forward_hook(hook)

    hooks = [watch(layer) for layer in layers]
    for _ in range(rounds):
        net(normalise(batches.chunk(count)[0].float()))
    for hook in hooks:
        hook.remove()
    for layer in layers:
        total, squares, number = sums[layer]
        mean = total / number
        var = (squares / number - mean**2).clamp(min=0)
        weight = layer.convolution.weight
        length = weight.flatten(1).norm(dim=1)
        by = torch.where(length > DEAD, LENGTH / length, torch.ones_like(length))
        norm = layer.norm
        norm.bias.add_(mean.float())
        weight.mul_(by[:, None, None, None])
        norm.running_mean.copy_(mean * by)
        norm.running_var.copy_(var * by.double() ** 2)
        # The norm divides by the spread of the lengthened channel; this takes both back.
        norm.weight.copy_((norm.running_var + norm.eps).sqrt() / by)


def looks(folders, every):
    for folder in folders:
        for line in (folder / "truth.jsonl").read_text().splitlines()[::every]:
            line = json.loads(line)
            crop = cv2.imread(str(folder / line["image"]))
            yield line["text"], cv2.resize(crop, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


@torch.no_grad()
def compare(net, heat, path, folders, every=12):
    """How far the outputs of both are apart on real crops, and how many texts differ."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    both, most, same, count, right = Normalised(net, heat).eval(), [], 0, 0, [0, 0]
    for truth, picture in looks(folders, every):
        data = picture.astype(numpy.float32).transpose(2, 0, 1)[None]
        theirs = session.run(["text", "colour", "rows", "plate"], {"picture": data})
        ours = [o.numpy() for o in both(torch.from_numpy(data))]
        most.append([float(numpy.abs(a - b).max()) for a, b in zip(theirs, ours)])
        texts = [decode(o[0][0].argmax(1)) for o in (theirs, ours)]
        same += texts[0] == texts[1]
        right = [r + (t == truth) for r, t in zip(right, texts)]
        count += 1
    off = numpy.array(most)
    return {"crops": count, "same text": same, "right, file": right[0], "right, weights": right[1],
            "median of the largest difference": numpy.median(off, 0).round(4).tolist(),
            "95 of 100 below": numpy.quantile(off, 0.95, 0).round(4).tolist()}


def main():
    from batches import Batches, Material

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnx", type=pathlib.Path, required=True)
    parser.add_argument("--material", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--crops", nargs="*", type=pathlib.Path, default=[])
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.manual_seed(5)
    net = Reader().eval()
    model, found, heat = values(arguments.onnx)
    with torch.no_grad():
        fill(net, model, found)
    if arguments.crops:
        print("melted:", json.dumps(compare(net, heat, arguments.onnx, arguments.crops)), flush=True)
    device = torch.device("cpu")
    unmelt(net, Batches(Material(arguments.material, device), device, 77), 64, arguments.rounds)
    if arguments.crops:
        print("taken apart:", json.dumps(compare(net, heat, arguments.onnx, arguments.crops)), flush=True)
    torch.save(net.state_dict(), arguments.out)


if __name__ == "__main__":
    main()
