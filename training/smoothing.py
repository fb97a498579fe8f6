"""Writes smoothing.f16: what the channels that go into each product are divided by before the server rounds them to 8 bits.

    python training/smoothing.py BASE.gguf WEIGHTS.safetensors OUT FOLDER

FOLDER holds Python, TypeScript and JavaScript files (`test/bench/fetchFiles.sh`, its `fit`). Gaps are cut into them at places
drawn by a seed, and filled by the reference; of every channel the largest magnitude is kept. The factor is
sqrt(largest activation / largest weight that meets it): SmoothQuant (arXiv 2211.10438), alpha 0.5.

Layout (`server/model/smoothing.ts`): halves, by layer: into query, key and value [576]; gate and up [576]; down [1536].
"""
import argparse
import random
from pathlib import Path

import numpy as np
import torch
from reference import LAYERS, MASK, Model, infill, load_model, surroundings, tree

GROUPS = {"qkv": ("attn_q", "attn_k", "attn_v"), "gate_up": ("ffn_gate", "ffn_up"), "down": ("ffn_down",)}
SMALLEST = 1e-3  # of a factor: a channel that is always 0 needs none


class WatchedModel(Model):
    """The reference, noting the largest magnitude of every channel."""

    def __init__(self, base, adapter):
        super().__init__(base, adapter)
        self.most = {}

    def linear(self, x, layer, name, adapted):
        group = next((group for group, names in GROUPS.items() if name == names[0]), None)
        if group:
            most = x.abs().amax(0)
            known = self.most.get((layer, group))
            self.most[layer, group] = most if known is None else torch.maximum(known, most)
        return super().linear(x, layer, name, adapted)


def gaps(folder, count, seed):
    """(text before, text after), each a few hundred characters."""
    draw = random.Random(seed)
    paths = sorted(p for p in Path(folder).rglob("*") if p.suffix in (".py", ".ts", ".js", ".mjs"))
    while count > 0:
        text = draw.choice(paths).read_text(encoding="utf-8", errors="ignore")
        at = draw.randrange(len(text))
        line_end = text.find("\n", at)
        if line_end > at:
            yield text[max(0, at - 900) : at], text[line_end : line_end + 300]
            count -= 1


def look_ahead(model, prefix, suffix, middle):
    """A pass with open rows behind the middle."""
    ids = torch.cat((prefix[-1:], torch.tensor([*middle, *[MASK] * 5], dtype=torch.long)))
    sees = torch.ones(len(ids), len(ids)).tril().bool()
    sees[-5:, -5:] = True
    tree(model, surroundings(model, prefix, suffix), len(prefix), ids, torch.arange(len(ids)), sees)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description="Write smoothing.f16 from what the network says of real code.")
    for name in ("base", "trained", "out", "folder"):
        parser.add_argument(name)
    parser.add_argument("--gaps", type=int, default=16)
    parser.add_argument("--seed", type=int, default=77)
    arguments = parser.parse_args()
    model, tokenizer = load_model(arguments.base, arguments.trained)
    model = WatchedModel(model.w, model.a)
    line_breaks = [i for token, i in tokenizer.get_vocab().items() if "Ċ" in token]
    for done, (before, after) in enumerate(gaps(arguments.folder, arguments.gaps, arguments.seed), 1):
        prefix, suffix = (torch.tensor(tokenizer.encode(t, add_special_tokens=False).ids or [0]) for t in (before, after))
        middle, _ = infill(model, prefix[-384:], suffix[:64], most=8, stop=line_breaks)
        look_ahead(model, prefix[-384:], suffix[:64], middle)
        print(f"{done} of {arguments.gaps} gaps", end="\r", flush=True)
    factors = []
    for layer in range(LAYERS):
        for group, names in GROUPS.items():
            weights = torch.cat([model.w[f"blk.{layer}.{name}.weight"] for name in names]).abs().amax(0)
            factors.append((model.most[layer, group] / weights.clamp(min=1e-6)).sqrt().clamp(min=SMALLEST))
    halves = torch.cat(factors).numpy().astype("<f2")
    Path(arguments.out).write_bytes(halves.tobytes())
    print(f"{len(halves)} factors, {np.min(halves):.3f} to {np.max(halves):.3f}")


if __name__ == "__main__":
    main()
