"""Trains a low-rank adapter for canvas rows on the frozen base (default), or the whole base (--rank 0), on a corpus.

    python training/train.py BASE.gguf CORPUS OUT [--steps 4000] [--rank 64] [--lr 1e-3] [--stop-after 25] [--resume]

CORPUS is a folder of train.jsonl and valid.jsonl (`training/data`). OUT gets checkpoint.pt (resumed with --resume: the
same numbers as if it had never stopped, unless --minutes is given), adapter.safetensors or, with --rank 0,
weights.safetensors (what `bundle.py` takes; running mean of the weights), log.jsonl and loss.svg. All that is random
follows from --seed and the number of the step.

Device: --device cpu, cuda or xla. Not here: gaps (`objective.py`), drawing them (`batches.py`), the network (`network.py`).
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
import blocks4  # noqa: E402
import orders  # noqa: E402
from batches import WEIGHTS, Corpus, batches, draw  # noqa: E402
from masking import STAGES  # noqa: E402
from network import NORMS, PARTS, ROWS, Network  # noqa: E402
from objective import Mix, Objective, Shape  # noqa: E402
from reference import LAYERS, LINEARS, load_base  # noqa: E402
from step import Step, adamw, hidden_rows, inputs, set_rate, tensors  # noqa: E402


@torch.no_grad()
def validate(net, checks, device, read=hidden_rows):
    """Of known rows: nats a token, whole gaps of which every row's best token is right (= greedy writing gives the gap) by
    kind; of open rows: share of best tokens that are right, by distance."""
    nats, count, right, seen, ahead = 0.0, 0, {}, {}, np.zeros((8, 2))
    for b in checks:
        hidden, _ = read(net, tensors(b, device))
        target = torch.as_tensor(b.target, device=device)
        asked = target >= 0
        logits = net.logits(hidden[asked])
        each = F.cross_entropy(logits, target[asked], reduction="none").cpu()
        hit = torch.ones(target.shape, dtype=torch.bool)
        hit[asked.cpu()] = (logits.argmax(-1) == target[asked]).cpu()
        a, said = torch.as_tensor(b.ahead), asked.cpu()
        known = a[said] == 0
        nats, count = nats + float(each[known].sum()), count + int(known.sum())
        for c, kinds in enumerate(b.kinds):
            for k, kind in enumerate(kinds):
                if kind == "denoise":
                    continue
                rows = (a[c] == 0) & said[c] & (torch.as_tensor(b.gap[c]) == k)
                seen[kind] = seen.get(kind, 0) + 1
                right[kind] = right.get(kind, 0) + bool(hit[c][rows].all())
        for m in range(1, 8):
            rows = (a == m) & said
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


def trained_tensors(net, mean):
    """What `reference.load_model` puts beside the base: an adapter in `bundle.py`'s names, float16; or the matrices themselves by
    GGUF name, in the 4 bits they were trained with. mean: of every parameter by name."""
    half = lambda name: mean[name].to("cpu", torch.float16).contiguous()
    out = {"special": half("special"), "pad_out": half("pad_out")}
    for l in net.kept:
        if net.rank:
            for n in LINEARS:
                out[f"{l}.{n}.A"], out[f"{l}.{n}.B"] = half(f"A.{l}_{n}"), half(f"B.{l}_{n}")
            out |= {f"{l}.{n}.gain": mean[f"gain.{l}_{n}"].cpu() for n in NORMS if net.gain}
            continue
        for key, names in PARTS.items():
            q, d, m = blocks4.split(mean[f"own.{l}_{key}"])
            for n, *parts in zip(names, *(x.split(ROWS[key]) for x in (blocks4.packed(q), d, m))):
                out |= {f"blk.{l}.{n}.weight.{p}": x.cpu().contiguous() for p, x in zip("qdm", parts)}
        out |= {f"blk.{l}.{n}.weight": mean[f"gain.{l}_{n}"].cpu() for n in NORMS}
    if net.gain:
        out["output_norm.weight"] = mean["gain.output"].cpu()
    return out


def load_trained(net, held):
    """Takes over what `trained_tensors` gave: an adapter, of this rank or a smaller one (the further ranks then begin at nothing);
    or matrices, as far as 4 bits hold them."""
    gains = net.gain and "output_norm.weight" in held
    with torch.no_grad():
        for l in net.kept:
            if net.rank:
                for n in LINEARS:
                    a, b = held[f"{l}.{n}.A"].float(), held[f"{l}.{n}.B"].float()
                    net.A[f"{l}_{n}"][:a.shape[0]] = a
                    net.B[f"{l}_{n}"][:, :b.shape[1]] = b
                for n in NORMS if gains else ():
                    net.gain[f"{l}_{n}"].copy_(held[f"{l}.{n}.gain"])
                continue
            for key, names in PARTS.items():
                net.own[f"{l}_{key}"].copy_(torch.cat([blocks4.read(held, f"blk.{l}.{n}.weight") for n in names]))
            for n in NORMS:
                net.gain[f"{l}_{n}"].copy_(held[f"blk.{l}.{n}.weight"])
        if gains:
            net.gain["output"].copy_(held["output_norm.weight"])
        net.special.copy_(held["special"].float())
        net.pad_out.copy_(held["pad_out"].float())


def pick_device(name):
    if name == "xla":
        try:
            import torch_xla
        except ImportError as e:
            sys.exit(f"--device xla wants torch-xla for this PyTorch ({torch.__version__}); importing it failed: {e}")
        return torch_xla.device()
    if name == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: this PyTorch sees no CUDA device; take --device cpu, or install a CUDA build of torch")
    return torch.device(name)


def fast_dtype(device):
    """bfloat16, but on a processor without AVX-512, where a product in it takes eight times one in float32."""
    return "float32" if device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2" else "bfloat16"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("base")
    p.add_argument("corpus")
    p.add_argument("out")
    p.add_argument("--steps", type=int, default=4000, help="of the whole training; the learning rate follows it")
    p.add_argument("--minutes", type=float, help="of the whole training, instead of --steps: the learning rate follows the clock")
    p.add_argument("--rank", type=int, default=64, help="of the adapter; 0: the whole base is trained, in 4 bits")
    p.add_argument("--order", default="canvas", choices=tuple(orders.ORDERS), help="how a gap is read (orders.py); only what `canvas` gives can be bundled")
    p.add_argument("--gains", action="store_true", help="norm gains of canvas rows are trained beside the adapter; cannot be bundled")
    p.add_argument("--drop", type=int, default=0, metavar="N", help="leave out every N-th layer; cannot be bundled")
    p.add_argument("--distil", type=float, default=0.0, help="how much of a known row's target is what the base says of the text to its left")
    p.add_argument("--teach-open", type=float, default=0.0, help="how much of an open row's target is what the committed row at its place says")
    p.add_argument("--own-words", type=float, default=0.0, help="share of a gap's committed tokens that are what the network says there, not what the file does")
    p.add_argument("--batch", type=int, default=1, help="chunks a step")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--warm-up", type=int, default=40, help="steps")
    p.add_argument("--decay", type=float, default=0.3, help="share of the training, at its end, in which the rate falls to nothing")
    p.add_argument("--open-weight", type=float, default=0.5, help="of open rows in the loss; known rows have 1")
    p.add_argument("--context-weight", type=float, default=0.3, help="of the context rows' own loss, with --rank 0")
    p.add_argument("--mean", type=float, default=0.995, help="running mean of the weights, per step")
    p.add_argument("--masking", default="mid", choices=STAGES, help="stages of the seed's masking, for --denoise")
    p.add_argument("--on", metavar="WEIGHTS", help="an adapter beside these weights (of --rank 0), not beside the base as published; cannot be bundled")
    p.add_argument("--init", help="adapter or weights to begin from")
    p.add_argument("--weights", help="languages' weights, such as python=3,go=0.5, 1 for those not named (default: the default model's, batches.WEIGHTS)")
    p.add_argument("--stop-after", type=float, default=1e9, help="minutes; then a checkpoint is written")
    p.add_argument("--stop-at", type=int, default=1 << 40, help="step; likewise")
    p.add_argument("--valid-every", type=float, default=5, help="minutes")
    p.add_argument("--valid-steps", type=int, default=24)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda", "xla"))
    p.add_argument("--dtype", choices=("bfloat16", "float32"), help="of the products; bfloat16, but float32 on a processor that has none of it")
    p.add_argument("--compile", action="store_true", help="generated kernels (torch.compile): pays on a GPU")
    p.add_argument("--record", action="store_true", help="play the step's kernels from a recording (CUDA graph)")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--workers", type=int, default=0, help="processes that draw batches")
    p.add_argument("--resume", action="store_true")
    p.add_argument("--no-checkpoint", action="store_true", help="write the weights alone: a checkpoint of the whole base has 1.7 GB")
    for name, value in {**Shape().__dict__}.items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=value, help="see objective.Shape")
    for name, value in {**Mix().__dict__}.items():
        p.add_argument("--" + name.replace("_", "-"), type=float, default=value, help="see objective.Mix")
    o = p.parse_args()
    if why := orders.refused(o.order, o.cuts, o.two_holes):
        p.error(why)
    if o.rank == 0 and (o.gains or o.distil):
        p.error("--gains and --distil want an adapter beside a base that stays: --rank 1 or more")
    if o.rank == 0 and o.on:
        p.error("--on wants an adapter: --rank 1 or more; the whole base begins from weights with --init")
    if o.distil and o.teach_open:
        p.error("--distil and --teach-open are one teacher each; take one")
    return o


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    os.makedirs(o.out, exist_ok=True)
    base, tokenizer = load_base(o.base, o.on)
    shape = Shape(**{k: getattr(o, k) for k in Shape().__dict__})
    objective = Objective(tokenizer, shape, Mix(**{k: getattr(o, k) for k in Mix().__dict__}), o.masking)
    weights = WEIGHTS if o.weights is None else dict((k, float(v)) for k, v in (w.split("=") for w in o.weights.split(",") if w))
    train, valid = (Corpus(os.path.join(o.corpus, f"{n}.jsonl"), weights) for n in ("train", "valid"))
    checks = [draw(objective, valid, o.batch, 1_000_000 + o.seed, i) for i in range(math.ceil(o.valid_steps / o.batch))]
    read = orders.ORDERS[o.order]
    unlike = [*(["--order", o.order] if o.order != "canvas" else []), *(["--on", os.path.basename(o.on)] if o.on else [])]  # to what ships
    if o.order in orders.ONE_TEXT:
        o.context_weight = 0
    if o.order == "suffix-first":
        checks = [orders.without_open_rows(b) for b in checks]
    at = os.path.join(o.out, "checkpoint.pt")
    held = torch.load(at, map_location="cpu", weights_only=False) if o.resume else None
    step, log, spent, targets = (held[k] for k in ("step", "log", "spent", "targets")) if held else (0, [], 0.0, 0)
    # Before the device is opened: processes that fork off after that could not use it, and some cannot fork at all.
    drawn = batches(objective, train, o.batch, o.seed, step, lambda step: min(1, step / o.steps), o.workers)
    if o.order == "suffix-first":
        drawn = map(orders.without_open_rows, drawn)
    first = next(drawn)
    device = pick_device(o.device)
    if o.record and device.type != "cuda":
        sys.exit(f"--record wants --device cuda, found {o.device}")
    o.dtype = o.dtype or fast_dtype(device)
    kept = [l for l in range(LAYERS) if not o.drop or l % o.drop != o.drop - 1]
    net = Network(base, o.rank, getattr(torch, o.dtype), o.gains, kept).to(device)
    if o.init:
        load_trained(net, load_file(o.init))
    if o.compile:
        net.compile()
    names, parameters = zip(*net.named_parameters())
    fixed = o.record or device.type == "xla"  # a kernel is generated for every size anew
    optimizer = adamw(parameters, o.lr, device, fixed)
    take = Step(net, optimizer, device, o.record, read)
    mean = {n: p.detach().clone() for n, p in zip(names, parameters)}
    if held:
        net.load_state_dict(held["net"])
        optimizer.load_state_dict(held["optimizer"])
        mean = {n: m.to(device) for n, m in held["mean"].items()}
        print(f"resumed at step {step} of {o.steps}, after {spent / 60:.1f} minutes", flush=True)

    def elapsed():
        return spent + time.time() - begun

    def done():
        return elapsed() / (o.minutes * 60) if o.minutes else step / o.steps

    def save():
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "mean": mean, "step": step, "log": log,
                 "spent": elapsed(), "targets": targets, "options": vars(o)}
        if not o.no_checkpoint:
            torch.save(state, at + ".part")
            os.replace(at + ".part", at)
        # Either is written whole before it has its name, since another program may be waiting for it.
        trained = os.path.join(o.out, "adapter.safetensors" if o.rank else "weights.safetensors")
        save_file(trained_tensors(net, mean), trained + ".part", {"unlike": " ".join(unlike)} if unlike else None)
        os.replace(trained + ".part", trained)
        with open(os.path.join(o.out, "log.jsonl"), "w") as f:
            f.writelines(json.dumps(r) + "\n" for r in log)
        plot(log, os.path.join(o.out, "loss.svg"))

    def check():
        own = {n: p.detach().clone() for n, p in zip(names, parameters)}
        if step:
            net.load_state_dict(mean)
        v = validate(net, checks, device, read)
        net.load_state_dict(own)
        log.append({"step": step, "targets": targets, "minutes": round(elapsed() / 60, 2), "valid": v})
        print(f"step {step}  valid {json.dumps(v)}", flush=True)

    def prepared(batch):
        """(what the next step reads, how many rows of canvases have a target)"""
        context_weight, rng = 0 if o.rank else o.context_weight, np.random.default_rng((o.seed, step))
        arrays = inputs(batch, o.open_weight, context_weight, fixed, o.distil, o.teach_open, o.own_words, rng)
        return take.ready(arrays), int((batch.target >= 0).sum())

    begun = checked = time.time()
    running = []
    ready, count = prepared(first)
    if not held:
        check()
    while done() < 1 and step < o.stop_at and time.time() - begun < o.stop_after * 60:
        rate = o.lr * min(1, (step + 1) / o.warm_up) * min(1, max(0.01, (1 - done()) / o.decay))
        set_rate(optimizer, rate)
        nats = take(ready)
        step, targets = step + 1, targets + count
        ready, count = prepared(next(drawn))
        keep = min(o.mean, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_([mean[n] for n in names], [p.detach() for p in parameters], 1 - keep)
        running.append(nats)
        if step % 25 == 0:
            log.append({"step": step, "loss": round(float(torch.stack(running).mean()), 4)})
            print(f"step {step} ({100 * done():.0f} %)  loss {log[-1]['loss']:.3f}  {targets / 1e6:.2f} M targets  rate {rate:.1e}  "
                  f"{elapsed() / step:.3f} s/step", flush=True)
            running = []
        if time.time() - checked > o.valid_every * 60:
            check()
            save()
            checked = time.time()
    check()
    save()


if __name__ == "__main__":
    main()
