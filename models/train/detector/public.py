"""The public detector's weights, out of its ONNX file, in a copy that PyTorch can run; our network begun from them."""

import numpy
import torch
from torch import nn

from retina import SKIPPED, Conv, Plates, Public


def convolutions(path):
    """Weight and bias of every convolution, in the order in which the file runs them."""
    # Only here: the weights may also come as PyTorch's own file, where this package is not.
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    known = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    return [(known[n.input[1]], known[n.input[2]]) for n in graph.node if n.op_type == "Conv"]


def ordered(net):
    """The copy's convolutions in the same order; the heads' are three in the file and one here."""
    yield net.stem
    for part in net.body:
        yield from part
    yield from net.across
    yield net.merge[1]
    yield net.merge[0]
    for context in net.context:
        yield from (context.near, context.down, context.middle, context.down_again, context.far)


@torch.no_grad()
def load(path):
    """The copy, from the ONNX file or from its own weights saved by PyTorch."""
    net = Public().eval()
    if str(path).endswith(".pt"):
        net.load_state_dict(torch.load(path, map_location="cpu"))
        return net
    found = convolutions(path)
    places = list(ordered(net))
    for place, (weight, bias) in zip(places, found):
        if place.conv.weight.shape != weight.shape:
            wanted = tuple(place.conv.weight.shape)
            raise ValueError(f"the file holds another network: {weight.shape} where {wanted} belongs")
        place.conv.weight.copy_(torch.from_numpy(weight.copy()))
        place.conv.bias.copy_(torch.from_numpy(bias.copy()))
    # Boxes of all levels, then scores, then corners.
    rest = found[len(places) :]
    for k, head in enumerate(net.heads):
        parts = rest[k], rest[3 + k], rest[6 + k]
        head.weight.copy_(torch.from_numpy(numpy.concatenate([w for w, _ in parts])))
        head.bias.copy_(torch.from_numpy(numpy.concatenate([b for _, b in parts])))
    return net


@torch.no_grad()
def begun(public, pictures):
    """Our network with the public one's middle, its normalisations set so that they change nothing yet.

    `pictures` are a few inputs; our first layer is still a random one, so the statistics are taken behind the public
    one's.
    """
    net = Plates().to(pictures.device)
    x = public.stem(pictures)
    for part in public.body[:SKIPPED]:
        x = part(x)
    for ours, theirs in zip(net.body, public.body[SKIPPED:]):
        for a, b in zip(ours, theirs):
            a.conv.load_state_dict(b.conv.state_dict())
            y = a.conv(x)
            unchanged(a, y)
            x = b(x)
    return net


def unchanged(layer: Conv, y):
    """Sets the normalisation of `layer` to give back what came in, `y` being typical."""
    normal: nn.BatchNorm2d = layer.normal
    mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3))
    normal.running_mean.copy_(mean)
    normal.running_var.copy_(var)
    normal.bias.copy_(mean)
    normal.weight.copy_((var + normal.eps).sqrt())
