"""How much a bidirectional model's answers change when rows of its context are not computed anew: within a request,
across edits, by layer, distance and age. Prints Markdown, writes all numbers as JSON. See README.md for the rules.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

import across_edits
import within_request
from corpus import END_ID, MASK_ID
from network import CANVAS, LAYERS, Network
from passes import DISTANCES, Drift, Scores

PARTS = ("within", "threshold", "across")
COLUMNS = {
    "agreement": "top-1", "kl": "KL, nats", "agreementWhereSure": "top-1 where p ≥ 0.9", "sameText": "same text",
    "sameTokens": "same tokens", "tokensRight": "tokens right", "exact": "text right", "saved": "row-layers saved",
    "firstRight": "first guesses right", "steps": "steps",
}


def main():
    parser = argparse.ArgumentParser(description="Measure what stale keys and values do to a bidirectional model.")
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="as train.py writes it, with heldout.npy")
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all of them")
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=600, help="of each part: then it ends with the cases done")
    parser.add_argument("--batch", type=int, default=8, help="cases that share one geometry")
    parser.add_argument("--random", action="store_true", help="random weights instead of the trained ones")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    arguments = parser.parse_args()
    network = Network().eval().requires_grad_(False)
    if not arguments.random:
        network.load_state_dict(load_file(arguments.model / "model.safetensors"))
    tokens = np.load(arguments.model / "heldout.npy")
    numbers = {}
    for part in arguments.part or PARTS:
        rng = np.random.default_rng(PARTS.index(part) + 11)
        batches = list(cases(tokens, arguments.cases, arguments.batch, rng))
        scores, drift = Scores(), Drift()
        started = time.monotonic()
        for done, batch in enumerate(batches):
            if time.monotonic() - started > 60 * arguments.minutes:
                break
            if part == "within":
                within_request.measure(network, [batch[:3]], scores, drift)
            if part == "threshold":
                within_request.measure_threshold(network, [batch[:3]], scores, 0.9)
            if part == "across":
                texts, hybrids = not arguments.random, not arguments.random and done % 2 == 0
                across_edits.measure(network, [batch], scores, drift, rng, texts, hybrids)
            print(f"{part} {done + 1}/{len(batches)}", end="\r", file=sys.stderr)
        numbers[part] = {
            "scores": {" ".join(map(str, label)): row for label, row in scores.table().items()}, "drift": drift.table()
        }
        print(f"\n## {part}\n\n" + score_table(numbers[part]["scores"]) + drift_tables(numbers[part]["drift"]))
        if arguments.json:
            arguments.json.write_text(json.dumps(numbers, indent=1, ensure_ascii=False), encoding="utf-8")


def cases(tokens, count, batch, rng):
    """Batches of (canvas [B,CANVAS], gap of 8–16 slots, true middles, foreign tokens), from inside files only."""
    for _ in range(-(-count // batch)):
        texts = []
        while len(texts) < 2 * batch:
            start = rng.integers(len(tokens) - CANVAS)
            text = tokens[start : start + CANVAS].astype(np.int64)
            if END_ID not in text:
                texts.append(torch.from_numpy(text))
        slots = int(rng.integers(8, 17))
        first = int(rng.integers(32, CANVAS - 32 - slots))
        gap = slice(first, first + slots)
        canvas, pool = torch.stack(texts[:batch]), torch.stack(texts[batch:])[:, :16]
        truth = canvas[:, gap].clone()
        canvas[:, gap] = MASK_ID
        yield canvas, gap, truth, pool


def score_table(scores):
    columns = [name for name in COLUMNS if any(name in row for row in scores.values())]
    lines = ["| | cases | " + " | ".join(COLUMNS[name] for name in columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for label, row in scores.items():
        lines.append(f"| {label} | {row['cases']} | " + " | ".join(cell(row, name) for name in columns) + " |")
    return "\n".join(lines) + "\n"


def cell(row, name):
    if name not in row:
        return ""
    half = row.get(f"{name}±")
    if name in ("kl", "steps"):
        return f"{row[name]:.4f}" if name == "kl" else f"{row[name]:.1f}"
    spread = f" ± {100 * half:.1f}" if half is not None and name != "saved" else ""
    return f"{100 * row[name]:.1f}{spread}"


def drift_tables(drift):
    """Relative error of keys / values, per cent: by distance over all layers, then by layer over all distances."""
    if not drift:
        return ""
    layers = [str(layer) for layer in range(LAYERS)]
    text = ""
    for title, names, group in (
        ("distance", DISTANCES, lambda rows, name: [layer[name] for layer in rows]),
        ("layer", layers, lambda rows, name: list(rows[int(name)].values())),
    ):
        text += f"\n‖ΔK‖/‖K‖ · ‖ΔV‖/‖V‖ in %, by {title}\n\n"
        text += "| | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|\n"
        for label, rows in drift.items():
            text += f"| {label} | " + " | ".join(mean(group(rows, name)) for name in names) + " |\n"
    return text


def mean(cells):
    cells = [c for c in cells if c["rows"]]
    count = sum(c["rows"] for c in cells)
    if not count:
        return ""
    return " · ".join(f"{100 * sum(c['rows'] * c[n] for c in cells) / count:.1f}" for n in ("keyError", "valueError"))


if __name__ == "__main__":
    main()
