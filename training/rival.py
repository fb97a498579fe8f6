"""The rival: the same gaps read as ordinary fill-in-the-middle does, to compare with at equal training (`ABLATION.md`).

A gap is one text, read from left to right by the adapted base: what follows the gap, what stands before it, then its own tokens and
the end (2207.14255's suffix first, in its second form: nothing stands between prefix and middle). Loss on the gap's tokens and its end alone.
Two embeddings are trained beside the adapter, as for canvases: of the mark before the suffix and of that before the prefix.

Gaps that share an end share their suffix and their prefix, as far as it goes, so each end is one sequence with branches.
Not here: gaps (`objective.py`), of which those with two holes cannot be told this way; the loop (`train.py`).
"""
import numpy as np
import torch
import torch.nn.functional as F

from network import GROUP, HEAD_DIM, ROWS, mlp, norm, product, rope, rotate
from objective import BEGUN
from reference import MASK, PAD

BEFORE_SUFFIX, BEFORE_PREFIX = MASK, PAD  # ids whose embeddings are trained; nothing here is masked or padded


def without_open_rows(batch):
    """The batch with the rows that a text read from left to right has: those of known tokens."""
    if any("two" in kinds for kinds in batch.kinds):
        raise ValueError("a gap of two holes cannot be read as prefix, suffix and middle; draw with --two-holes 0")
    batch.target = np.where((batch.ahead == 0) | (batch.ahead == BEGUN), batch.target, -100)
    return batch


def sequence(chunk, own, ids, positions, seen, canvas):
    """One end as a sequence: (ids [T], positions [T], sees [T, T], its rows of the canvas). chunk [P], own [n] what follows, and of its
    canvas ids, positions, seen [Q], canvas [Q, Q] as in `objective.Canvases`."""
    rows = (ids >= 0).nonzero()[:, 0]
    shared = int(seen[rows].max())
    mark = lambda id: torch.tensor([id], device=ids.device)
    head = torch.cat((mark(BEFORE_SUFFIX), own, mark(BEFORE_PREFIX)))
    all_ids = torch.cat((head, chunk[:shared], ids[rows]))
    h, t = len(head), len(all_ids)
    at = torch.cat((torch.arange(h + shared, device=ids.device), h + positions[rows]))
    sees = torch.ones(t, t, dtype=torch.bool, device=ids.device).tril()
    after = h + shared
    sees[after:, h:after] = torch.arange(shared, device=ids.device) < seen[rows, None]
    sees[after:, after:] = canvas[rows][:, rows]
    return all_ids, at, sees, rows


def hidden_rows(net, b):
    """Final rows of a batch's canvases [C, E, Q, D], 0 where nothing was read, as `step.hidden_rows`; and None, since no row of the chunk
    says anything. b: tensors by the names of `step.READ`."""
    (c, e, q), adapted = b["ids"].shape, net.layers()[1]
    made = [sequence(b["chunk"][i], b["own_ids"][i, j][b["own_piece"][i, j] >= 0], *(b[name][i, j] for name in ("ids", "positions", "seen", "canvas")))
            for i in range(c) for j in range(e)]
    ids, positions, sees, rows = zip(*made)
    x, at = net.embed(torch.cat(ids)), rope(torch.cat(positions), net.dtype)
    for w in adapted:
        x = block(x, w, at, sees)
    x = net.output_norm(x)
    hidden = x.new_zeros(c * e * q, x.shape[-1])
    said = torch.cat([part[-len(r):] for part, r in zip(x.split([len(s) for s in ids]), rows)])
    return hidden.index_copy(0, torch.cat([n * q + r for n, r in enumerate(rows)]), said).view(c, e, q, -1), None


def block(x, w, at, sees):
    """x [N, D]: sequences one behind the other, each of whose rows sees what `sees` [T, T] of its sequence says."""
    heads = lambda y: y.view(len(x), -1, HEAD_DIM)
    q, k, v = (heads(y) for y in product(norm(x, w["attn_norm"]), w, "qkv").split(ROWS["qkv"], -1))
    q, k = (rotate(y, [z[:, None] for z in at]) for y in (q, k))
    k, v = (y.repeat_interleave(GROUP, 1) for y in (k, v))
    sizes = [len(s) for s in sees]
    attended = [F.scaled_dot_product_attention(*(y.transpose(0, 1)[None] for y in part), attn_mask=s)[0].transpose(0, 1)
                for *part, s in zip(*(y.split(sizes) for y in (q, k, v)), sees)]
    return mlp(x + product(torch.cat(attended).flatten(1), w, "o"), w)
