"""Across edits: rows around the gap are kept from a request made before the document was edited.

The document after the edit is always the same true text; what stood there before differs by kind. Rows of the edit, the
last prefix token and the slots are computed, all others stand as they were encoded, at their new positions.

- typing: the last n tokens before the gap were not there yet.
- typing, rolling: the same, one token at a time with a request after each; a typed token keeps what it got then.
- insert, replace: n tokens in one place elsewhere were absent, or were other tokens.
- scattered: n single tokens all over the document were other tokens.
"""
import torch

from corpus import MASK_ID
from network import LAYERS
from passes import FIRST_ID, Drift, Scores, compare, complement, denoise, guesses, run
from within_request import kept_rows

KINDS = [(kind, n) for kind in ("typing", "insert", "replace") for n in (1, 4, 16)]
KINDS += [(kind, n) for kind in ("typing, rolling", "scattered") for n in (4, 16)]
APART = {"1–15": (1, 15), "16–63": (16, 63), "64+": (64, 10**6)}  # tokens from the edit to the gap
REACHES, DEPTHS = (4, 16, 32, 64, 96), (1, 2, 4, 6)  # hybrids: recompute rows up to r away; keep the first d layers
BOTH = [(r, d) for r in (16, 64) for d in (2, 4)]
HYBRIDS = [("typing", 1), ("typing", 16), ("replace", 4)]


def place(kind, count, gap, size, rng):
    """→ (edited rows, name of the distance to the gap)"""
    if kind.startswith("typing"):
        return torch.arange(gap.start - count, gap.start), "0"
    if kind == "scattered":
        free = complement(torch.arange(gap.start - 1, gap.stop), size)
        return free[torch.from_numpy(rng.permutation(len(free))[:count])].sort().values, "any"
    while True:
        name = list(APART)[rng.integers(len(APART))]
        low, high = APART[name]
        apart = lambda start: gap.start - 1 - (start + count - 1) if start < gap.start else start - gap.stop + 1
        fits = [start for start in range(size - count + 1) if low <= apart(start) <= high]
        if fits:
            first = fits[rng.integers(len(fits))]
            return torch.arange(first, first + count), name


def distances(rows, targets, gap):
    """From each row to the nearest target, in tokens of the document: slots count for nothing."""
    line = lambda index: torch.where(index < gap.start, index, index - (gap.stop - gap.start))
    return (line(rows)[:, None] - line(targets)[None]).abs().amin(1)


def before(kind, canvas, edited, pool):
    """→ (the canvas before the edit; row there of each row now, of unedited rows)"""
    if kind in ("replace", "scattered"):
        old = canvas.clone()
        old[:, edited] = pool[:, : len(edited)]
        return old, torch.arange(canvas.shape[1])
    there = torch.arange(canvas.shape[1])
    there[edited[-1] + 1 :] -= len(edited)
    return canvas[:, complement(edited, canvas.shape[1])], there


def rolling(network, canvas, gap, count, kept, rows):
    """Types the last `count` prefix tokens one by one. kept: from before; rows: their places in the final canvas.
    → (kept, rows) with the typed tokens but the last, which every request computes"""
    for typed in range(1, count):
        missing = count - typed
        now = canvas[:, complement(torch.arange(gap.start - missing, gap.start), canvas.shape[1])]
        places = torch.where(rows < gap.start, rows, rows - missing)
        _, trace = run(network, now, kept, places)
        kept = kept.joined(trace.rows(torch.tensor([0])))
        rows = torch.cat((rows, torch.tensor([gap.start - missing - 1])))
    return kept, rows


def measure(network, batches, scores: Scores, drift: Drift, rng, texts=True, hybrids=True):
    """batches of (canvas [B,N], gap, true middles [B,M], pool [B,16] of foreign tokens)."""
    for canvas, gap, truth, pool in batches:
        size = canvas.shape[1]
        asked = canvas[:, gap] == MASK_ID
        rows, fresh_trace = run(network, canvas)
        fresh = guesses(network, rows[:, gap])
        if texts:
            step = lambda now, number: guesses(network, run(network, now)[0][:, gap])
            middles, _ = denoise(canvas, gap, step)
            right = middles == truth
            scores.add(("nothing kept",), tokensRight=right.float().mean(1), exact=right.all(1))
        around = kept_rows("both", gap, size)
        always = torch.arange(gap.start - 1, gap.stop)

        def keep(label, kept, stale):
            """Scores a policy by its first predictions, and by the text it goes on to write."""
            first = guesses(network, run(network, canvas, kept, stale)[0][:, gap])
            same, kl, hits, sure = compare(fresh, first, asked)
            measures = dict(agreement=same, kl=kl, sureHits=hits, sure=sure)
            measures |= {"firstRight": ((first.argmax(-1) + FIRST_ID) == truth).float().mean(1)}
            if texts:
                step = lambda now, number: guesses(network, run(network, now, kept, stale)[0][:, gap])
                text, _ = denoise(canvas, gap, step)
                measures |= dict(
                    sameText=(text == middles).all(1), sameTokens=(text == middles).float().mean(1),
                    tokensRight=(text == truth).float().mean(1), exact=(text == truth).all(1),
                )
            scores.add(label, **measures)
            return same, kl

        keep(("kept from the request itself",), fresh_trace.rows(around), around)
        for kind, count in KINDS:
            edited, apart = place(kind, count, gap, size, rng)
            old, there = before(kind, canvas, edited, pool)
            _, old_trace = run(network, old)
            stale = complement(torch.cat((edited, always)), size)
            if kind == "typing, rolling":
                begin = complement(torch.cat((edited, torch.arange(gap.start, gap.stop))), size)
                keep((kind, count), *rolling(network, canvas, gap, count, old_trace.rows(there[begin]), begin))
                continue
            kept = old_trace.rows(there[stale])
            drift.add(f"{kind} {count}", fresh_trace.rows(stale), kept, distances(stale, edited, gap))
            same, kl = keep((kind, count), kept, stale)
            if kind in ("insert", "replace"):
                scores.add(("apart", kind, count, apart), agreement=same, kl=kl)
            if not hybrids or (kind, count) not in HYBRIDS:
                continue
            near = distances(stale, torch.cat((edited, torch.tensor([gap.start - 1]))), gap)
            for reach, depth in [(r, LAYERS) for r in REACHES] + [(0, d) for d in DEPTHS] + BOTH:
                far = stale[near > reach]
                if len(far) == 0:
                    continue
                partly, _ = run(network, canvas, old_trace.rows(there[far]), far, depth)
                same, kl, hits, sure = compare(fresh, guesses(network, partly[:, gap]), asked)
                saved = torch.full((len(canvas),), len(far) * depth / (size * LAYERS))
                scores.add(
                    ("hybrid", kind, count, reach, depth), agreement=same, kl=kl, sureHits=hits, sure=sure, saved=saved
                )
