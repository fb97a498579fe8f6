"""Trains a small masked-diffusion model of Python code from scratch, so that staleness can be measured on a network
that has learnt something.

Out: a folder in the layout of Hugging Face (Qwen3, tied, with our `infill` key), with `checkpoint.pt` to resume from
and `loss.txt`. Matrices run in bfloat16, weights and optimiser in float32. The model is a measuring device, not a
product: nothing ships it.
"""
import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from corpus import END_ID, HELD_OUT, LICENCES, MASK_ID, files, stream, train_tokenizer
from network import CANVAS, CONFIG, Network

BATCH, WARMUP, RATE = 16, 100, 4e-3
EASY = 0.3  # of the time, in which single tokens are hidden; gaps alone are not learnt from scratch in an hour
GAP = (4, 24)  # tokens, inclusive


def main():
    parser = argparse.ArgumentParser(description="Train a small bidirectional masked-diffusion model of code.")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="created if absent; training resumes from it")
    parser.add_argument("--minutes", type=float, default=50, help="of training in all; the schedule follows the clock")
    parser.add_argument("--save-every", type=float, default=180, metavar="SECONDS")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tokens, held_out = prepare(arguments.out)
    train(arguments.out, tokens, held_out, 60 * arguments.minutes, arguments.save_every)


def prepare(out):
    """→ the training and the held-out stream; made once, kept in the folder"""
    names = [out / "train.npy", out / "heldout.npy"]
    if not all(name.exists() for name in names):
        sources, held_out = files(LICENCES), files(HELD_OUT)
        texts = [text for package in sources.values() for text in package]
        tokenizer = train_tokenizer(texts)
        tokenizer.save(str(out / "tokenizer.json"))
        for name, group in zip(names, (texts, [text for package in held_out.values() for text in package])):
            np.save(name, stream(tokenizer, group))
        lines = [
            f"- {package} ({(LICENCES | HELD_OUT)[package]}{', held out' if package in HELD_OUT else ''}): "
            f"{len(group)} files, {sum(map(len, group)):,} characters"
            for package, group in (sources | held_out).items()
        ]
        (out / "README.md").write_text("# Read for training\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return [np.load(name) for name in names]


def canvases(tokens, count, rng):
    starts = rng.integers(0, len(tokens) - CANVAS, count)
    return tokens[starts[:, None] + np.arange(CANVAS)].astype(np.int64)


def masked(count, rng, easy):
    """bool [count, CANVAS]. Easy: each token with probability 0.15. Else a third of the canvases has one gap, a third
    gaps until 10–50 % are covered, and a third each token hidden with a probability drawn per canvas. Half of the gaps
    are half filled: they look like a later step of denoising."""
    result = np.zeros((count, CANVAS), bool)
    for row in result:
        kind = rng.integers(3)
        if easy or kind == 2:
            row[:] = rng.random(CANVAS) < (0.15 if easy else rng.uniform(0.05, 1))
            continue
        wanted = 1 if kind == 0 else rng.uniform(0.1, 0.5) * CANVAS
        while row.sum() < wanted:
            length = rng.integers(GAP[0], GAP[1] + 1)
            start = rng.integers(0, CANVAS - length)
            kept = 1.0 if rng.random() < 0.5 else rng.random()
            row[start : start + length] |= rng.random(length) < kept
    return result


def loss_of(network, ids, hidden):
    """Mean cross entropy in nats over the hidden tokens; shift 0: row p is scored at position p. → (loss, hits)"""
    rows = network(torch.where(hidden, MASK_ID, ids))[hidden]
    logits, targets = network.head(rows).float(), ids[hidden]
    return F.cross_entropy(logits, targets), (logits.argmax(-1) == targets).float().mean()


def optimizers(network):
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    matrices = [p for name, p in network.named_parameters() if p.dim() == 2 and "embed" not in name]
    others = [p for name, p in network.named_parameters() if p.dim() != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=RATE, momentum=0.95, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=RATE, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def train(out, tokens, held_out, seconds, save_every):
    network = Network()
    for layer in network.model.layers:
        layer.compile()  # a third faster; needs a C++ compiler
    both = optimizers(network)
    step, spent, curve = 0, 0.0, []
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        for optimizer, saved in zip(both, state["optimizers"]):
            optimizer.load_state_dict(saved)
        step, spent, curve = state["step"], state["spent"], state["curve"]
    fixed = np.random.default_rng(1)
    probe = [torch.from_numpy(part) for part in (canvases(held_out, 128, fixed), masked(128, fixed, False))]
    mean, saved_at, clock = None, spent, time.monotonic()
    while spent < seconds:
        # 1. One batch, drawn from a generator of its own, so that resuming repeats nothing.
        rng = np.random.default_rng((7, step))
        ids = torch.from_numpy(canvases(tokens, BATCH, rng))
        hidden = torch.from_numpy(masked(BATCH, rng, spent < EASY * seconds))
        # 2. Warm up, hold, and fall to nothing over the last 40 %.
        rate = RATE * min(1, (step + 1) / WARMUP, (1 - spent / seconds) / 0.4)
        for optimizer in both:
            for group in optimizer.param_groups:
                group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = loss_of(network, ids, hidden)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in both:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if not math.isfinite(mean):
            raise FloatingPointError(f"loss is {mean} at step {step}; start again with a lower rate than {RATE}")
        # 3. Tell, measure, save.
        now = time.monotonic()
        spent, clock = spent + now - clock, now
        if step % 20 == 0:
            left = (seconds - spent) / 60
            print(f"step {step} loss {mean:.3f}, {spent / step:.2f} s/step, {left:.1f} min left", flush=True)
        if spent - saved_at > save_every or spent >= seconds:
            saved_at = spent
            with torch.no_grad():
                loss, hits = loss_of(network, *probe)
            curve.append([step, spent / 60, mean, loss.item(), hits.item()])
            save(out, network, curve)
            torch.save(
                {"network": network.state_dict(), "optimizers": [o.state_dict() for o in both], "step": step,
                 "spent": spent, "curve": curve},
                checkpoint.with_suffix(".new"),
            )
            checkpoint.with_suffix(".new").replace(checkpoint)


def save(out, network, curve):
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, out / "model.safetensors", {"format": "pt"})
    infill = {
        "attention": "bidirectional", "logits_shift": 0, "mask_token_id": MASK_ID, "end_token_ids": [END_ID],
        "length_mode": "search", "languages": ["python"], "licence": "none: not published",
        "origin": "training/bidirectional/train.py",
    }
    config = CONFIG | {"bos_token_id": None, "eos_token_id": END_ID, "pad_token_id": END_ID, "infill": infill}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    lines = ["step   minutes  loss   held-out loss  held-out top-1"]
    lines += [f"{s:<6} {m:7.1f}  {a:.3f}  {b:.3f}          {100 * c:.1f} %" for s, m, a, b, c in curve]
    (out / "loss.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
