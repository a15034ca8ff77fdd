"""Writes the trained reader as an ONNX file: probabilities calibrated, 8 bits where that loses nothing.

    python export.py --weights reader.pt --material material.npz --out plate-reader.onnx [--float plate-reader-fp32.onnx]

The calibration of the probabilities is one temperature, fitted on pictures that were not trained on. The 8-bit file
has its scales per channel, taken from pictures that were made for it.
"""

import argparse
import hashlib
import json
import pathlib
import tempfile

import numpy
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from alphabet import COLOURS, HEIGHT, SLOTS, SYMBOLS, WIDTH
from batches import Batches, Material
from net import Normalised, Reader, normalise
from train import kept_out

OUTPUTS = ("text", "colour", "rows", "plate")


@torch.no_grad()
def temperature(net, batches, material):
    """The temperature that makes the least of the loss on kept-out crops, seen badly; on made-up plates without crops."""
    logits, truths = [], []
    numbers = (material.kept_out > 0).nonzero()[0]
    for _ in range(6 if len(numbers) else 0):
        canvas = material.real[torch.from_numpy(numbers)].to(batches.composer.number)
        hard = batches.composer.tensor(batches.rng.choice([0.15, 0.4, 0.8], len(numbers)))
        picture, _ = batches.camera.photograph(canvas, hard)
        logits.append(net(normalise(picture.round()))[0])
        truths.append(torch.from_numpy(material.text[numbers]))
    for _ in range(0 if len(numbers) else 12):
        picture, targets = batches.chunk(160, 0.0)
        logits.append(net(normalise(picture[: len(targets["text"])].float()))[0])
        truths.append(targets["text"])
    logits, truths = torch.cat(logits).flatten(0, 1), torch.cat(truths).flatten()
    loss = lambda t: torch.nn.functional.cross_entropy(logits / t, truths).item()
    return min((round(0.7 + 0.05 * k, 2) for k in range(40)), key=loss)


def metadata(heat):
    return {
        "kakou.kind": "slot-reader",
        "kakou.input": f"picture: f32 Nx3x{HEIGHT}x{WIDTH}, planes B G R, values 0..255, the plate straightened by its corners",
        "kakou.text": f"f32 Nx{SLOTS}x{len(SYMBOLS) + 1}, probabilities per slot; 0: the text has ended, k: symbol k-1",
        "kakou.symbols": SYMBOLS,
        "kakou.colour": ",".join(COLOURS),
        "kakou.rows": "1,2",
        "kakou.plate": "none,plate",
        "kakou.temperature": str(heat),
        "kakou.licence": "Apache-2.0",
    }


def label(path, heat):
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, metadata(heat))
    model.producer_name, model.producer_version, model.doc_string = "kakou", "", ""
    onnx.save(model, str(path))


class Pictures(CalibrationDataReader):
    def __init__(self, pictures):
        self.left = iter([{"picture": p[None].astype(numpy.float32)} for p in pictures])

    def get_next(self):
        return next(self.left, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--material", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--float", type=pathlib.Path, help="also the file with 32 bits")
    arguments = parser.parse_args()
    torch.manual_seed(5)
    device = torch.device("cpu")
    material = Material(arguments.material, device)
    batches = Batches(material, device, 55)
    net = Reader().eval()
    net.load_state_dict(torch.load(arguments.weights, map_location=device))
    heat = temperature(net, batches, material)
    with torch.no_grad():
        calibration = torch.cat([batches.chunk(32)[0] for _ in range(12)]).numpy()
    with tempfile.TemporaryDirectory() as folder:
        plain, ready = pathlib.Path(folder) / "plain.onnx", pathlib.Path(folder) / "ready.onnx"
        torch.onnx.export(
            Normalised(net, heat).eval(),
            torch.rand(1, 3, HEIGHT, WIDTH) * 255,
            str(plain),
            input_names=["picture"],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in ("picture", *OUTPUTS)},
            opset_version=17,
            dynamo=False,
        )
        if arguments.float:
            arguments.float.write_bytes(plain.read_bytes())
            label(arguments.float, heat)
        quant_pre_process(str(plain), str(ready))
        quantize_static(
            str(ready),
            str(arguments.out),
            Pictures(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv", "Add"],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    label(arguments.out, heat)
    code = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(json.dumps({"temperature": heat, "bytes": arguments.out.stat().st_size, "sha256": code}))


if __name__ == "__main__":
    main()
