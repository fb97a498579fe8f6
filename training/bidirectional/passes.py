"""Passes over a canvas of which some rows are kept from an earlier pass, and what is compared between two of them.

A batch shares one geometry: where slots, edits and kept rows lie. Rows are named by their position in the canvas.
"""
from dataclasses import dataclass

import torch

from corpus import END_ID, MASK_ID
from network import LAYERS, rope

FIRST_ID = max(END_ID, MASK_ID) + 1  # lower ids may not be committed; they are left out of every distribution
DISTANCES = ["1", "2–3", "4–7", "8–15", "16–31", "32–63", "64+"]


@dataclass
class Trace:
    """Of each layer: its input [B,R,W], and its keys (before rotation) and values [B,KV_HEADS,R,D]."""

    inputs: list
    keys: list
    values: list

    def rows(self, index):
        pick = lambda group, axis: [t.index_select(axis, index) for t in group]
        return Trace(pick(self.inputs, 1), pick(self.keys, 2), pick(self.values, 2))

    def cases(self, index):
        return Trace(*([t[index] for t in group] for group in (self.inputs, self.keys, self.values)))

    def joined(self, other):
        join = lambda one, two, axis: [torch.cat(pair, axis) for pair in zip(one, two)]
        return Trace(
            join(self.inputs, other.inputs, 1), join(self.keys, other.keys, 2), join(self.values, other.values, 2)
        )


def complement(rows, size):
    keep = torch.ones(size, dtype=torch.bool)
    keep[rows] = False
    return keep.nonzero().flatten()


@torch.no_grad()
def run(network, canvas, kept=None, kept_rows=None, depth=LAYERS):
    """A pass over canvas [B,N]. Rows `kept_rows` skip the first `depth` layers, where the keys and values of `kept`
    stand for them, and go on from its inputs. → (normed rows [B,N,W], zero where nothing was computed; trace of the
    computed rows, in canvas order; only of whole passes or depth = LAYERS)"""
    size = canvas.shape[1]
    rows = torch.arange(size) if kept is None else complement(kept_rows, size)
    x, angles = network.model.embed_tokens(canvas[:, rows]), rope(rows)
    trace = Trace([], [], [])
    for index, layer in enumerate(network.model.layers):
        if kept is not None and index == depth:
            x, rows = torch.cat((x, kept.inputs[index]), 1), torch.cat((rows, kept_rows))
            angles = rope(rows)
        past = None
        if kept is not None and index < depth:
            past = (kept.keys[index], kept.values[index], rope(kept_rows))
        trace.inputs.append(x)
        x, key, value = layer(x, angles, past)
        trace.keys.append(key)
        trace.values.append(value)
    out = x.new_zeros(x.shape[0], size, x.shape[2])
    out[:, rows] = network.model.norm(x)
    return out, trace


@torch.no_grad()
def guesses(network, rows):
    """rows [B,M,W] → log-probabilities [B,M,VOCAB − FIRST_ID], in nats"""
    return network.head(rows)[..., FIRST_ID:].log_softmax(-1)


def compare(fresh, stale, asked):
    """Both [B,M,V]; asked bool [B,M]. → per case: agreement of the best token, KL(fresh ‖ stale) in nats, and (hits,
    count) among slots where the stale probability reaches 0.9"""
    share = lambda values: (values * asked).sum(1) / asked.sum(1)
    same = (fresh.argmax(-1) == stale.argmax(-1)).float()
    kl = (fresh.exp() * (fresh - stale)).sum(-1)
    sure = asked & (stale.amax(-1).exp() >= 0.9)
    return share(same), share(kl), (same * sure).sum(1), sure.sum(1)


def commit(canvas, gap, logprobs, threshold):
    """Writes the surest open slot, and all that reach the threshold, into a copy. → (canvas, written bool [B,M])"""
    slots = canvas[:, gap]
    best, ids = logprobs.max(-1)
    best = best.exp().masked_fill(slots != MASK_ID, -1)
    written = best >= threshold
    written |= (best == best.amax(1, keepdim=True)) & (best >= 0)
    canvas = canvas.clone()
    canvas[:, gap] = torch.where(written, ids + FIRST_ID, slots)
    return canvas, written


def denoise(canvas, gap, step, threshold=2.0):
    """step(canvas, number) → log-probabilities of the slots. A threshold above 1 commits one slot a step. → (middles
    [B,M], steps of each case [B])"""
    steps = torch.zeros(len(canvas), dtype=torch.long)
    number = 0
    while (canvas[:, gap] == MASK_ID).any():
        steps += (canvas[:, gap] == MASK_ID).any(1)
        canvas, _ = commit(canvas, gap, step(canvas, number), threshold)
        number += 1
    return canvas[:, gap], steps


class Drift:
    """‖fresh − kept‖ / ‖fresh‖ and cosine of keys and values, by label, layer and distance."""

    def __init__(self):
        self.sums = {}

    def add(self, label, fresh, kept, distances):
        """distances: [R] ≥ 1, of the rows of both traces"""
        bucket = distances.float().log2().floor().long().clamp(max=len(DISTANCES) - 1)
        counts = torch.bincount(bucket, minlength=len(DISTANCES)) * len(fresh.keys[0])
        for layer in range(LAYERS):
            parts = [counts.float()]
            for one, two in ((fresh.keys, kept.keys), (fresh.values, kept.values)):
                a, b = (group[layer].transpose(1, 2).flatten(2) for group in (one, two))  # [B,R,KV_HEADS·D]
                for measure in ((a - b).norm(dim=-1) / a.norm(dim=-1), torch.cosine_similarity(a, b, -1)):
                    parts.append(torch.zeros(len(DISTANCES)).index_add_(0, bucket, measure.sum(0)))
            self.sums[label, layer] = self.sums.get((label, layer), 0) + torch.stack(parts)

    def table(self):
        """{label: [layer][distance] of {rows, keyError, keyCosine, valueError, valueCosine}}"""
        names, result = ["keyError", "keyCosine", "valueError", "valueCosine"], {}
        for (label, _), sums in sorted(self.sums.items()):
            rows = [
                {"rows": int(column[0])} | {n: (v / column[0]).item() for n, v in zip(names, column[1:])}
                for column in sums.T
            ]
            result.setdefault(label, []).append(dict(zip(DISTANCES, rows)))
        return result


class Scores:
    """Numbers of cases by label; the mean of each and half of its 95 % interval."""

    def __init__(self):
        self.values = {}

    def add(self, label, **measures):
        for name, value in measures.items():
            self.values.setdefault(label, {}).setdefault(name, []).append(torch.as_tensor(value).float().flatten())

    def table(self):
        result = {}
        for label, measures in self.values.items():
            row = result[label] = {}
            for name, parts in measures.items():
                if name in ("sureHits", "sure"):
                    continue
                values = torch.cat(parts)
                spread = values.std().item() if len(values) > 1 else float("nan")
                row |= {"cases": len(values), name: values.mean().item()}
                row[f"{name}±"] = 1.96 * spread / len(values) ** 0.5
            if "sure" in measures:
                hits, sure = (torch.cat(measures[name]).sum().item() for name in ("sureHits", "sure"))
                row |= {"agreementWhereSure": hits / max(sure, 1), "sureSlots": int(sure)}
        return result
