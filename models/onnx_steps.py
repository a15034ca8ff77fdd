"""The ONNX side of the converter: steps that can still be changed until they are written.

Keeping convolutions changeable is what makes folding simple: a batch norm or a bias that follows a
convolution changes its weights in place instead of becoming a node of its own.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 7  # the one opset 13 came with; fixed, so that the bytes do not change with the onnx package
TENSOR_TYPES = {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.float32): TensorProto.FLOAT}


@dataclass(eq=False)
class Tensor:
    """A value that exists only at run time. `shape` is TensorFlow's (NHWC for pictures)."""

    name: str
    shape: tuple[int, ...]
    # Held as NCHW in the ONNX graph, because that is the only layout its convolution takes.
    channels_first: bool = False
    dtype: type = np.float32
    maker: "Step | None" = None
    # How many nodes of the source graph read it; folding into it is right only when that is one.
    readers: int = 1

    def held_shape(self):
        if not self.channels_first:
            return self.shape
        n, h, w, c = self.shape
        return (n, c, h, w)


@dataclass(eq=False)
class Step:
    op: str
    inputs: list  # Tensor, or an array for a constant
    out: Tensor
    attrs: dict = field(default_factory=dict)


class Steps:
    def __init__(self):
        self.steps = []
        self.inputs = []

    def input(self, name, shape, dtype):
        tensor = Tensor(name, tuple(shape), dtype=dtype)
        self.inputs.append(tensor)
        return tensor

    def add(self, op, name, inputs, shape, channels_first=False, dtype=np.float32, **attrs):
        out = Tensor(name, tuple(int(d) for d in shape), channels_first, dtype)
        out.maker = Step(op, list(inputs), out, attrs)
        self.steps.append(out.maker)
        return out

    def to_channels_first(self, x):
        if x.channels_first:
            return x
        return self.add("Transpose", f"{x.name}/nchw", [x], x.shape, True, x.dtype, perm=[0, 3, 1, 2])

    def to_channels_last(self, x):
        if not x.channels_first:
            return x
        return self.add("Transpose", f"{x.name}/nhwc", [x], x.shape, False, x.dtype, perm=[0, 2, 3, 1])

    def conv(self, name, x, weights, shape, **attrs):
        """`weights` as ONNX wants them, OIHW. Kept in float64 so that folding rounds only once."""
        x = self.to_channels_first(x)
        weights = weights.astype(np.float64)
        affine = x.maker
        if affine is not None and affine.op == "Affine" and x.readers == 1:
            # conv(s*x + o) = (s*conv)(x + o/s). The offset must stay in front: it also decides what
            # the zeros of the padding stand for.
            weights = weights * affine.attrs["scale"]
            affine.attrs["offset"] /= affine.attrs["scale"]
            affine.attrs["scale"] = 1.0
        bias = np.zeros(weights.shape[0], np.float64)
        return self.add("Conv", name, [x, weights, bias], shape, True, **attrs)

    def affine(self, name, x, scale, offset):
        """scale*x + offset with two numbers; neighbours merge."""
        before = x.maker
        if before is not None and before.op == "Affine" and x.readers == 1:
            before.attrs["scale"] *= scale
            before.attrs["offset"] = before.attrs["offset"] * scale + offset
            return x
        return self.add("Affine", name, [x], x.shape, x.channels_first, scale=scale, offset=offset)

    def per_channel(self, name, x, scale, bias):
        """scale*x + bias, a value per channel (or None): folded into the convolution if there is one."""
        if absorbed(x, scale, bias):
            return x
        column = (-1, 1, 1) if x.channels_first else (-1,)
        if scale is not None:
            x = self.add("Mul", f"{name}/mul", [x, scale.astype(np.float32).reshape(column)], x.shape, x.channels_first)
        if bias is not None:
            x = self.add("Add", f"{name}/add", [x, bias.astype(np.float32).reshape(column)], x.shape, x.channels_first)
        return x

    def model(self, name, outputs):
        """The finished ONNX model; `outputs` maps the wanted names to tensors."""
        for wanted, tensor in outputs.items():
            tensor.name = wanted
        pool, nodes = ConstantPool(), []
        for step in self.steps:
            nodes.extend(written(step, pool))
        graph = helper.make_graph(
            nodes, name, [value_info(t) for t in self.inputs], [value_info(t) for t in outputs.values()],
            pool.initialisers,
        )
        model = helper.make_model(
            graph, producer_name="kakou convert_tfjs", ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def absorbed(x, scale, bias):
    step = x.maker
    if step is None or x.readers != 1:
        return False
    if step.op == "Conv":
        if scale is not None:
            step.inputs[1] = step.inputs[1] * scale.astype(np.float64).reshape(-1, 1, 1, 1)
            step.inputs[2] = step.inputs[2] * scale.astype(np.float64)
        if bias is not None:
            step.inputs[2] = step.inputs[2] + bias.astype(np.float64)
        return True
    # (conv + shortcut) + bias = (conv + bias) + shortcut
    if step.op == "Add" and scale is None:
        return any(isinstance(i, Tensor) and absorbed(i, None, bias) for i in step.inputs)
    return False


def value_info(tensor):
    return helper.make_tensor_value_info(tensor.name, TENSOR_TYPES[np.dtype(tensor.dtype)], tensor.held_shape())


class ConstantPool:
    """Equal constants are stored once (every Relu6 has the same two)."""

    def __init__(self):
        self.names, self.initialisers = {}, []

    def name(self, array):
        array = np.ascontiguousarray(array, np.float32 if array.dtype == np.float64 else array.dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.names:
            self.names[key] = f"c{len(self.names)}"
            self.initialisers.append(numpy_helper.from_array(array, self.names[key]))
        return self.names[key]


def written(step, pool):
    names = [i.name if isinstance(i, Tensor) else pool.name(i) for i in step.inputs]
    if step.op != "Affine":
        return [helper.make_node(step.op, names, [step.out.name], name=step.out.name, **step.attrs)]
    scale, offset = (np.float64(step.attrs[k]) for k in ("scale", "offset"))
    if offset == 0.0:
        return [helper.make_node("Mul", [names[0], pool.name(scale)], [step.out.name], name=step.out.name)]
    nodes, source = [], names[0]
    if scale != 1.0:
        source = f"{step.out.name}/scaled"
        nodes.append(helper.make_node("Mul", [names[0], pool.name(scale)], [source], name=source))
    nodes.append(helper.make_node("Add", [source, pool.name(offset)], [step.out.name], name=step.out.name))
    return nodes
