"""Writes a detector as ONNX, with 32 bits or, given the ranges of its values, with 8 (QDQ).

What ONNX Runtime makes one 8-bit convolution of is: values and weights through DequantizeLinear, Conv, Clip,
QuantizeLinear. The picture's bytes are taken for 8-bit values as they are, so nothing has to be done to them.
"""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from detector import PICTURE, anchors, shapes

OPSET, IR_VERSION = 13, 7
# The source wants a pixel p as p / 127.5 - 1. As 8-bit values the zero has to be a whole number: 128 is half a step off,
# which the first layer's bias makes good.
PIXEL = (1 / 127.5, 128)
TOGETHER = 4  # pixels that the first 8-bit convolution takes as one: it spends its time on gathering, not on sums
OFFSETS = (10.0, 5.0)  # by how much the source's box offsets are too large: middles, logarithms of sizes


class Writer:
    def __init__(self):
        self.nodes, self.constants, self.names = [], [], {}

    def constant(self, array, own=False):
        """Its name. Equal constants are stored once, except those that are somebody's `own`."""
        array = numpy.asarray(array, order="C")  # ascontiguousarray would make a list of a single number
        key = (array.dtype.str, array.shape, array.tobytes())
        if own or key not in self.names:
            self.names[key] = f"c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self.names[key]))
        return self.names[key]

    def add(self, op, inputs, out, **attributes):
        inputs = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def quantise(self, name, scale, zero, out):
        return self.add("QuantizeLinear", [name, numpy.float32(scale), numpy.uint8(zero)], out)

    def restore(self, name, scale, zero, out):
        return self.add("DequantizeLinear", [name, numpy.float32(scale), numpy.uint8(zero)], out)


def weight_scales(weight, depthwise):
    """One scale per output channel.

    x86 processors without VNNI add two products of a byte and a weight in 16 bits, and what does not fit is cut: with
    weights up to 127 nothing is found any more. So in no pair of weights that lie together the sums of the positive
    and of the negative ones may exceed 128 (255 * 128 still fits). A depthwise convolution has no such sums.
    """
    flat = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)  # as they lie together: channels last
    largest = numpy.abs(flat).max(1)
    if not depthwise:
        pairs = numpy.pad(flat, ((0, 0), (0, flat.shape[1] % 2))).reshape(len(flat), -1, 2)
        sums = numpy.maximum(numpy.clip(pairs, 0, None).sum(2), numpy.clip(-pairs, 0, None).sum(2))
        largest = numpy.maximum(largest, sums.max(1))  # rounding can add 1 to a sum: hence 127 here too
    return numpy.maximum(largest, 1e-8) / 127


def write(detector, height, width, held=None, taps=(), until=None, metadata=None):
    """The ONNX model.

    `held`: how values are held with 8 bits, per layer (scale, zero point). What is not in it stays as it is, and so do the
    weights that read it or make it: of a convolution from bytes to bytes with other weights, ONNX Runtime would round the
    weights itself, with one scale for all channels, and all would be lost.

    For calibration, `taps`: values that are wanted too; `until`: the last layer, with only the taps as outputs.
    """
    out, known = Writer(), shapes(detector, height, width)
    held = dict(held or {})
    values = {}  # what a layer reads another's output as
    if detector.layers[0].name in held:
        held[PICTURE] = PIXEL
        rows = out.add("Reshape", [PICTURE, numpy.int64([1, height, width // TOGETHER, 3 * TOGETHER])], "grouped")
        values[PICTURE] = out.add("Transpose", [rows], "picture", perm=[0, 3, 1, 2])
    else:
        picture = out.add("Transpose", [PICTURE], "picture", perm=[0, 3, 1, 2])
        bytes_ = out.add("Cast", [picture], "picture/f", to=TensorProto.FLOAT)
        values[PICTURE] = out.add("Sub", [bytes_, numpy.float32([127.5])], "picture/m")

    for layer in detector.layers:
        if layer.weight is None:
            out.add("Add", [read(out, values, held, i, layer.name) for i in layer.inputs], layer.name)
        else:
            convolution(out, layer, read(out, values, held, layer.inputs[0], layer.name), known[layer.name][1], held)
        values[layer.name] = layer.name
        if layer.name in held:
            values[layer.name] = out.quantise(value_of(layer, held), *held[layer.name], f"{layer.name}/q")
            if layer.inputs == [PICTURE]:
                values[layer.name] = ungrouped(out, layer, values[layer.name], *known[layer.name][0])
        if layer.name == until:
            break

    outputs = [] if until else decoding(out, detector, height, width, values, held)
    outputs += [helper.make_tensor_value_info(t, TensorProto.FLOAT, [1, None, None, None]) for t in taps]
    graph = helper.make_graph(
        out.nodes, "vehicles", [helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, [1, height, width, 3])],
        outputs, out.constants)
    model = helper.make_model(graph, producer_name="kakou", ir_version=IR_VERSION,
                              opset_imports=[helper.make_opsetid("", OPSET)])
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model


def decoding(out, detector, height, width, values, held):
    """From the heads to boxes and scores; the descriptions of both."""
    offsets = joined(out, detector, detector.boxes, 4, values, held, "offsets")
    logits = joined(out, detector, detector.classes, len(detector.layer(detector.classes[0]).bias)
                    // len(detector.anchors[0]), values, held, "logits")
    out.add("Sigmoid", [logits], "scores")
    middles, sizes = (a.astype(numpy.float32)[None] for a in anchors(detector, height, width))
    out.nodes.append(helper.make_node("Split", [offsets, out.constant(numpy.int64([2, 2]))], ["place", "spread"],
                                      name="split", axis=2))
    moved = out.add("Mul", ["place", sizes / numpy.float32(OFFSETS[0])], "moved")
    middle = out.add("Add", [moved, middles], "middle")
    grown = out.add("Exp", [out.add("Mul", ["spread", numpy.float32([1 / OFFSETS[1]])], "spread/s")], "grown")
    half = out.add("Mul", [grown, sizes / 2], "half")
    out.add("Concat", [out.add("Sub", [middle, half], "low"), out.add("Add", [middle, half], "high")], "boxes", axis=2)

    number, count = middles.shape[1], len(detector.layer(detector.classes[0]).bias) // len(detector.anchors[0])
    return [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, number, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, number, count])]


def read(out, values, held, name, reader):
    """Each reader has a node of its own that makes numbers of bytes: only then does ONNX Runtime merge them."""
    if name not in held:
        return values[name]
    return out.restore(values[name], *held[name], f"{name}/{reader}")


def value_of(layer, held):
    """Rounding to 8 bits cuts to 0..6 too, if the range is not wider; a Clip would only keep the nodes from merging."""
    if not layer.clipped:
        return layer.name
    scale, zero = held[layer.name]
    if zero != 0 or scale * 255 > 6.001:
        raise ValueError(f"{layer.name}: its range is wider than its ReLU6")
    return f"{layer.name}/c"


def convolution(out, layer, source, pads, held):
    """A convolution; and its ReLU6, where no rounding to 8 bits follows."""
    weight, bias = layer.weight, layer.bias
    if layer.inputs[0] == PICTURE:
        if PICTURE in held:
            scale, zero = PIXEL
            bias = bias + weight.sum((1, 2, 3)) * (zero - 127.5) * scale
        else:
            weight = weight / 127.5
    attributes = {"strides": [layer.stride] * 2, "pads": pads, "group": layer.group}
    if layer.inputs[0] == PICTURE and PICTURE in held:
        weight, bias, attributes = grouped(layer, weight, bias, pads)
    attributes["kernel_shape"] = list(weight.shape[2:])
    if layer.inputs[0] in held and layer.name in held:
        scales = weight_scales(weight, layer.group > 1)
        codes = numpy.round(weight / scales[:, None, None, None]).astype(numpy.int8)
        # Shared zeros would be turned to unsigned once per layer, where `session.x64quantprecision` asks for that.
        zeros = out.constant(numpy.zeros(len(scales), numpy.int8), own=True)
        weights = out.add("DequantizeLinear", [codes, scales.astype(numpy.float32), zeros], f"{layer.name}/w", axis=0)
        steps = scales.astype(numpy.float32) * numpy.float32(held[layer.inputs[0]][0])
        sums = numpy.clip(numpy.round(bias / steps), -2**31, 2**31 - 1).astype(numpy.int32)
        biases = out.add("DequantizeLinear", [sums, steps], f"{layer.name}/b", axis=0)
        inputs = [source, weights, biases]
    else:
        inputs = [source, weight.astype(numpy.float32), bias.astype(numpy.float32)]
    out.add("Conv", inputs, f"{layer.name}/c" if layer.clipped else layer.name, **attributes)
    if layer.clipped and layer.name not in held:
        out.add("Clip", [f"{layer.name}/c", numpy.float32(0), numpy.float32(6)], layer.name)


def grouped(layer, weight, bias, pads):
    """The first convolution over groups of neighbouring pixels: two groups hold all that the outputs of one need."""
    if layer.stride != 2 or pads[1] != 0 or weight.shape[3] > 3:
        raise ValueError("the first layer is not what is grouped here")
    each = TOGETHER // layer.stride
    wide = numpy.zeros((each, len(weight), 2, TOGETHER, *weight.shape[1:3]))  # output, channel, group, pixel, colour, row
    for output in range(each):
        for column in range(weight.shape[3]):
            group, pixel = divmod(layer.stride * output + column, TOGETHER)
            wide[output, :, group, pixel] = weight[..., column]
    wide = wide.transpose(0, 1, 3, 4, 5, 2).reshape(each * len(weight), TOGETHER * weight.shape[1], weight.shape[2], 2)
    return wide, numpy.tile(bias, each), {"strides": [layer.stride, 1], "pads": pads, "group": 1}


def ungrouped(out, layer, code, rows, columns):
    """Its outputs as pixels again, which moves nothing in ONNX Runtime, where channels lie together."""
    turned = out.add("Transpose", [code], f"{layer.name}/t", perm=[0, 2, 3, 1])
    flat = out.add("Reshape", [turned, numpy.int64([1, rows, columns, len(layer.bias)])], f"{layer.name}/r")
    return out.add("Transpose", [flat], f"{layer.name}/u", perm=[0, 3, 1, 2])


def joined(out, detector, heads, columns, values, held, name):
    """The heads' outputs as one list with a row per anchor. They share one scale, so bytes are joined."""
    rows = []
    for head in heads:
        turned = out.add("Transpose", [values[head]], f"{head}/t", perm=[0, 2, 3, 1])
        rows.append(out.add("Reshape", [turned, numpy.int64([1, -1, columns])], f"{head}/r"))
    scale = {held.get(h) for h in heads}
    if len(scale) != 1:
        raise ValueError(f"{name}: all heads need the same scale")
    scale = scale.pop()
    list_ = out.add("Concat", rows, f"{name}/q" if scale else name, axis=1)
    return out.restore(list_, *scale, name) if scale else list_
