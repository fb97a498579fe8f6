"""Gaps in source text → canvases to learn from: what each row reads, sees and should say.

A step takes one chunk of a file and opens many gaps in it. Of each gap the canvas holds
  known rows   the last token before the gap and the gap's own tokens: each sees the context and the known rows to its
               left, and says the token after it (END after the last). They are what has been committed at run time.
               In some gaps a few more tokens before it open the canvas (`begun`), as the server has those of the line;
  open rows    groups of masks that begin after one of the known rows: they see the context, the known rows up to there
               and each other, and say what comes after the first open slot (which the last known row says).
So one pass teaches to write on from every point of the gap, and to look ahead from some. A share of the gaps (`denoise`) is
masked as the seed does it instead (`masking.py`): all rows see each other, and the masked ones say their tokens.

Pure but for the tokenizer and a random generator. Not here: the network, batches on a device.
"""
import re
from dataclasses import dataclass, field

import numpy as np

from masking import draw_batch, mask_sequence, stage_at
from reference import DISTANCE, MASK, MOST_BEGUN, PAD, VOCAB

AMONG = 7  # `ahead` of a masked row that all rows of its canvas see
BEGUN = 8  # `ahead` of a row before the last token before the gap
CLOSERS = ")]};,:\"'`"


@dataclass
class Shape:
    """Sizes of a step. All counts are tokens, rows or gaps."""
    chunk: int = 384
    ends: int = 8  # distinct gap ends, each with its own following context and one canvas
    cuts: int = 8  # gaps that share an end, as far as they fit
    own: int = 48  # following context read per end (and what stands between two holes)
    rows: int = 96  # of a canvas, all gaps of an end together
    longest: int = 24  # known rows of one gap
    open_rows: int = 5  # per group
    most_groups: int = 2
    least_suffix: int = 24
    most_begun: int = MOST_BEGUN


@dataclass
class Mix:
    """Shares of kinds of gaps; what is left is the rest of a line."""
    block: float = 0.12
    whole_lines: float = 0.12
    span: float = 0.16
    empty: float = 0.04
    two_holes: float = 0.08
    keep_closers: float = 0.2  # of rests of lines
    begun: float = 0.5  # of gaps, but for two holes: some tokens before them open their canvas
    no_suffix: float = 0.05  # of ends, but for two holes: nothing follows, as at the end of a file
    denoise: float = 0.0  # of gaps: masked by the seed's progressive masking, rows that all see each other


@dataclass
class Gap:
    seen: int  # chunk tokens seen before the gap; the canvas begins with the token after them, or its left piece
    last: int  # id of the last token before the gap
    ids: list  # the gap's own tokens
    whole: bool  # whether the gap ends here (else it goes on and nothing says END)
    kind: str = ""
    begun: list = field(default_factory=list)  # tokens before `last` that open the canvas


def held_back(left):
    """What the server holds back of the text before a gap (infill/plan.ts): tokens then break as they do in files."""
    if left.endswith(" "):
        return " "
    if not left.endswith("\n"):
        return ""
    run = re.search(r"\S([^\S\n]*\n\s*)$", left[-9:])
    return run.group(1) if run else "\n"


class Text:
    """A chunk of a file as tokens with their places."""

    def __init__(self, tokenizer, text, limit, at_start):
        self.tokenizer, self.text = tokenizer, text
        encoded = tokenizer.encode(text, add_special_tokens=False)
        self.ids = ([0] if at_start else []) + encoded.ids[:limit - at_start]
        ends = [b for _, b in encoded.offsets[:limit - at_start]]
        self.ends = np.array(([0] if at_start else []) + ends)  # characters up to and with each token
        self.length = int(self.ends[-1]) if len(self.ends) else 0

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def cut(self, at, end, most):
        """The gap from character `at` to `end`, tokenized as the server would; None where the text before does not break
        as the chunk does (but for its last token)."""
        held = held_back(self.text[max(0, at - 9):at])
        left = at - len(held)
        j = int(np.searchsorted(self.ends, left, side="right"))  # tokens wholly to the left
        back = max(0, j - 3)
        begin = int(self.ends[back - 1]) if back else 0
        tail = self.encode(self.text[begin:left])
        if not tail:
            return None
        same = self.ids[back:back + len(tail) - 1]
        if back == 0 and self.ids and self.ids[0] == 0 and len(self.ends) and self.ends[0] == 0:
            tail, same = [0] + tail, self.ids[:len(tail)]
        if tail[:-1] != same:
            return None
        seen = back + len(tail) - 1
        ids = self.encode(self.text[left:end])
        return Gap(seen, tail[-1], ids[:most], len(ids) <= most) if seen >= 4 else None


@dataclass
class Canvases:
    """numpy arrays of one step: E canvases of Q rows, one per gap end; a chunk of P tokens, S own tokens per end."""
    chunk: np.ndarray  # [P]
    own_ids: np.ndarray  # [E, S] what follows (and what stands between two holes)
    own_here: np.ndarray  # [E, S] positions at which they are read
    own_there: np.ndarray  # [E, S] where they stand, counted from the last token before the (first) gap
    own_piece: np.ndarray  # [E, S] which piece each belongs to (0 between two holes, 1 after), -1 nothing
    ids: np.ndarray  # [E, Q]
    positions: np.ndarray  # [E, Q]
    near: np.ndarray  # [E, Q] positions counted from the last token before the (first) gap of the row
    seen: np.ndarray  # [E, Q] chunk tokens seen
    canvas: np.ndarray  # [E, Q, Q] bool
    own_seen: np.ndarray  # [E, Q, S] bool
    target: np.ndarray  # [E, Q], -100 nothing, VOCAB the end
    ahead: np.ndarray  # [E, Q] 0 known row, m the m-th open row of its group, AMONG, BEGUN, -1 nothing to say
    gap: np.ndarray  # [E, Q] number of the row's gap within the step, -1 unused
    kinds: list = field(default_factory=list)  # of each gap


class Objective:
    def __init__(self, tokenizer, shape=Shape(), mix=Mix(), masking="mid"):
        self.tokenizer, self.shape, self.mix, self.masking = tokenizer, shape, mix, masking

    def chunk(self, text, rng):
        """A run of whole lines of a file, or None where it is too short."""
        starts = [0] + [m.end() for m in re.finditer("\n", text)]
        most = self.shape.chunk * 4
        begin = 0 if rng.random() < 0.15 or len(text) < most // 2 else starts[int(rng.integers(len(starts)))]
        begin = min(begin, max((s for s in starts if s <= max(0, len(text) - most // 2)), default=0))
        chunk = Text(self.tokenizer, text[begin:begin + most], self.shape.chunk, begin == 0)
        return chunk if len(chunk.ids) >= 96 else None

    def step(self, text, rng, done=0.0):
        """One step's canvases, or None where the file gives too few gaps. `done` (0 … 1): how much of the training is over."""
        self.stage = stage_at(self.masking, done)
        s, chunk = self.shape, self.chunk(text, rng)
        if chunk is None:
            return None
        lines = self.lines(chunk)
        if len(lines) < 4:
            return None
        ends, tries = [], 0
        while len(ends) < s.ends and tries < 12 * s.ends:
            tries += 1
            two = rng.random() < self.mix.two_holes
            made = self.two_holes(chunk, lines, rng) if two else self.one_end(chunk, lines, rng)
            if made:
                ends.append(made)
        return self.canvases(chunk, ends, rng) if len(ends) == s.ends else None

    def lines(self, chunk):
        """(start, first character that is not blank, end) of the chunk's lines that say something, but the last ones."""
        found = []
        for m in re.finditer(r"[^\n]+", chunk.text[:chunk.length]):
            body = m.group().strip()
            if len(body) >= 3 and len(m.group()) <= 200:
                found.append((m.start(), m.start() + len(m.group()) - len(m.group().lstrip()), m.start() + len(m.group().rstrip())))
        return [l for l in found if l[2] + 40 < chunk.length] if found else []

    def one_end(self, chunk, lines, rng):
        """(gaps that end at one place, that place)."""
        m, kind = self.mix, rng.random()
        i = int(rng.integers(1, len(lines)))
        start, first, end = lines[i]
        cuts, name = [], "line"
        count = self.shape.cuts
        if kind < m.block:
            name = "block"
            for _ in range(count):
                a = lines[max(0, i - int(rng.integers(1, 3)))]
                cuts.append(int(rng.integers(a[1], a[2] + 1)))
        elif kind < m.block + m.whole_lines:
            name = "whole"
            for k in range(count):
                j = i - 1 - (0 if k == 0 else int(rng.integers(0, 3)))
                if j >= 0:
                    cuts.append(lines[j][2])
        elif kind < m.block + m.whole_lines + m.span:
            name = "span"
            end = int(rng.integers(start + 1, end + 1))
            cuts = [max(1, end - int(rng.integers(1, 60))) for _ in range(count)]
        elif kind < m.block + m.whole_lines + m.span + m.empty:
            name = "empty"
            cuts = [end]
        else:
            if rng.random() < m.keep_closers:
                body = chunk.text[first:end].rstrip(CLOSERS)
                end = first + len(body) if len(body) >= 2 else end
            if end - first < 2:
                return None
            # One cut where the line begins, the others anywhere.
            cuts = [int(rng.integers(first, end)) for _ in range(count)]
        gaps = [g for c in sorted(set(cuts)) if (g := chunk.cut(c, end, self.shape.longest - 1)) and (g.ids or name == "empty")]
        for g in gaps:
            g.kind = name
            if rng.random() < m.begun:
                self.begin_earlier(chunk, g, int(rng.integers(1, self.shape.most_begun + 1)))
        following = chunk.encode(chunk.text[end:end + 6 * self.shape.own])
        return (gaps, following, None) if gaps and len(following) >= 8 else None

    def begin_earlier(self, chunk, g, count):
        """Of the chunk's tokens before the gap up to `count` open its canvas, which stays as long as it may be."""
        count = min(count, g.seen - 4)
        if count <= 0:
            return
        g.seen -= count
        g.begun = chunk.ids[g.seen:g.seen + count]
        most = self.shape.longest - 1 - count
        g.ids, g.whole = g.ids[:most], g.whole and len(g.ids) <= most

    def two_holes(self, chunk, lines, rng):
        """Two gaps of one canvas: two rests of lines or spans from where an identifier stands, the same in both."""
        i = int(rng.integers(0, len(lines) - 1))
        words = list(re.finditer(r"[A-Za-z_]\w{3,}", chunk.text[lines[i][1]:lines[i][2]]))
        if not words:
            return None
        word = words[int(rng.integers(len(words)))]
        a = lines[i][1] + word.start()
        later = chunk.text.find(word.group(), lines[i][2], min(chunk.length - 60, lines[i][2] + 240))
        if later < 0:
            return None
        a_end = a + len(word.group()) if rng.random() < 0.6 else lines[i][2]
        line_end = chunk.text.find("\n", later)
        b_end = later + len(word.group()) if rng.random() < 0.6 or line_end < 0 else line_end
        most = 10
        first = chunk.cut(a, a_end, most)
        held = held_back(chunk.text[later - 9:later])
        between = chunk.encode(chunk.text[a_end:later - len(held)])
        second = chunk.encode(chunk.text[later - len(held):b_end])
        following = chunk.encode(chunk.text[b_end:b_end + 300])[:self.shape.own - len(between)]
        if not first or not first.ids or not first.whole or len(second) > most or not 2 <= len(between) <= self.shape.own - 16:
            return None
        first.kind = "two"
        return ([first], following, (between, second))

    def canvases(self, chunk, ends, rng):
        s = self.shape
        E, S, Q = len(ends), s.own, s.rows
        ints = lambda fill, *shape: np.full(shape, fill)
        c = Canvases(np.array(chunk.ids), ints(0, E, S), ints(0, E, S), ints(0, E, S), ints(-1, E, S), ints(PAD, E, Q), ints(0, E, Q),
                     ints(0, E, Q), ints(0, E, Q), np.zeros((E, Q, Q), bool), np.zeros((E, Q, S), bool), ints(-100, E, Q), ints(-1, E, Q),
                     ints(-1, E, Q))
        c.canvas[:] = np.eye(Q, dtype=bool)
        window = draw_batch(self.stage, rng) if self.mix.denoise else None
        least = int(rng.choice([s.least_suffix, 32, S, S]))
        bare = rng.random(E) < self.mix.no_suffix
        for e, (gaps, following, holes) in enumerate(ends):
            between = holes[0] if holes else []
            following = following[:S - len(between)][:S if holes else 0 if bare[e] else least]
            n, f = len(between), len(following)
            c.own_ids[e, :n + f] = between + following
            c.own_here[e, :n + f] = [*range(n), *range(f)]
            c.own_there[e, :n + f] = [DISTANCE + 1 + i for i in range(n)] + [(DISTANCE + n if n else 0) + DISTANCE + 1 + i for i in range(f)]
            c.own_piece[e, :n + f] = [0] * n + [1] * f
            own_seen, row = c.own_piece[e] >= 0, 0
            for i in rng.permutation(len(gaps)):
                g = gaps[i]
                if row + len(g.begun) + len(g.ids) + 1 > Q:
                    continue
                if self.mix.denoise and not holes and row + DISTANCE < Q and rng.random() < self.mix.denoise:
                    row = self.denoised(c, e, row, g, g.seen + len(g.begun), own_seen, window, rng)
                    continue
                rows = self.hole(c, e, row, g.seen, g.seen, g, own_seen, None, Q, rng)
                row = rows[0]
                if holes:
                    # The second hole's first row is the last token between, whose context row that hole does not see.
                    seen = own_seen.copy()
                    seen[n - 1] = False
                    second = Gap(g.seen, between[-1], holes[1], True, "two")
                    row, _ = self.hole(c, e, row, g.seen, g.seen + DISTANCE + n, second, seen, rows[1], Q, rng)
        return c

    def denoised(self, c, e, row, g, seen, own_seen, window, rng):
        """A canvas of DISTANCE slots whose rows all see each other, PAD behind the gap. → next free row."""
        slots = (g.ids + [PAD] * DISTANCE)[:DISTANCE]
        masked, cut, _ = mask_sequence(DISTANCE, self.stage, window, rng)
        slots[cut:] = [PAD] * (DISTANCE - cut)
        n, number = DISTANCE + 1, len(c.kinds)
        c.kinds.append("denoise")
        c.ids[e, row:row + n] = [g.last, *(MASK if m else i for i, m in zip(slots, masked))]
        c.positions[e, row:row + n] = seen + np.arange(n)
        c.near[e, row:row + n] = np.arange(n)
        c.seen[e, row:row + n], c.gap[e, row:row + n], c.own_seen[e, row:row + n] = seen, number, own_seen
        c.canvas[e, row:row + n, row:row + n] = True
        says = np.array([VOCAB if i == PAD else i for i in slots])
        c.target[e, row:row + DISTANCE][masked] = says[masked]
        c.ahead[e, row:row + DISTANCE][masked] = AMONG
        return row + n

    def hole(self, c, e, row, origin, first, g, own_seen, before, upto, rng):
        """Rows of one hole from `row` on, no further than `upto`; `first`: position of its first row. `before`: rows of an
        earlier hole whose tokens are known here. → (next free row, the known rows)."""
        s, number = self.shape, len(c.kinds)
        c.kinds.append(g.kind)
        b = len(g.begun)
        known = [*g.begun, g.last, *g.ids]
        n = len(known)
        # The last token before a gap may be half a word, which nothing should say.
        says = [*g.begun[1:], *([-100] if b else []), *g.ids, VOCAB if g.whole else -100]

        def put(at, ids, offset, targets, ahead):
            w = len(ids)
            c.ids[e, at:at + w] = ids
            c.positions[e, at:at + w] = first + offset + np.arange(w)
            c.target[e, at:at + len(targets)] = targets
            c.ahead[e, at:at + len(targets)] = ahead
            c.gap[e, at:at + w] = number
            c.seen[e, at:at + w] = g.seen
            c.own_seen[e, at:at + w] = own_seen
            if before is not None:
                c.canvas[e, at:at + w, before] = True

        put(row, known, 0, says, [BEGUN] * b + [0] * (n - b))
        c.canvas[e, row:row + n, row:row + n] |= np.tril(np.ones((n, n), bool))
        at, groups, w = row + n, 0, s.open_rows
        while at + w <= upto and groups < s.most_groups and n - b >= 2:
            j = b + (0 if groups == 0 and rng.random() < 0.5 else int(rng.integers(0, n - b - 1)))
            ahead = says[j + 1:j + 1 + w]
            put(at, [MASK] * w, j + 1, ahead, 1 + np.arange(len(ahead)))
            c.canvas[e, at:at + w, row:row + j + 1] = True
            c.canvas[e, at:at + w, at:at + w] = True
            at, groups = at + w, groups + 1
        c.near[e, row:at] = c.positions[e, row:at] - origin
        return at, list(range(row, row + n))
