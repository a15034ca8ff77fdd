"""Reads a TensorFlow.js graph model: `model.json` and the weight shards beside it."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# TensorFlow's DataType numbers and names, as far as image models use them.
DTYPES = {1: np.float32, "DT_FLOAT": np.float32, 3: np.int32, "DT_INT32": np.int32,
          4: np.uint8, "DT_UINT8": np.uint8, 9: np.int64, "DT_INT64": np.int64}


class ConvertError(Exception):
    """The model cannot be converted; the text names the node."""


@dataclass(frozen=True)
class Node:
    name: str
    op: str
    inputs: tuple[str, ...]  # names of nodes, or `name:1` for their second output
    attrs: dict

    def attr(self, key, default=None):
        """One attribute as a plain Python value, whichever way the exporter wrote it."""
        held = self.attrs.get(key)
        if not held:
            return default
        kind, value = next(iter(held.items()))
        if kind == "list":
            return [int(i) for i in value.get("i", [])]
        if kind == "i":
            return int(value)
        if kind == "s":  # bytes: newer exporters write base64, older ones a list of numbers
            return (base64.b64decode(value) if isinstance(value, str) else bytes(value)).decode()
        if kind == "shape":
            return [int(d["size"]) for d in value.get("dim", [])]
        return value

    def dtype(self, key):
        held = self.attr(key)
        if held not in DTYPES:
            raise ConvertError(f"node '{self.name}': data type {held!r} is not known")
        return DTYPES[held]


def producer(reference):
    """`name:1` -> (`name`, 1)."""
    name, _, index = reference.partition(":")
    return name, int(index or 0)


class Graph:
    def __init__(self, nodes, weights):
        self.nodes = {node.name: node for node in nodes}
        self.weights = weights

    @classmethod
    def load(cls, model_json):
        model_json = Path(model_json)
        try:
            model = json.loads(model_json.read_text())
            written = model["modelTopology"]["node"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConvertError(f"{model_json.name} is no TensorFlow.js graph model: {error!r}") from None
        nodes = [
            # `^name` orders execution and carries no value, so it does not matter here.
            Node(n["name"], n["op"], tuple(i for i in n.get("input", []) if i[0] != "^"), n.get("attr", {}))
            for n in written
        ]
        return cls(nodes, read_weights(model_json.parent, model.get("weightsManifest", [])))

    def node(self, reference):
        name, _ = producer(reference)
        if name not in self.nodes:
            raise ConvertError(f"node '{name}' is read but is not in the graph")
        return self.nodes[name]

    def constant(self, node):
        if node.name not in self.weights:
            raise ConvertError(f"node '{node.name}': no weight has this name")
        return self.weights[node.name]


def read_weights(folder, manifest):
    weights = {}
    for group in manifest:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        at = 0
        for entry in group["weights"]:
            name = entry["name"]
            if "quantization" in entry or entry["dtype"] not in ("float32", "int32"):
                raise ConvertError(f"weight '{name}': only plain float32 and int32 weights are read")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            end = at + 4 * count
            if end > len(data):
                raise ConvertError(f"weight '{name}': the shards end before it")
            kind = np.dtype(entry["dtype"]).newbyteorder("<")
            weights[name] = np.frombuffer(data[at:end], kind).reshape(entry["shape"])
            at = end
        if at != len(data):
            raise ConvertError(f"the shards hold {len(data)} bytes, the weights only {at}")
    return weights
