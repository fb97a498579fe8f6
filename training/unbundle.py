"""The way back from `bundle.py` and `lacuna model convert`: a bundle's 4-bit matrices → weights.safetensors, to train on from them.

    python training/unbundle.py models/lacuna-135m weights.safetensors

Bytes are only moved: of the default model it gives the very file that its bundle was made of. Not for bundles with an adapter.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import save_file

from bundle import NORMS
from network import PARTS, ROWS
from reference import LAYERS

IN_GRAPH = {"qkv": "qkv", "o": "o", "up": "gate_up", "down": "down"}  # where the matrices of a part stand below each other
TYPES = {onnx.TensorProto.UINT8: np.uint8, onnx.TensorProto.FLOAT16: np.float16, onnx.TensorProto.FLOAT: np.float32}


def held_in(folder):
    """name → tensor of the graph's initializers that lie in files of their own."""
    graph = onnx.load(folder / "onnx" / "model_q4.onnx", load_external_data=False).graph
    found = {}
    for t in graph.initializer:
        at = {e.key: e.value for e in t.external_data}
        if at and t.data_type in TYPES:
            data = np.fromfile(folder / "onnx" / at["location"], np.uint8, int(at["length"]), offset=int(at["offset"]))
            found[t.name] = torch.from_numpy(data.view(TYPES[t.data_type]).reshape(t.dims))
    return found


def unbundle(folder):
    """What `train.py --rank 0` writes, by name."""
    held = held_in(folder)
    pad, mask = held["embedding.extra"]
    out = {"special": torch.stack((mask, pad)), "pad_out": held["head.extra"][0], "output_norm.weight": held["norm.weight"]}
    for layer in range(LAYERS):
        for key, names in PARTS.items():
            parts = (held[f"layers.{layer}.{IN_GRAPH[key]}.{part}"] for part in ("quants", "scales", "minimums"))
            for name, *split in zip(names, *(x.flatten(1).split(ROWS[key]) for x in parts)):
                out |= {f"blk.{layer}.{name}.weight.{p}": x.contiguous() for p, x in zip("qdm", split)}
        out |= {f"blk.{layer}.{name}.weight": held[f"layers.{layer}.{graph}.weight"] for name, graph in NORMS.items()}
    return {name: x.contiguous() for name, x in out.items()}


def main():
    parser = argparse.ArgumentParser(description="A bundle's 4-bit matrices as weights.safetensors, to train on from them.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("weights", type=Path)
    arguments = parser.parse_args()
    try:
        save_file(unbundle(arguments.bundle), arguments.weights)
    except (KeyError, OSError) as error:
        sys.exit(f"unbundle.py: wanted a bundle of the default model without an adapter, found {arguments.bundle}: {error}")


if __name__ == "__main__":
    main()
