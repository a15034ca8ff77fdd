"""Writes the trained detector as ONNX files: 32 bits, and 8 bits with scales per channel.

    python quantise.py --weights plates.pt --samples ../../../agent/samples [--material scenes.npz] \
        --out plate-detector.onnx

The scales are taken from frames of the project's samples and from made-up pictures, at the sizes the agent uses.
"""

import argparse
import hashlib
import json
import pathlib
import tempfile

import numpy
import torch
from torch import nn

from retina import MEAN, Plates, fold

OUTPUTS = ("loc", "conf", "landms")
# Sizes (height, width) of what the agent shows: whole frames, and its closer looks.
WHOLE, CLOSE = (384, 640), (256, 352)
# Kept at 32 bits: the last layer, which says the corners.
PLAIN = ("/net/heads",)


class Answering(nn.Module):
    """Probabilities instead of logits. Of two classes a softmax is the sigmoid of the difference, which is faster."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        with torch.no_grad():
            for head in net.heads:
                for values in (head.weight, head.bias):
                    for first in (8, 10):
                        difference = values[first] - values[first + 1]
                        values[first], values[first + 1] = difference, -difference

    def forward(self, image):
        box, score, corner = self.net(image)
        return box, score.sigmoid(), corner


def write(weights, out):
    """The file with 32 bits."""
    net = Plates()
    net.load_state_dict(torch.load(weights, map_location="cpu"))
    net = Answering(fold(net.eval())).eval()
    axes = {"image": {2: "height", 3: "width"}, **{name: {1: "priors"} for name in OUTPUTS}}
    torch.onnx.export(net, torch.zeros(1, 3, *WHOLE), str(out), input_names=["image"], output_names=list(OUTPUTS),
                      dynamic_axes=axes, opset_version=17, dynamo=False)


def shown(picture, size):
    """An input of the agent's: scaled, in planes, the mean taken away."""
    import cv2

    height, width = size
    scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(numpy.float32)
    return numpy.ascontiguousarray((scaled - numpy.float32(MEAN)).transpose(2, 0, 1)[None])


def calibration(samples, material, every=9):
    """Inputs to take the scales from. The order mixes sizes."""
    import cv2

    for folder in sorted(samples.glob("*/plates.jsonl")):
        for line in folder.read_text().splitlines()[::every]:
            frame = json.loads(line)
            picture = cv2.imread(str(folder.parent / frame["image"]))
            yield shown(picture, WHOLE)
            for plate in frame["plates"][:1]:
                quad = numpy.float32(plate["quad"])
                middle, wide = quad.mean(0), numpy.ptp(quad[:, 0])
                half = numpy.float32(CLOSE[::-1]) * wide / 160 / 2
                ends = numpy.clip((middle - half, middle + half), 0, picture.shape[1::-1])
                (x0, y0), (x1, y1) = ends.astype(int)
                yield shown(picture[y0:y1, x0:x1], CLOSE)
    if material:
        from scenes import Material, Scenes

        scenes = Scenes(Material(material, torch.device("cpu")), torch.device("cpu"), 77)
        with torch.no_grad():
            for picture in scenes.chunk(32)["picture"].numpy():
                yield (picture.astype(numpy.float32) - numpy.float32(MEAN)[:, None, None])[None]


def quantised(plain, out, inputs):
    import onnx
    from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType,
                                          quantize_static)
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter([{"image": x} for x in inputs])

        def get_next(self):
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as folder:
        ready = pathlib.Path(folder) / "ready.onnx"
        quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
        nodes = [node.name for node in onnx.load(str(ready)).graph.node]
        quantize_static(
            str(ready),
            str(out),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv", "Add", "Resize", "Concat", "Relu"],
            nodes_to_exclude=[name for name in nodes if name.startswith(PLAIN)],
            calibrate_method=CalibrationMethod.MinMax,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def label(path):
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {
        "kakou.kind": "retina-plate",
        "kakou.input": "image: f32 1x3xHxW, planes B G R, each less its mean 104 117 123, any size",
        "kakou.licence": "Apache-2.0",
    })
    model.producer_name, model.producer_version, model.doc_string = "kakou", "", ""
    onnx.save(model, str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=pathlib.Path, required=True)
    parser.add_argument("--material", type=pathlib.Path, help="made-up pictures for the scales, too")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--float", type=pathlib.Path, help="also the file with 32 bits")
    arguments = parser.parse_args()
    torch.manual_seed(5)
    with tempfile.TemporaryDirectory() as folder:
        plain = pathlib.Path(folder) / "plain.onnx"
        write(arguments.weights, plain)
        quantised(plain, arguments.out, list(calibration(arguments.samples, arguments.material)))
        if arguments.float:
            arguments.float.write_bytes(plain.read_bytes())
            label(arguments.float)
    label(arguments.out)
    code = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(json.dumps({"bytes": arguments.out.stat().st_size, "sha256": code}))


if __name__ == "__main__":
    main()
