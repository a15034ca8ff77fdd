"""The vehicle detector as a list of layers: read from the converted ONNX file, cut down to our classes, laid out for an
input of another size, and written again, with 32 bits or with 8.

The source is models/cache/ssdlite_mobilenet_v2_coco.onnx. Its convolutions are taken as they are; what stands before
them (scaling of the picture) and after them (decoding of boxes) is written anew, because a third of the source's nodes
does nothing else.
"""

from dataclasses import dataclass, field

import numpy
import onnx
from onnx import helper, numpy_helper

# What the five outputs of the cut model are in the source's 90 (COCO's number - 1, without the background).
CLASSES = {"bicycle": 1, "car": 2, "motorcycle": 3, "bus": 5, "truck": 7}
SOURCE_CLASSES = 91  # with the background, which comes first
SOURCE_SIDE = 300
PICTURE = "image"


@dataclass
class Layer:
    """A convolution, or without a weight the sum of two layers."""

    name: str
    inputs: list
    weight: numpy.ndarray | None = None
    bias: numpy.ndarray | None = None
    group: int = 1
    stride: int = 1
    clipped: bool = False  # to 0..6, as ReLU6 does


@dataclass
class Detector:
    layers: list
    boxes: list  # names of the layers that give box offsets, coarser and coarser
    classes: list  # likewise, class scores
    anchors: list  # per level: height and width in the source's pixels, of each anchor of a cell
    shifts: list = field(default_factory=list)  # per level: see `shift`

    def layer(self, name):
        return next(layer for layer in self.layers if layer.name == name)


def load(path):
    """The source, with only our classes left in its heads."""
    graph = onnx.load(str(path)).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    nodes = {n.output[0]: n for n in graph.node}
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    layers, known = [], {}
    for node in graph.node:
        if node.op_type == "Conv":
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            # The first convolution reads the picture.
            source = known.get(node.input[0], PICTURE)
            if source == PICTURE and layers:
                raise ValueError(f"{node.name} reads {node.input[0]}, which is no layer")
            layers.append(Layer(f"l{len(layers)}", [source], constants[node.input[1]].astype(numpy.float64),
                                constants[node.input[2]].astype(numpy.float64), attributes.get("group", 1),
                                attributes["strides"][0]))
        elif node.op_type == "Clip" and node.input[0] in known:
            if [float(constants[i].ravel()[0]) for i in node.input[1:]] != [0.0, 6.0]:
                raise ValueError(f"{node.name} does not cut to 0..6")
            layers[-1].clipped = True
        elif node.op_type == "Add" and all(i in known for i in node.input):
            layers.append(Layer(f"l{len(layers)}", [known[i] for i in node.input]))
        else:
            continue
        known[node.output[0]] = layers[-1].name

    # A head is a convolution whose output is turned, reshaped and joined with the others.
    heads = {}
    for join in [n for n in graph.node if n.op_type == "Concat" and len(n.input) == 6]:
        names = [known[nodes[nodes[i].input[0]].input[0]] for i in join.input]
        heads["classes" if join.name.endswith("_1") else "boxes"] = names
    constant = lambda name: next(constants[i] for i in nodes[f"Postprocessor/Decode/{name}"].input if i in constants)
    sizes = numpy.stack([constant("div_4"), constant("div_5")], 1).astype(numpy.float64) * 2 * SOURCE_SIDE

    detector = Detector(layers, heads["boxes"], heads["classes"], [])
    first, cells = 0, grids(detector, SOURCE_SIDE, SOURCE_SIDE)
    for name, (rows, columns, _, _) in zip(detector.boxes, cells):
        each = len(detector.layer(name).bias) // 4
        detector.anchors.append(sizes[first:first + each])
        first += rows * columns * each
    if first != len(sizes):
        raise ValueError(f"{len(sizes)} anchors in the file, {first} by the layers")
    keep = [number + 1 for number in CLASSES.values()]
    for name in detector.classes:
        head = detector.layer(name)
        each = len(head.bias) // SOURCE_CLASSES
        rows = [anchor * SOURCE_CLASSES + k for anchor in range(each) for k in keep]
        head.weight, head.bias = head.weight[rows], head.bias[rows]
    detector.shifts = [shift(c) for c in cells]
    return detector


def padding(side, kernel, stride):
    """TensorFlow's "SAME": before, after, and how many come out."""
    out = -(-side // stride)
    total = max((out - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2, out


def shapes(detector, height, width):
    """Per layer: rows, columns, padding, and where its first cell's middle is and how far the cells are apart, each as
    (vertical, horizontal) in pixels of the input."""
    known = {PICTURE: ((height, width), None, (0.5, 0.5), (1, 1))}
    for layer in detector.layers:
        sides, _, middle, step = known[layer.inputs[0]]
        if layer.weight is None:
            known[layer.name] = known[layer.inputs[0]]
            continue
        kernel = layer.weight.shape[-1]
        pads = [padding(s, kernel, layer.stride) for s in sides]
        known[layer.name] = (
            tuple(p[2] for p in pads),
            [pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
            tuple(m + ((kernel - 1) / 2 - p[0]) * s for m, p, s in zip(middle, pads, step)),
            tuple(s * layer.stride for s in step),
        )
    return known


def grids(detector, height, width):
    """Per level: rows, columns, the first cell's middle, the distance of cells."""
    known = shapes(detector, height, width)
    return [(*known[name][0], known[name][2], known[name][3]) for name in detector.boxes]


def shift(grid):
    """How far the middle of what a cell sees lies right of and below its anchor in the source, on average.

    The source spreads its anchors evenly over the picture, while the cells sit where strides and paddings put them.
    """
    rows, _, middle, step = grid
    seen = middle[0] + step[0] * numpy.arange(rows)
    return float(numpy.mean(seen - (numpy.arange(rows) + 0.5) * SOURCE_SIDE / rows))


def anchors(detector, height, width):
    """Middles and sizes (vertical, horizontal), as parts of the picture. At the source's own size these are its own;
    else an anchor has the same size in pixels and the same place relative to what its cell sees."""
    middles, sizes = [], []
    for grid, own, moved in zip(grids(detector, height, width), detector.anchors, detector.shifts):
        rows, columns, first, step = grid
        if (height, width) == (SOURCE_SIDE, SOURCE_SIDE):
            y, x = ((numpy.arange(n) + 0.5) / n for n in (rows, columns))
        else:
            y = (first[0] + step[0] * numpy.arange(rows) - moved) / height
            x = (first[1] + step[1] * numpy.arange(columns) - moved) / width
        cells = numpy.stack(numpy.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 1, 2)
        middles.append(numpy.broadcast_to(cells, (len(cells), len(own), 2)).reshape(-1, 2))
        sizes.append(numpy.tile(own / (height, width), (len(cells), 1)))
    return numpy.concatenate(middles), numpy.concatenate(sizes)
