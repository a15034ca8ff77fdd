"""What each TensorFlow operation becomes: OPS maps its name to an `Op`.

`fold` computes it with numpy when all inputs are constants, `emit` adds ONNX steps otherwise. An
operation that only shapes are computed with has no `emit`.
"""

from dataclasses import dataclass
from typing import Callable

import numpy as np

from onnx_steps import Tensor
from tfjs_graph import ConvertError


@dataclass(frozen=True)
class Op:
    fold: Callable | None = None  # (node, *arrays) -> array, or a list of arrays
    emit: Callable | None = None  # (steps, node, *values) -> Tensor, array, or a list of them


def is_number(value):
    return isinstance(value, np.ndarray) and value.size == 1


def channels(x, value):
    """`value` as one number per channel of the picture `x`, or None if it is not that."""
    fits = isinstance(value, np.ndarray) and x.channels_first and value.size == value.shape[-1] == x.shape[-1]
    return value.reshape(-1) if fits else None


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: the odd pixel goes to the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def conv_geometry(node, x, kernel):
    if node.attr("data_format", "NHWC") != "NHWC" or any(d != 1 for d in node.attr("dilations", [1])):
        raise ConvertError(f"node '{node.name}': only NHWC convolutions without dilation are converted")
    strides = node.attr("strides")[1:3]
    sides = x.shape[1:3]
    padding = node.attr("padding")
    if padding == "SAME":
        (top, bottom), (left, right) = (same_padding(*p) for p in zip(sides, kernel, strides))
        out = [-(-s // t) for s, t in zip(sides, strides)]
    elif padding == "VALID":
        top = bottom = left = right = 0
        out = [(s - k) // t + 1 for s, k, t in zip(sides, kernel, strides)]
    else:
        raise ConvertError(f"node '{node.name}': padding {padding!r} is not known")
    return out, {"kernel_shape": list(kernel), "strides": strides, "pads": [top, left, bottom, right]}


def conv2d(steps, node, x, weights):
    out, attrs = conv_geometry(node, x, weights.shape[:2])
    shape = (x.shape[0], *out, weights.shape[3])
    return steps.conv(node.name, x, weights.transpose(3, 2, 0, 1), shape, **attrs)


def depthwise(steps, node, x, weights):
    h, w, c, times = weights.shape
    out, attrs = conv_geometry(node, x, (h, w))
    weights = weights.transpose(2, 3, 0, 1).reshape(c * times, 1, h, w)
    return steps.conv(node.name, x, weights, (x.shape[0], *out, c * times), group=c, **attrs)


def batch_norm(steps, node, x, gamma, beta, mean, variance):
    if node.attr("is_training", False):
        raise ConvertError(f"node '{node.name}': a batch norm in training mode cannot be converted")
    gamma, beta, mean, variance = (v.astype(np.float64) for v in (gamma, beta, mean, variance))
    scale = gamma / np.sqrt(variance + node.attr("epsilon"))
    return steps.per_channel(node.name, x, scale, beta - mean * scale)


def same_layout(steps, a, b):
    """Two values that can be combined element by element."""
    layouts = [v.channels_first for v in (a, b) if isinstance(v, Tensor)]
    if any(layouts) and not (len(layouts) == 2 and all(layouts)):
        return tuple(steps.to_channels_last(v) if isinstance(v, Tensor) else v for v in (a, b))
    return a, b


def elementwise(steps, op, name, a, b):
    a, b = same_layout(steps, a, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    first = any(isinstance(v, Tensor) and v.channels_first for v in (a, b))
    return steps.add(op, name, [a, b], shape, first)


def add(steps, node, a, b):
    if isinstance(a, np.ndarray):
        a, b = b, a
    if is_number(b):
        return steps.affine(node.name, a, 1.0, float(b.item()))
    if (bias := channels(a, b)) is not None:
        return steps.per_channel(node.name, a, None, bias)
    return elementwise(steps, "Add", node.name, a, b)


def sub(steps, node, a, b):
    if isinstance(b, np.ndarray):
        return add(steps, node, a, -b)
    if is_number(a):
        return steps.affine(node.name, b, -1.0, float(a.item()))
    return elementwise(steps, "Sub", node.name, a, b)


def mul(steps, node, a, b):
    if isinstance(a, np.ndarray):
        a, b = b, a
    if is_number(b):
        return steps.affine(node.name, a, float(b.item()), 0.0)
    if (scale := channels(a, b)) is not None:
        return steps.per_channel(node.name, a, scale, None)
    return elementwise(steps, "Mul", node.name, a, b)


def add_n(steps, node, *values):
    total = values[0]
    for i, value in enumerate(values[1:]):
        total = elementwise(steps, "Add", f"{node.name}/{i}" if len(values) > 2 else node.name, total, value)
    return total


def relu6(steps, node, x):
    low, high = np.array(0, np.float32), np.array(6, np.float32)
    return steps.add("Clip", node.name, [x, low, high], x.shape, x.channels_first)


def unary(op):
    return lambda steps, node, x: steps.add(op, node.name, [x], x.shape, x.channels_first)


def cast(steps, node, x):
    if node.dtype("DstT") is not np.float32:
        raise ConvertError(f"node '{node.name}': only casts to float32 are converted")
    return steps.add("Cast", node.name, [x], x.shape, x.channels_first, to=1)


def shape_of(steps, node, x):
    return np.array(x.shape, np.int32)


def strided_slice(node, x, begin, end, stride):
    masks = [node.attr(f"{m}_mask", 0) for m in ("begin", "end", "ellipsis", "new_axis")]
    if len(begin) != 1 or any(masks):
        raise ConvertError(f"node '{node.name}': only plain slices of a list are converted")
    if node.attr("shrink_axis_mask", 0):
        return x[begin[0]]
    return x[begin[0]:end[0]:stride[0]]


def reshape(steps, node, x, shape):
    x = steps.to_channels_last(x)
    shape = [int(d) for d in shape]
    if -1 in shape:
        shape[shape.index(-1)] = int(np.prod(x.shape)) // -int(np.prod(shape))
    before = x.maker
    if before is not None and before.op == "Reshape" and x.readers == 1:  # only the last one counts
        x = before.inputs[0]
    return steps.add("Reshape", node.name, [x, np.array(shape, np.int64)], shape)


def squeeze(steps, node, x):
    axes = node.attr("squeeze_dims") or [i for i, d in enumerate(x.shape) if d == 1]
    return reshape(steps, node, x, [d for i, d in enumerate(x.shape) if i not in axes])


def expand_dims(steps, node, x, axis):
    return reshape(steps, node, x, np.expand_dims(np.empty(x.shape, np.bool_), int(axis)).shape)


def concat(steps, node, *values):
    *parts, axis = values
    parts = [steps.to_channels_last(p) for p in parts]
    axis = int(axis) % len(parts[0].shape)
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    return steps.add("Concat", node.name, parts, shape, axis=axis)


def pack(steps, node, *parts):
    axis = node.attr("axis", 0)
    shape = np.expand_dims(np.empty(parts[0].shape, np.bool_), axis).shape
    lifted = [steps.add("Reshape", f"{node.name}/{i}", [p, np.array(shape, np.int64)], shape)
              for i, p in enumerate(parts)]
    whole = list(shape)
    whole[axis] = len(parts)
    return steps.add("Concat", node.name, lifted, whole, axis=axis)


def unpack(steps, node, x):
    axis = node.attr("axis", 0)
    rest = [d for i, d in enumerate(x.shape) if i != axis]
    return [steps.add("Gather", f"{node.name}/{i}", [x, np.array(i, np.int64)], rest, axis=axis)
            for i in range(x.shape[axis])]


def slice_(steps, node, x, begin, size):
    x = steps.to_channels_last(x)
    shape = [int(d - b if s == -1 else s) for d, b, s in zip(x.shape, begin, size)]
    axes = [i for i, d in enumerate(x.shape) if shape[i] != d]
    starts = np.array([begin[i] for i in axes], np.int64)
    ends = np.array([begin[i] + shape[i] for i in axes], np.int64)
    return steps.add("Slice", node.name, [x, starts, ends, np.array(axes, np.int64)], shape)


def transpose(steps, node, x, order):
    x = steps.to_channels_last(x)
    return steps.add("Transpose", node.name, [x], [x.shape[i] for i in order], perm=[int(i) for i in order])


OPS = {
    "Add": Op(lambda n, a, b: a + b, add),
    "AddN": Op(emit=add_n),
    "AddV2": Op(lambda n, a, b: a + b, add),
    "BiasAdd": Op(emit=add),
    "Cast": Op(lambda n, x: x.astype(n.dtype("DstT")), cast),
    "ConcatV2": Op(lambda n, *v: np.concatenate(v[:-1], int(v[-1])), concat),
    "Conv2D": Op(emit=conv2d),
    "DepthwiseConv2dNative": Op(emit=depthwise),
    "Exp": Op(emit=unary("Exp")),
    "ExpandDims": Op(lambda n, x, axis: np.expand_dims(x, int(axis)), expand_dims),
    "FusedBatchNorm": Op(emit=batch_norm),
    "FusedBatchNormV3": Op(emit=batch_norm),
    "Identity": Op(lambda n, x: x, lambda steps, n, x: x),
    "Mul": Op(lambda n, a, b: a * b, mul),
    "Pack": Op(lambda n, *v: np.stack(v, n.attr("axis", 0)), pack),
    "Relu6": Op(emit=relu6),
    "Reshape": Op(lambda n, x, shape: x.reshape(shape), reshape),
    "Shape": Op(emit=shape_of),
    "Sigmoid": Op(emit=unary("Sigmoid")),
    "Slice": Op(emit=slice_),
    "Squeeze": Op(emit=squeeze),
    "StridedSlice": Op(fold=strided_slice),
    "Sub": Op(lambda n, a, b: a - b, sub),
    "Tile": Op(lambda n, x, times: np.tile(x, times)),
    "Transpose": Op(lambda n, x, order: x.transpose(order), transpose),
    "Unpack": Op(lambda n, x: list(np.moveaxis(x, n.attr("axis", 0), 0)), unpack),
}
