"""How well trained arms fill held-out gaps, and in how many passes: the figures of `ABLATION.md`.

    python training/ablation.py score BASE.gguf CORPUS TRAINED.safetensors OUT.jsonl [--order ORDER] [--chunks 30]
    python training/ablation.py write BASE.gguf CORPUS TRAINED.safetensors OUT.jsonl [--order suffix-first] [--cases 32]
    python training/ablation.py compare A.jsonl B.jsonl   # two arms' OUT of `score`, paired by gap
    python training/ablation.py table FOLDER              # all arms that `arms.py` left there, each beside the one it is compared with

A gap is the rest of a line of a held-out package, cut at any character, with what stands before and after it. All arms see the same
tokens and stop at the line's end: END, or a token with a line break. `score` tells each token what stands left of it, many gaps in
one pass: if every row's best token is right, greedy writing gives the gap. `write` writes, at most `MOST` tokens, to count passes.
TRAINED may be "none": the base before any training.

Not here: training (`train.py`); the product's own figures (`test/eval`).
"""
import argparse
import json
import os
import sys
from dataclasses import replace

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import orders  # noqa: E402
from batches import WEIGHTS, Corpus, draw, draw_one  # noqa: E402
from network import HEAD_DIM, KV_HEADS, Network, context_block, rope  # noqa: E402
from objective import Mix, Objective, Shape  # noqa: E402
from reference import DISTANCE, LAYERS, MASK, VOCAB, load_base  # noqa: E402
from step import tensors  # noqa: E402
from train import load_trained, pick_device  # noqa: E402

MOST = 32
LINES = Mix(block=0, whole_lines=0, span=0, empty=0, two_holes=0, keep_closers=0, begun=0, no_suffix=0)
SHAPE = Shape(ends=8, cuts=1, rows=MOST + 2, longest=MOST + 1, most_groups=0, least_suffix=Shape().own)
SEED = 7_000_000
DRAFTS, SURE, SURE_END = 5, 0.4, 0.9  # as the product drafts: guesses in a pass, how sure they must be together, and how sure an end
FORBIDDEN = 17  # ids below are the tokenizer's own marks
RESAMPLES = 10_000


def cases(tokenizer, corpus, count):
    """(number, prefix, suffix, middle) of `count` gaps, the rest ids; the last of the prefix may be a left piece of a token."""
    objective = Objective(tokenizer, replace(SHAPE, ends=1), LINES)
    for i in range(count):
        c = draw_one(objective, corpus, np.random.default_rng((SEED, i)), 0)
        rows = (c.gap[0] == 0) & (c.ids[0] >= 0)
        ids, own = c.ids[0][rows], c.own_ids[0][c.own_piece[0] >= 0]
        yield i, torch.tensor([*c.chunk[:c.seen[0][rows][0]], ids[0]]), torch.tensor(own), torch.tensor(ids[1:])


class Canvas:
    """Ours: prefix and suffix read each by itself by the base, canvas rows by what was trained."""

    def __init__(self, net, layers, prefix, suffix, open_rows):
        context, self.layers = layers
        self.net, self.first, self.open = net, len(prefix) - 1, open_rows
        at = torch.arange(len(prefix) - 1)[None]
        self.prefix = net.encode(context, prefix[None, :-1], at, at)[1]
        at = torch.arange(len(suffix))[None]
        self.own = net.encode(context, suffix[None], at, at + DISTANCE + 1)[1]

    def rows(self, ids, offsets, sees):
        """Log-probabilities [Q, VOCAB + 1] of rows ids [Q], `offsets` [Q] behind the last prefix token, that see each other as
        `sees` [Q, Q] says."""
        context = torch.ones(len(ids), self.first + self.own[0][0].shape[2], dtype=torch.bool)
        bias = torch.zeros(len(ids), context.shape[1] + len(ids)).masked_fill(~torch.cat((context, sees), 1), torch.finfo(self.net.dtype).min)
        one = lambda x: x[None, None]
        hidden = self.net.denoise(self.layers, one(ids), one(self.first + offsets), one(offsets), self.prefix, self.own, one(bias))
        return self.net.logits(hidden[0, 0]).log_softmax(-1)


class LeftToRight(Canvas):
    """The rival: suffix, prefix and middle are one text, read by what was trained."""

    def __init__(self, net, layers, prefix, suffix, _):
        self.net, self.layers, self.open = net, layers[1], 0
        mark = lambda id: torch.tensor([id])
        text = torch.cat((mark(orders.BEFORE_SUFFIX), suffix, mark(orders.BEFORE_PREFIX), prefix[:-1]))
        self.first = len(text)
        x, self.prefix = net.embed(text)[None], []
        at = [y[None, None] for y in rope(torch.arange(len(text)), net.dtype)]
        for w in self.layers:
            x, key, value = context_block(x, w, at, at, None)
            self.prefix.append((key, value))
        self.own = [(torch.zeros(1, KV_HEADS, 0, HEAD_DIM, dtype=net.dtype),) * 2] * len(self.layers)


def judged(log_p, stop):
    """Log-probabilities with all ends as one, END's, and nothing forbidden."""
    log_p = log_p.clone()
    log_p[:, VOCAB] = torch.cat((log_p[:, VOCAB:], log_p[:, stop]), 1).logsumexp(1)
    log_p[:, stop] = log_p[:, :FORBIDDEN] = -torch.inf
    return log_p


def written(arm, last, stop):
    """(ids, passes, rows read anew): greedily, with open rows' guesses checked in the next pass as `drafted.ts` does."""
    ids, drafts, passes, read = [], [], 0, 0
    while len(ids) < MOST:
        known = torch.tensor([int(last), *ids, *drafts])
        k, n = len(known), len(ids) + 1
        branches = ([n, k] if drafts else [n]) if arm.open else []  # beside the guesses and behind them: how many known rows each sees
        rows = torch.cat((known, torch.full((arm.open * len(branches),), MASK)))
        offsets = torch.cat((torch.arange(k), *(b + torch.arange(arm.open) for b in branches)))
        sees = torch.zeros(len(rows), len(rows), dtype=torch.bool)
        sees[:k, :k] = torch.ones(k, k).tril()
        for i, b in enumerate(branches):
            own = slice(k + i * arm.open, k + (i + 1) * arm.open)
            sees[own, :b], sees[own, own] = True, True
        log_p = judged(arm.rows(rows, offsets, sees), stop)
        passes, read = passes + 1, read + 1 + len(drafts) + arm.open * len(branches)
        best = log_p.argmax(1).tolist()
        said = 0
        while True:
            token = best[n - 1 + said]
            if token == VOCAB or len(ids) == MOST:
                return ids, passes, read
            ids.append(token)
            if said == len(drafts) or token != drafts[said]:
                break
            said += 1
        # The branch behind all guesses if all were right, else the one beside them, past what is committed by now.
        skip = 0 if said == len(drafts) else said
        start = k + (arm.open if said == len(drafts) and drafts else 0) + skip
        ahead = log_p[start:start + arm.open - skip] if branches else log_p[:0]
        if len(ahead) and int(ahead[0].argmax()) == VOCAB and float(ahead[0, VOCAB].exp()) >= SURE_END:
            return ids, passes, read
        drafts, together = [], 1.0
        for row in ahead:
            guess = int(row.argmax())
            together *= float(row[guess].exp())
            if guess == VOCAB or together < SURE or len(drafts) == DRAFTS:
                break
            drafts.append(guess)
    return ids, passes, read


def opened(o):
    """(network, held-out corpus, tokenizer, ids with a line break)"""
    torch.set_num_threads(o.threads)
    torch.set_default_device(pick_device(o.device))
    base, tokenizer = load_base(o.base, o.on)
    held = load_file(o.trained) if o.trained != "none" else {}
    first = held.get("0.attn_q.A")
    kept = [l for l in range(LAYERS) if not held or f"{l}.attn_q.A" in held or f"blk.{l}.attn_norm.weight" in held]
    net = Network(base, 0 if first is None else len(first), torch.float32, "0.attn_norm.gain" in held, kept).to(o.device)
    if held:
        load_trained(net, held)
    stop = torch.tensor(sorted(i for t, i in tokenizer.get_vocab().items() if "Ċ" in t))
    return net, Corpus(os.path.join(o.corpus, "valid.jsonl"), WEIGHTS), tokenizer, stop


@torch.no_grad()
def score(o):
    net, corpus, tokenizer, stop = opened(o)
    objective, read = Objective(tokenizer, replace(SHAPE, own=o.own, least_suffix=o.own), LINES), orders.ORDERS[o.order]
    with open(o.out, "w") as out:
        for i in range(o.chunks):
            b = draw(objective, corpus, 1, SEED, i)
            hidden, _ = read(net, tensors(b, o.device))
            for gap in range(len(b.kinds[0])):
                rows = torch.as_tensor((b.gap[0] == gap) & (b.target[0] >= 0), device=o.device)
                target = torch.as_tensor(b.target[0], device=o.device)[rows]
                if VOCAB not in target or torch.isin(target, stop).any():
                    continue  # longer than a canvas, or cut at a line's beginning, whose line break the product holds back and clamps
                log_p = judged(net.logits(hidden[0][rows]).log_softmax(-1), stop)
                right = (log_p.argmax(1) == target).tolist()
                line = {"chunk": i, "gap": gap, "tokens": len(target), "exact": all(right), "all_but_end": all(right[:-1]),
                        "nats": round(-float(log_p.gather(1, target[:, None]).sum()), 4)}
                out.write(json.dumps(line) + "\n")
            out.flush()


@torch.no_grad()
def write(o):
    net, corpus, tokenizer, stop = opened(o)
    layers, arm_of = net.layers(), {"canvas": Canvas, "suffix-first": LeftToRight}[o.order]
    total = np.zeros(3, int)
    with open(o.out, "w") as out:
        for i, prefix, suffix, middle in cases(tokenizer, corpus, o.cases):
            ids, passes, rows = written(arm_of(net, layers, prefix, suffix, o.open), prefix[-1:], stop)
            total += (len(ids), passes, rows)
            out.write(json.dumps({"case": i, "wanted": tokenizer.decode(middle.tolist()), "wrote": tokenizer.decode(ids), "passes": passes}) + "\n")
            out.flush()
    print(f"{total[1] / total[0]:.3f} passes a token of {total[0]}, {total[2] / total[1]:.1f} rows a pass")


def interval(value, weight, chunk, rng):
    """The weighted mean and its 95 %, chunks resampled, since gaps of a chunk are alike."""
    by_value, by_weight = (np.bincount(chunk, x) for x in (value * weight, weight))
    drawn = rng.integers(0, len(by_value), (RESAMPLES, len(by_value)))
    return by_value.sum() / by_weight.sum(), *np.percentile(by_value[drawn].sum(1) / by_weight[drawn].sum(1), (2.5, 97.5))


class Scores:
    """What `score` wrote of two arms, paired by gap."""

    def __init__(self, a, b):
        arms = [{(r["chunk"], r["gap"]): r for r in map(json.loads, open(path))} for path in (a, b)]
        both = sorted(arms[0].keys() & arms[1].keys())
        column = lambda name: [np.array([float(arm[k][name]) for k in both]) for arm in arms]
        exact, nats, (tokens, _), one = column("exact"), column("nats"), column("tokens"), np.ones(len(both))
        self.gaps, self.tokens, chunk, rng = len(both), int(tokens.sum()), np.array([c for c, _ in both]), np.random.default_rng(0)
        percent = lambda x: [100 * y for y in interval(x, one, chunk, rng)]
        by_token = lambda x: interval(x / tokens, tokens, chunk, rng)
        self.exact, self.nats = [percent(x) for x in exact], [by_token(x) for x in nats]
        self.more_exact, self.more_nats = percent(exact[0] - exact[1]), by_token(nats[0] - nats[1])


def compare(o):
    s = Scores(o.a, o.b)
    print(f"{s.gaps} gaps, {s.tokens} tokens and ends")
    for path, exact, nats in zip((o.a, o.b), s.exact, s.nats):
        print(path, "exact %.1f %% (%.1f to %.1f)," % tuple(exact), "nats a token %.3f (%.3f to %.3f)" % nats)
    print("a - b: exact %+.1f (%+.1f to %+.1f)," % tuple(s.more_exact), "nats a token %+.3f (%+.3f to %+.3f)" % s.more_nats)


def beside(arm):
    """The arm that an arm of `arms.py` is compared with: what it is named after."""
    return next((f"{kind}ours" for kind in ("whole-", "one-cut-", "tuned-") if arm.startswith(kind)), "ours")


def table(o):
    path = lambda arm: os.path.join(o.folder, arm, "score.jsonl")
    arms = sorted((a for a in os.listdir(o.folder) if os.path.exists(path(a))), key=lambda a: (beside(a), a != beside(a), a))
    print("| arm | exact % | nats a token | beside | exact, difference (95 %) | nats, difference (95 %) |\n|---|---:|---:|---|---:|---:|")
    for arm in arms:
        s = Scores(path(arm), path(beside(arm)))
        difference = "| | |" if arm == beside(arm) else "%s | %+.1f (%+.1f to %+.1f) | %+.3f (%+.3f to %+.3f) |" % (beside(arm), *s.more_exact, *s.more_nats)
        print("| %s | %.1f | %.3f | %s" % (arm, s.exact[0][0], s.nats[0][0], difference))
    print(f"\n{s.gaps} gaps, {s.tokens} tokens and ends")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(required=True)
    for name, run in (("score", score), ("write", write)):
        f = commands.add_parser(name)
        for argument in ("base", "corpus", "trained", "out"):
            f.add_argument(argument)
        f.add_argument("--order", default="canvas", choices=tuple(orders.ORDERS) if run is score else ("canvas", "suffix-first"))
        f.add_argument("--on", metavar="WEIGHTS", help="what an adapter stands beside, where that is not the base as published")
        f.add_argument("--chunks", type=int, default=30, help="score: of eight gaps each, or fewer")
        f.add_argument("--own", type=int, default=SHAPE.own, help="score: tokens of the suffix")
        f.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
        f.add_argument("--cases", type=int, default=32, help="write: gaps")
        f.add_argument("--open", type=int, default=1, help="write: open rows of a branch, of which ours guesses ahead; the product has 1")
        f.add_argument("--threads", type=int, default=os.cpu_count())
        f.set_defaults(run=run)
    c = commands.add_parser("compare")
    c.add_argument("a")
    c.add_argument("b")
    c.set_defaults(run=compare)
    t = commands.add_parser("table")
    t.add_argument("folder")
    t.set_defaults(run=table)
    o = p.parse_args()
    o.run(o)


if __name__ == "__main__":
    main()
