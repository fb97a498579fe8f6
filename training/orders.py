"""Other ways to read the same gaps than the default model's, to compare with at equal training (`ABLATION.md`).

  canvas          the default: prefix and suffix each by itself, causally, by the base; canvas rows see both (`step.hidden_rows`)
  adapted-suffix  the same, but rows of the suffix see each other both ways and are adapted. Nothing before the cursor changes them, so
                  they are as exact across edits as the default's
  suffix-first    ordinary fill-in-the-middle, the rival: suffix, prefix and middle are one text, read from left to right by what is
                  trained (2207.14255's suffix first, in its second form: nothing stands between prefix and middle)
  both-ways       prefix and suffix are one context whose rows all see each other, as masked-diffusion models read it; adapted. A row
                  changes with every key, so nothing of it can be kept; gaps that share an end cannot share it: draw with --cuts 1

In the last two each end is a text of its own, so gradients go through its context. Suffix-first has two more embeddings that are trained:
of the mark before the suffix and of that before the prefix.

Not here: gaps (`objective.py`), of which those with two holes cannot be told in the last two ways; the loop (`train.py`).
"""
from functools import partial

import numpy as np
import torch

import step
from network import rope
from objective import BEGUN
from reference import MASK, PAD

BEFORE_SUFFIX, BEFORE_PREFIX = MASK, PAD  # ids whose embeddings are trained; nothing here is masked or padded
ONE_TEXT = ("suffix-first", "both-ways")  # in which each end is a text of its own, and no row of the chunk says anything


def refused(order, cuts, two_holes):
    """Why gaps drawn like this cannot be read in this order, or None."""
    if order in ONE_TEXT and two_holes:
        return f"--order {order} reads one hole a gap; draw with --two-holes 0"
    if order == "both-ways" and cuts > 1:
        return "--order both-ways shows a gap's whole prefix to every row of it, so a gap that begins earlier would see its own text; draw with --cuts 1"
    return None


def without_open_rows(batch):
    """The batch with the rows that a text read from left to right has: those of known tokens."""
    batch.target = np.where((batch.ahead == 0) | (batch.ahead == BEGUN), batch.target, -100)
    return batch


def one_text(b, both_ways):
    """Each end as one text: (ids, positions [B, T], sees [B, T, T]), B = C · E and T = 1 + S + 1 + P + Q: mark, what follows, mark, the
    chunk, canvas. Rows that hold nothing, and of the chunk those that no gap sees, are there but unseen. b: as `step.READ`."""
    (c, e, q), s, p = b["ids"].shape, b["own_ids"].shape[-1], b["chunk"].shape[1]
    device, n = b["ids"].device, c * e
    flat = lambda name: b[name].flatten(0, 1)
    mark = lambda x: torch.full((n, 1), x, device=device)
    here = flat("own_piece") >= 0
    seen = torch.arange(p, device=device) < flat("seen")[..., None]  # [B, Q, P]
    ids = torch.cat((mark(BEFORE_SUFFIX), flat("own_ids"), mark(BEFORE_PREFIX), b["chunk"].repeat_interleave(e, 0), flat("ids")), 1)
    if both_ways:
        first = (flat("positions") - flat("near")).amax(1, keepdim=True)
        at = torch.cat((mark(0), first + flat("own_there"), mark(0), torch.arange(p, device=device).expand(n, p), flat("positions")), 1)
        context = torch.cat((mark(False), here, mark(False), seen.any(1)), 1)
        sees = torch.cat((context, torch.zeros(n, q, dtype=torch.bool, device=device)), 1)[:, None].repeat(1, s + p + 2, 1)
        head = torch.cat((mark(False), here, mark(False)), 1)
    else:
        h = here.sum(1, keepdim=True) + 2
        at = torch.cat((torch.arange(s + 1, device=device).expand(n, -1), h - 1, h + torch.arange(p, device=device), h + flat("positions")), 1)
        head = torch.cat((mark(True), here, mark(True)), 1)
        there = torch.cat((head, torch.ones(n, p + q, dtype=torch.bool, device=device)), 1)
        sees = there[:, None] & torch.ones(s + p + 2, s + p + 2 + q, dtype=torch.bool, device=device).tril()
    return ids, at, torch.cat((sees, torch.cat((head[:, None].expand(-1, q, -1), seen, flat("canvas")), 2)), 1)


def text_rows(net, b, both_ways=False):
    """Final rows of a batch's canvases [C, E, Q, D], as `step.hidden_rows`; and None, since no row of the chunk says anything."""
    ids, at, sees = one_text(b, both_ways)
    x, at = net.embed(ids), [y[:, None] for y in rope(at, net.dtype)]
    bias = torch.zeros(sees.shape, dtype=net.dtype, device=sees.device).masked_fill(~sees, torch.finfo(net.dtype).min)[:, None]
    for w in net.layers()[1]:
        x = net.context_block(x, w, at, at, bias)[0]
    return net.output_norm(x[:, -b["ids"].shape[2]:]).unflatten(0, b["ids"].shape[:2]), None


ORDERS = {"canvas": step.hidden_rows, "adapted-suffix": partial(step.hidden_rows, adapted_suffix=True), "suffix-first": text_rows,
          "both-ways": partial(text_rows, both_ways=True)}
