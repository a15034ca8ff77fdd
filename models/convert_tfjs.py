#!/usr/bin/env python3
"""Converts the TensorFlow.js detector to ONNX: python3 convert_tfjs.py model.json detector.onnx

The graph is walked from its outputs back to the picture with every shape known, so whatever depends on
shapes and weights alone is computed here, and what is left is convolutions and the decoding of boxes.
The same input gives the same bytes: the manifest holds their checksum.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from onnx_steps import Steps
from tfjs_graph import ConvertError, Graph, producer
from tfjs_ops import OPS

# The outputs before TensorFlow.js squeezes and filters them, and what they are called in ONNX.
OUTPUTS = {"boxes": "Postprocessor/Reshape_2", "scores": "Postprocessor/Slice"}
INPUT = "image"
SIZE = 300

# tf.map_fn over the pictures of a batch, as TensorFlow 1 writes it: what is written per picture, from
# the write back to the read.
RESIZE_BODY = ("Squeeze", "ResizeBilinear", "ExpandDims", "TensorArrayReadV3")


class Converter:
    def __init__(self, graph, size=SIZE):
        self.graph = graph
        self.size = size
        self.steps = Steps()
        self.values = {}  # node name -> its outputs

    def convert(self, outputs, name):
        order = self.order([self.graph.node(o) for o in outputs.values()])
        readers = self.count_readers(order, outputs)
        for node in order:
            made = self.evaluate(node)
            made = made if isinstance(made, list) else [made]
            for tensor in made:
                if not isinstance(tensor, np.ndarray):
                    # It may be the very tensor that this node read, of which this node was one reader.
                    tensor.readers += readers.get(node.name, 0) - 1
            self.values[node.name] = made
        return self.steps.model(name, {wanted: self.value(ref) for wanted, ref in outputs.items()})

    def inputs(self, node):
        return (self.mapped_picture(node),) if node.op == "TensorArrayGatherV3" else node.inputs

    def order(self, roots):
        """Every node that the roots need, inputs first. A stack, not recursion: graphs are deep."""
        done, order, stack = set(), [], [(root, False) for root in reversed(roots)]
        while stack:
            node, inputs_done = stack.pop()
            if node.name in done:
                continue
            if inputs_done:
                done.add(node.name)
                order.append(node)
                continue
            if node.op not in OPS and node.op not in ("Const", "Placeholder", "TensorArrayGatherV3"):
                raise ConvertError(f"node '{node.name}': operation '{node.op}' is not known to this converter")
            stack.append((node, True))
            stack.extend((self.graph.node(i), False) for i in reversed(self.inputs(node)))
        return order

    def count_readers(self, order, outputs):
        readers = {}
        for reference in [i for node in order for i in self.inputs(node)] + list(outputs.values()):
            name, _ = producer(reference)
            readers[name] = readers.get(name, 0) + 1
        return readers

    def value(self, reference):
        name, index = producer(reference)
        return self.values[name][index]

    def evaluate(self, node):
        if node.op == "Const":
            return self.graph.constant(node)
        if node.op == "Placeholder":
            shape = node.attr("shape")
            known = [1, self.size, self.size, shape[-1]]
            if len(shape) != 4 or any(s not in (-1, k) for s, k in zip(shape, known)):
                raise ConvertError(f"node '{node.name}': a picture of {known} was expected, not {shape}")
            picture = self.steps.input(INPUT, known, node.dtype("dtype"))
            # Turned while a pixel is still a byte: a quarter of the memory to move.
            return self.steps.to_channels_first(picture)
        values = [self.value(i) for i in self.inputs(node)]
        if node.op == "TensorArrayGatherV3":
            return values[0]
        op = OPS[node.op]
        constant = all(isinstance(v, np.ndarray) for v in values)
        if constant and op.fold:
            folded = op.fold(node, *values)
            return [np.asarray(v) for v in folded] if isinstance(folded, list) else np.asarray(folded)
        if constant or op.emit is None:
            what = "constants" if constant else "values that depend on the picture"
            raise ConvertError(f"node '{node.name}': '{node.op}' of {what} is not converted")
        return op.emit(self.steps, node, *values)

    def mapped_picture(self, gather):
        """What a `tf.map_fn(resize)` over the batch is given.

        With one picture of the very size it resizes to, the loop hands its input through; all that has
        to be made sure of is that it does nothing else.
        """
        inside = self.loop_nodes(gather)
        writes = [n for n in inside if n.op == "TensorArrayWriteV3"]
        scatters = [n for n in inside if n.op == "TensorArrayScatterV3"]
        if len(writes) != 1 or len(scatters) != 1:
            raise ConvertError(f"node '{gather.name}': the loop that feeds it is not a map over pictures")
        node, body = self.graph.node(writes[0].inputs[2]), []
        for op in RESIZE_BODY:
            if node.op != op:
                raise ConvertError(f"node '{node.name}': '{op}' was expected in the loop, not '{node.op}'")
            body.append(node)
            node = self.graph.node(node.inputs[0])
        target = self.graph.constant(self.graph.node(body[1].inputs[1]))
        if target.tolist() != [self.size, self.size]:
            raise ConvertError(f"node '{body[1].name}': resizes to {target.tolist()}, not to the input's size")
        return scatters[0].inputs[2]

    def loop_nodes(self, gather):
        """All nodes of the loop: everything `gather` needs, as far back as the pictures put into it."""
        seen, stack = {}, [self.graph.node(i) for i in gather.inputs]
        while stack:
            node = stack.pop()
            if node.name in seen:
                continue
            seen[node.name] = node
            cut = node.op == "TensorArrayScatterV3"
            stack.extend(self.graph.node(i) for i in (node.inputs[:2] if cut else node.inputs))
        return list(seen.values())


def convert(model_json, outputs=None, size=SIZE):
    """The ONNX file's bytes."""
    model = Converter(Graph.load(model_json), size).convert(outputs or OUTPUTS, "detector")
    return model.SerializeToString(deterministic=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model_json", type=Path)
    parser.add_argument("onnx", type=Path)
    args = parser.parse_args()
    try:
        data = convert(args.model_json)
    except (ConvertError, OSError) as error:
        sys.exit(f"convert_tfjs: {error}")
    # Written beside its place and renamed: a killed run leaves no half of a model behind.
    part = args.onnx.with_name(args.onnx.name + ".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, args.onnx)
    print(f"{args.onnx}: {len(data)} bytes")


if __name__ == "__main__":
    main()
