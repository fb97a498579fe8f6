"""Trains canvas rows on a corpus: a low-rank adapter on the frozen base (default), or matrices of their own (--rank 0).

    python training/train.py BASE.gguf CORPUS OUT [--steps 4000] [--rank 64] [--lr 1e-3] [--stop-after 25] [--resume]

CORPUS is a folder of train.jsonl and valid.jsonl (`training/data`). OUT gets checkpoint.pt (resumed with --resume: the
same numbers as if it had never stopped), adapter.safetensors (what `bundle.py` takes; running mean of the weights),
log.jsonl and loss.svg. All that is random follows from --seed and the number of the step.

Device: --device cpu, cuda or xla. Not here: gaps (`objective.py`), the network (`network.py`).
"""
import argparse
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from masking import STAGES  # noqa: E402
from network import Network  # noqa: E402
from objective import BEGUN, DISTANCE, Mix, Objective, Shape  # noqa: E402
from reference import LAYERS, LINEARS, load_base  # noqa: E402


class Corpus:
    """Files by language and package. A language is drawn by its weight, a package by the root of its size."""

    def __init__(self, path, weights):
        self.by = {}
        with open(path, encoding="utf8") as lines:
            for line in lines:
                f = json.loads(line)
                self.by.setdefault(f["language"], {}).setdefault(f["package"], []).append(f["text"])
        self.languages = sorted(l for l in self.by if weights.get(l, 1.0) > 0)
        p = np.array([weights.get(l, 1.0) for l in self.languages])
        self.p = p / p.sum()
        self.packages = {l: sorted(self.by[l]) for l in self.languages}
        self.q = {}
        for l in self.languages:
            size = np.array([math.sqrt(sum(map(len, self.by[l][n]))) for n in self.packages[l]])
            self.q[l] = size / size.sum()

    def draw(self, rng):
        l = self.languages[int(rng.choice(len(self.languages), p=self.p))]
        files = self.by[l][self.packages[l][int(rng.choice(len(self.packages[l]), p=self.q[l]))]]
        return l, files[int(rng.integers(len(files)))]


def draw_step(objective, corpus, seed, step, done=0.0):
    rng = np.random.default_rng((seed, step))
    while True:
        language, text = corpus.draw(rng)
        made = objective.step(text, rng, done)
        if made is not None:
            return language, made


def hidden_rows(net, c, device):
    """Final rows of a step's canvases [E, Q, D]."""
    t = lambda x: torch.as_tensor(x, device=device)
    P = len(c.chunk)
    at = torch.arange(P, device=device)[None]
    prefix = net.encode(t(c.chunk)[None], at, at)
    piece, S = t(c.own_piece), c.own_ids.shape[1]
    order = torch.arange(S, device=device)
    visible = (piece[:, :, None] == piece[:, None]) & (order[:, None] >= order[None])
    own = net.encode(t(c.own_ids), t(c.own_here), t(c.own_there), visible)
    never = torch.finfo(torch.float32).min
    bias = lambda seen: torch.zeros(seen.shape, device=device).masked_fill(~seen, never)
    prefix_bias = bias(at < t(c.seen)[:, :, None])
    return net.denoise(t(c.ids), t(c.positions), t(c.near), prefix, prefix_bias, own, bias(t(c.own_seen)), bias(t(c.canvas)))


def losses(net, c, device, open_weight):
    hidden = hidden_rows(net, c, device)
    target, ahead = torch.as_tensor(c.target, device=device), torch.as_tensor(c.ahead, device=device)
    asked = target >= 0
    each = F.cross_entropy(net.logits(hidden[asked]), target[asked], reduction="none")
    weight = torch.where((ahead[asked] == 0) | (ahead[asked] == BEGUN), 1.0, open_weight)
    return each, weight, ahead[asked]


@torch.no_grad()
def validate(net, steps, device):
    """Of known rows: nats a token, whole gaps of which every row's best token is right (= greedy writing gives the gap) by
    kind; of open rows: share of best tokens that are right, by distance."""
    nats, count, right, seen, ahead = 0.0, 0, {}, {}, np.zeros((8, 2))
    for c in steps:
        hidden = hidden_rows(net, c, device)
        target = torch.as_tensor(c.target, device=device)
        asked = target >= 0
        logits = net.logits(hidden[asked])
        each = F.cross_entropy(logits, target[asked], reduction="none").cpu()
        hit = torch.ones(target.shape, dtype=torch.bool)
        hit[asked.cpu()] = (logits.argmax(-1) == target[asked]).cpu()
        a = torch.as_tensor(c.ahead)
        known = a[asked.cpu()] == 0
        nats, count = nats + float(each[known].sum()), count + int(known.sum())
        for k, kind in enumerate(c.kinds):
            if kind == "denoise":
                continue
            rows = (a == 0) & asked.cpu() & (torch.as_tensor(c.gap) == k)
            seen[kind] = seen.get(kind, 0) + 1
            right[kind] = right.get(kind, 0) + bool(hit[rows].all())
        for m in range(1, 8):
            rows = (a == m) & asked.cpu()
            ahead[m] += (int(hit[rows].sum()), int(rows.sum()))
    return {
        "nats": round(nats / count, 4), "exact": {k: round(right[k] / seen[k], 4) for k in sorted(seen)},
        "exact_line": round(right.get("line", 0) / max(1, seen.get("line", 0)), 4), "gaps": sum(seen.values()),
        "ahead": [round(h / n, 4) for h, n in ahead[1:] if n],
    }


def plot(log, path):
    """Loss and validation as SVG, nothing but text."""
    points = [(r["step"], r["loss"]) for r in log if "loss" in r]
    checks = [(r["step"], r["valid"]["nats"]) for r in log if "valid" in r]
    if len(points) < 2:
        return
    top, low = max(y for _, y in points + checks), min(y for _, y in points + checks)
    last = points[-1][0]
    at = lambda x, y: f"{60 + 560 * x / last:.1f},{20 + 280 * (top - y) / max(1e-9, top - low):.1f}"
    line = lambda name, colour, p: f'<polyline fill="none" stroke="{colour}" points="{" ".join(at(*q) for q in p)}"/>' \
        f'<text x="{470}" y="{30 if colour == "#888" else 46}" fill="{colour}">{name}</text>'
    ticks = "".join(f'<text x="8" y="{24 + 280 * i / 4:.0f}">{top - (top - low) * i / 4:.2f}</text>' for i in range(5))
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="340" font-family="sans-serif" font-size="12">'
                f'<rect width="640" height="340" fill="white"/>{ticks}<text x="300" y="330">steps (to {last})</text>'
                f'{line("training loss, mean", "#888", points)}{line("held out, nats a token", "#06c", checks)}</svg>\n')


def adapter_tensors(net, mean):
    """In `bundle.py`'s names, float16."""
    out = {}
    names = {id(p): n for n, p in net.named_parameters()}
    value = lambda p: mean[names[id(p)]] if mean else p.detach()
    for l in range(LAYERS):
        for n in LINEARS:
            out[f"{l}.{n}.A"], out[f"{l}.{n}.B"] = value(net.A[f"{l}_{n}"]), value(net.B[f"{l}_{n}"])
    out["special"], out["pad_out"] = value(net.special), value(net.pad_out)
    return {k: v.to("cpu", torch.float16).contiguous() for k, v in out.items()}


def load_adapter(net, path):
    """Takes over an adapter, of this rank or a smaller one (the further ranks then begin at nothing)."""
    held = load_file(path)
    with torch.no_grad():
        for l in range(LAYERS):
            for n in LINEARS:
                a, b = held[f"{l}.{n}.A"].float(), held[f"{l}.{n}.B"].float()
                net.A[f"{l}_{n}"][:a.shape[0]] = a
                net.B[f"{l}_{n}"][:, :b.shape[1]] = b
        net.special.copy_(held["special"].float())
        net.pad_out.copy_(held["pad_out"].float())


def pick_device(name):
    if name == "xla":
        try:
            import torch_xla.core.xla_model as xm
        except ImportError as e:
            sys.exit(f"--device xla wants torch-xla for this PyTorch ({torch.__version__}); importing it failed: {e}")
        return xm.xla_device()
    if name == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: this PyTorch sees no CUDA device; take --device cpu, or install a CUDA build of torch")
    return torch.device(name)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("base")
    p.add_argument("corpus")
    p.add_argument("out")
    p.add_argument("--steps", type=int, default=4000, help="of the whole training; the learning rate follows it")
    p.add_argument("--rank", type=int, default=64, help="of the adapter; 0: matrices of the canvas rows' own")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--decay", type=float, default=0.3, help="share of the steps, at the end, in which the rate falls to nothing")
    p.add_argument("--open-weight", type=float, default=0.5, help="of open rows in the loss; known rows have 1")
    p.add_argument("--mean", type=float, default=0.995, help="running mean of the weights, per step")
    p.add_argument("--masking", default="mid", choices=STAGES, help="stages of the seed's masking, for --denoise")
    p.add_argument("--init", help="adapter.safetensors to begin from")
    p.add_argument("--weights", default="", help="languages' weights, such as python=3,go=0.5")
    p.add_argument("--stop-after", type=float, default=1e9, help="minutes; then a checkpoint is written")
    p.add_argument("--valid-every", type=float, default=5, help="minutes")
    p.add_argument("--valid-steps", type=int, default=24)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda", "xla"))
    p.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--resume", action="store_true")
    for name, value in {**Shape().__dict__}.items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=value, help="see objective.Shape")
    for name, value in {**Mix().__dict__}.items():
        p.add_argument("--" + name.replace("_", "-"), type=float, default=value, help="see objective.Mix")
    return p.parse_args()


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    os.makedirs(o.out, exist_ok=True)
    device = pick_device(o.device)
    base, tokenizer = load_base(o.base)
    net = Network(base, o.rank, getattr(torch, o.dtype)).to(device)
    if o.init:
        load_adapter(net, o.init)
    shape = Shape(**{k: getattr(o, k) for k in Shape().__dict__})
    objective = Objective(tokenizer, shape, Mix(**{k: getattr(o, k) for k in Mix().__dict__}), o.masking)
    weights = dict((k, float(v)) for k, v in (w.split("=") for w in o.weights.split(",") if w))
    train, valid = (Corpus(os.path.join(o.corpus, f"{n}.jsonl"), weights) for n in ("train", "valid"))
    checks = [draw_step(objective, valid, 1_000_000 + o.seed, i)[1] for i in range(o.valid_steps)]
    parameters = list(net.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=o.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=device.type == "cpu" or None)
    mean = {n: p.detach().clone() for n, p in net.named_parameters()}
    step, log, spent, targets = 0, [], 0.0, 0
    at = os.path.join(o.out, "checkpoint.pt")
    if o.resume:
        held = torch.load(at, map_location=device, weights_only=False)
        net.load_state_dict(held["net"])
        optimizer.load_state_dict(held["optimizer"])
        mean, step, log, spent, targets = held["mean"], held["step"], held["log"], held["spent"], held["targets"]
        print(f"resumed at step {step} of {o.steps}, after {spent / 60:.1f} minutes", flush=True)

    def save():
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "mean": mean, "step": step, "log": log,
                 "spent": spent + time.time() - begun, "targets": targets, "options": vars(o)}
        torch.save(state, at + ".part")
        os.replace(at + ".part", at)
        if o.rank:
            save_file(adapter_tensors(net, mean), os.path.join(o.out, "adapter.safetensors"))
        with open(os.path.join(o.out, "log.jsonl"), "w") as f:
            f.writelines(json.dumps(r) + "\n" for r in log)
        plot(log, os.path.join(o.out, "loss.svg"))

    def check():
        own = {n: p.detach().clone() for n, p in net.named_parameters()}
        if step:
            net.load_state_dict(mean)
        v = validate(net, checks, device)
        net.load_state_dict(own)
        log.append({"step": step, "targets": targets, "minutes": round((spent + time.time() - begun) / 60, 2), "valid": v})
        print(f"step {step}  valid {json.dumps(v)}", flush=True)

    begun = checked = time.time()
    running = []
    if not o.resume:
        check()
    while step < o.steps and time.time() - begun < o.stop_after * 60:
        rate = o.lr * min(1, (step + 1) / 40) * min(1, max(0.01, (o.steps - step) / (o.decay * o.steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        _, canvases = draw_step(objective, train, o.seed, step, step / o.steps)
        each, weight, _ = losses(net, canvases, device, o.open_weight)
        loss = (each * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step, targets = step + 1, targets + len(each)
        keep = min(o.mean, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_([mean[n] for n, _ in net.named_parameters()], [p.detach() for _, p in net.named_parameters()], 1 - keep)
        running.append(loss.item())
        if step % 25 == 0:
            log.append({"step": step, "loss": round(sum(running) / len(running), 4)})
            print(f"step {step}/{o.steps}  loss {log[-1]['loss']:.3f}  {targets / 1e6:.2f} M targets  rate {rate:.1e}  "
                  f"{(spent + time.time() - begun) / step:.2f} s/step", flush=True)
            running = []
        if time.time() - checked > o.valid_every * 60:
            check()
            save()
            checked = time.time()
    check()
    save()


if __name__ == "__main__":
    main()
