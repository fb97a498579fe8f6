"""How well trained arms fill held-out gaps, and in how many passes: the figures of `ABLATION.md`.

    python training/ablation.py fill BASE.gguf CORPUS TRAINED.safetensors OUT.jsonl [--order suffix-first] [--cases 256]
    python training/ablation.py compare A.jsonl B.jsonl   # paired, by case

A case is the rest of a line of a held-out package, cut at any character, with what stands before and after it. All arms see the same
tokens, stop at the line's end (END, or a token with a line break) and write at most `MOST` tokens, greedily. OUT gets a line a case
and goes on where it ended. TRAINED may be "none": the base before any training.

Not here: training (`train.py`); the product's own figures (`test/eval`).
"""
import argparse
import json
import os
import sys

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rival  # noqa: E402
from batches import Corpus, draw_one  # noqa: E402
from network import HEAD_DIM, KV_HEADS, Network, context_block, rope  # noqa: E402
from objective import Mix, Objective, Shape  # noqa: E402
from reference import DISTANCE, LAYERS, MASK, VOCAB, load_base  # noqa: E402
from train import load_trained  # noqa: E402

MOST = 64
SHAPE = Shape(ends=1, cuts=1, rows=MOST + 4, longest=MOST + 1, least_suffix=Shape().own)
LINES = Mix(block=0, whole_lines=0, span=0, empty=0, two_holes=0, keep_closers=0, begun=0, no_suffix=0)
SEED = 7_000_000
DRAFTS, SURE, SURE_END = 5, 0.4, 0.9  # as the product drafts: guesses in a pass, how sure they must be together, and how sure an end
FORBIDDEN = 17  # ids below are the tokenizer's own marks
RESAMPLES = 10_000


def cases(tokenizer, corpus, count):
    """(prefix, suffix, middle) of ids; the last of the prefix may be a left piece of a token."""
    objective, found = Objective(tokenizer, SHAPE, LINES), 0
    for i in range(10 * count):
        c = draw_one(objective, corpus, np.random.default_rng((SEED, i)), 0)
        rows = (c.gap[0] == 0) & (c.ids[0] >= 0)
        ids, own = c.ids[0][rows], c.own_ids[0][c.own_piece[0] >= 0]
        if VOCAB not in c.target[0][rows]:
            continue
        yield i, torch.tensor([*c.chunk[:c.seen[0][rows][0]], ids[0]]), torch.tensor(own), torch.tensor(ids[1:])
        found += 1
        if found == count:
            return


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
        text = torch.cat((mark(rival.BEFORE_SUFFIX), suffix, mark(rival.BEFORE_PREFIX), prefix[:-1]))
        self.first = len(text)
        x, self.prefix = net.embed(text)[None], []
        at = [y[None, None] for y in rope(torch.arange(len(text)), net.dtype)]
        for w in self.layers:
            x, key, value = context_block(x, w, at, at, None)
            self.prefix.append((key, value))
        self.own = [(torch.zeros(1, KV_HEADS, 0, HEAD_DIM, dtype=net.dtype),) * 2] * LAYERS


def judged(log_p, stop):
    """Log-probabilities with all ends as one, END's, and nothing forbidden."""
    log_p = log_p.clone()
    log_p[:, VOCAB] = torch.cat((log_p[:, VOCAB:], log_p[:, stop]), 1).logsumexp(1)
    log_p[:, stop] = log_p[:, :FORBIDDEN] = -torch.inf
    return log_p


def told(arm, last, middle, stop):
    """(nats of the middle's tokens and its end, summed) where each is told what stands left of it."""
    ids = torch.cat((last, middle))
    n = len(ids)
    log_p = judged(arm.rows(ids, torch.arange(n), torch.ones(n, n).tril().bool()), stop)
    return -float(log_p.gather(1, torch.cat((middle, torch.tensor([VOCAB])))[:, None]).sum())


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


@torch.no_grad()
def fill(o):
    torch.set_num_threads(o.threads)
    base, tokenizer = load_base(o.base)
    rank = 0
    if o.trained != "none":
        first = load_file(o.trained).get("0.attn_q.A")
        rank = 0 if first is None else len(first)
    net = Network(base, rank, torch.float32)
    if o.trained != "none":
        load_trained(net, o.trained)
    weights = {"python": 4, "typescript": 3, "javascript": 3} | dict.fromkeys(("rust", "go", "c", "lua", "elisp", "shell"), 0.8)
    corpus, layers = Corpus(os.path.join(o.corpus, "valid.jsonl"), weights), net.layers()
    stop = torch.tensor(sorted(i for t, i in tokenizer.get_vocab().items() if "Ċ" in t))
    arm_of = {"canvas": Canvas, "suffix-first": LeftToRight}[o.order]
    done = sum(1 for _ in open(o.out)) if os.path.exists(o.out) else 0
    with open(o.out, "a") as out:
        for n, (i, prefix, suffix, middle) in enumerate(cases(tokenizer, corpus, o.cases)):
            if n < done:
                continue
            arm = arm_of(net, layers, prefix, suffix, o.open)
            ids, passes, read = written(arm, prefix[-1:], stop)
            line = {"case": i, "tokens": len(middle), "nats": round(told(arm, prefix[-1:], middle, stop), 4), "exact": ids == middle.tolist(),
                    "wrote": len(ids), "passes": passes, "rows": read}
            out.write(json.dumps(line) + "\n")
            out.flush()
            if (n + 1) % 32 == 0:
                print(f"{n + 1} of {o.cases}", flush=True)


def interval(values, rng):
    """95 % of the means of resampled cases."""
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
    return np.percentile(means, (2.5, 97.5))


def compare(o):
    arms = [{r["case"]: r for r in map(json.loads, open(path))} for path in (o.a, o.b)]
    both = sorted(arms[0].keys() & arms[1].keys())
    rng = np.random.default_rng(0)
    column = lambda arm, name: np.array([float(arm[i][name]) for i in both])
    print(f"{len(both)} cases")
    for path, arm in zip((o.a, o.b), arms):
        exact, nats, tokens = column(arm, "exact"), column(arm, "nats"), column(arm, "tokens") + 1
        wrote, passes, read = (column(arm, name).sum() for name in ("wrote", "passes", "rows"))
        low, high = 100 * interval(exact, rng)
        print(f"{path}: exact {100 * exact.mean():.1f} % ({low:.1f} to {high:.1f}), {nats.sum() / tokens.sum():.3f} nats a token, "
              f"{passes / wrote:.3f} passes a committed token, {read / passes:.1f} rows a pass")
    difference = column(arms[0], "exact") - column(arms[1], "exact")
    low, high = 100 * interval(difference, rng)
    print(f"exact, a - b: {100 * difference.mean():+.1f} ({low:+.1f} to {high:+.1f})")
    difference = (column(arms[0], "nats") - column(arms[1], "nats")) / (column(arms[0], "tokens") + 1)
    low, high = interval(difference, rng)
    print(f"nats a token, by case, a - b: {difference.mean():+.3f} ({low:+.3f} to {high:+.3f})")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(required=True)
    f = commands.add_parser("fill")
    for name in ("base", "corpus", "trained", "out"):
        f.add_argument(name)
    f.add_argument("--order", default="canvas", choices=("canvas", "suffix-first"))
    f.add_argument("--open", type=int, default=1, help="open rows of a branch, of which ours guesses ahead; the product has 1")
    f.add_argument("--cases", type=int, default=256)
    f.add_argument("--threads", type=int, default=os.cpu_count())
    f.set_defaults(run=fill)
    c = commands.add_parser("compare")
    c.add_argument("a")
    c.add_argument("b")
    c.set_defaults(run=compare)
    o = p.parse_args()
    o.run(o)


if __name__ == "__main__":
    main()
