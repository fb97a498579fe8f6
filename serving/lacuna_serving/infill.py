"""Gaps filled whole on the device: a canvas is one program, `jax.lax.while_loop` around the pass. What is written is, token for
token, what `training/reference.py` `infill` writes: each token is said by the committed row before it, which sees the context and
the committed rows. Open rows look ahead; their guesses stand in the next pass as if committed, are checked there by the rows before
them, and dropped from the first wrong one on: they save passes, and nothing else comes of them. Who asks may hint at what comes, from
the left: a hint is a guess, and has a share of the probability in its slot, as far as all before it came so.

B gaps of a shard, P rows of context, K known rows that open a canvas, T slots at most, D guesses, and as many open rows beside and
behind them. A text is encoded in pieces of 64 rows, which are kept in the pool of `passes.py` under their content."""
import dataclasses
import functools
import hashlib
import logging
import time

import jax
import jax.numpy as jnp
import numpy as np

from .network import TOP, forward, log_probs
from .passes import Job, bucket

log = logging.getLogger("lacuna")

ENDED, FULL, UNSURE = 0, 1, 2  # an end was said; as many tokens as were wanted; less probable than wanted
PIECE = 64  # rows of text encoded together


@dataclasses.dataclass
class Gap:
    """What is to be filled, and how far it is. `prefix` grows by full canvases, `known` tokens at its end are rows of the canvas."""
    session: str
    prefix: list
    suffix: list
    known: int
    most: int  # tokens
    slots: tuple  # of this canvas, of the next ones; with 0 of this one its context is read and nothing is written
    ends: list  # ids whose summed probability is that of the end
    threshold: float  # of guesses that stand in a pass: the product of their probabilities
    floor: float  # the middle stops where the product of its probabilities is below
    hints: list = dataclasses.field(default_factory=list)  # (id or −1 for the end, its share)
    tokens: list = dataclasses.field(default_factory=list)
    told: list = dataclasses.field(default_factory=list)  # of each canvas: arrays of its rows, top_ids, top_logprobs, end_logprobs
    partials: list = dataclasses.field(default_factory=list)  # tokens committed after each pass
    pieces_read: int = 0
    finish: int | None = None
    error: Exception | None = None


class Infills:
    KNOWN, ENDS, SLOTS = (8, 32), (256, 1024, 65536, 262144), 32

    def __init__(self, passes, ahead=5):
        self.passes, self.ahead = passes, ahead
        self.run = jax.jit(jax.vmap(functools.partial(fill, passes.shape, ahead), (None, 0, 0)))
        self.compiled = {}  # seconds by shape, for those that were new

    def check(self, gap):
        """Raises ValueError for what cannot be filled, with what was wanted."""
        s, (slots, later) = self.passes.shape, gap.slots
        longest = s.distance - 1
        for what, ids, limit in (("ids", gap.prefix + gap.suffix, s.input_ids), ("end ids", gap.ends, s.vocab)):
            wrong = next((i for i in ids if not 0 <= i < limit), None)
            if wrong is not None:
                raise ValueError(f"infill: wanted {what} of 0 to {limit - 1}, found {wrong}; is it the tokenizer of {s.name}?")
        if not 1 <= gap.known <= len(gap.prefix):
            raise ValueError(f"infill_known: wanted 1 to the {len(gap.prefix)} ids before the span, found {gap.known}; the last id before it opens the canvas")
        if any(not -1 <= hint < s.vocab for hint, _ in gap.hints):
            raise ValueError(f"infill_hint_ids: wanted ids of 0 to {s.vocab - 1}, or -1 for the end, found {[hint for hint, _ in gap.hints]}")
        if slots != 0 and min(slots, later) < 1 or gap.known - 1 + slots > longest or later > longest:
            raise ValueError(f"infill_slots: wanted at least 1 (or 0, to have the context read alone), and with the known ids at most {longest}, found {slots} (behind {gap.known - 1} known) and {later}; fill the rest in the next canvas")
        rows = len(gap.prefix) + gap.most + len(gap.suffix) + s.distance
        room = min(s.max_positions, self.passes.CONTEXT[-1])
        if rows > room:
            raise ValueError(f"infill_ids: wanted at most {room - s.distance} ids, found {rows - s.distance}; send less of the text, or a shorter span")

    def advance(self, gaps):
        """Fills one canvas of each whose context is kept, and reads one more piece of the others'. Those that are done have a `finish` or an
        `error` then."""
        every = [[*self._pieces(gap)] for gap in gaps]
        lacking = [next((job for job, _ in found if not self._is_kept(job)), None) for found in every]
        ready, reading = [], []
        for gap, found, job in zip(gaps, every, lacking):
            if job and gap.pieces_read < len(found):
                reading.append((gap, job))
            elif not gap.slots[0]:  # read, or dropped again by others
                gap.finish = FULL
                gap.told = [{"top_ids": np.zeros((0, TOP)), "top_logprobs": np.zeros((0, TOP)), "end_logprobs": np.zeros(0)}]
            elif job:  # others drop what it reads
                self._try([gap], lambda: self._fill([gap], [self._context(gap)]))
            else:
                ready.append((gap, [place for _, place in found]))
        if ready:
            self._fill(*map(list, zip(*ready)))
        self._read(reading)

    def _try(self, gaps, run):
        try:
            run()
        except ValueError as error:
            for gap in gaps:
                if gap.slots[0]:
                    gap.error = error
                else:
                    gap.pieces_read = np.inf  # nobody waits for it: it is over

    def _pieces(self, gap):
        """Of a gap's context, piece after piece: the job that reads it, and (handle, rows, first position) of it."""
        start = gap.prefix[:len(gap.prefix) - gap.known]
        # The prefix last: of a pool too small for both it is the one to lose less of.
        for ids, first in ((gap.suffix, len(start) + 1 + self.passes.shape.distance), (start, 0)):
            found = pieces(ids)
            for at, (handle, begin, end) in enumerate(found):
                before = [(h, e - b, b) for h, b, e in found[:at]]
                yield Job(gap.session, True, ids[begin:end], list(range(begin, end)), before, None, [], [], [], False, [(handle, 0, end - begin)]), (handle, end - begin, first + begin)

    def _is_kept(self, job):
        return (job.session, job.keep[0][0]) in self.passes.held[self.passes.shard_of(job.session)]

    def _read(self, reading):
        """One pass for a piece of each; where it has no room for all, one for each."""
        for gap, _ in reading:
            gap.pieces_read += 1
        jobs = {(job.session, job.keep[0][0]): job for _, job in reading}
        try:
            if jobs:
                self.passes.run([*jobs.values()])
        except ValueError:
            for gap, job in reading:
                self._try([gap], lambda: self.passes.run([job]))

    def _context(self, gap):
        """(handle, rows, first position) of each piece of a gap's context, all of it in the pool."""
        found = [*self._pieces(gap)]
        for job, _ in found:
            if self._is_kept(job):  # others are to be dropped first
                self.passes.held[self.passes.shard_of(job.session)].move_to_end((job.session, job.keep[0][0]))
        for job, _ in found:
            if not self._is_kept(job):
                self.passes.run([job])
        if not all(self._is_kept(job) for job, _ in found):
            raise ValueError(f"infill: the context is more than the {self.passes.pool_rows} rows that the server keeps; start it with more --pool_rows")
        return [place for _, place in found]

    def _fill(self, gaps, contexts):
        passes = self.passes
        by_shard = [[] for _ in range(passes.data)]
        for i, gap in enumerate(gaps):
            by_shard[passes.shard_of(gap.session)].append(i)
        dims = (passes.data, bucket(max(map(len, by_shard)), passes.jobs))
        new = lambda *more, fill=0, dtype=np.int32: np.full(dims + more, fill, dtype)
        p = bucket(max(sum(rows for _, rows, _ in context) for context in contexts), passes.CONTEXT)
        k = bucket(max(gap.known for gap in gaps), self.KNOWN)
        e = bucket(max(len(gap.ends) for gap in gaps), self.ENDS)
        a = {"past_slots": new(p, fill=passes.pool_rows), "past_positions": new(p), "known": new(k), "count": new(fill=1), "position": new(),
             "most": new(), "ends": new(e, fill=passes.shape.vocab), "threshold": new(dtype=np.float32), "floor": new(dtype=np.float32),
             "hints": new(self.SLOTS), "shares": new(self.SLOTS, dtype=np.float32)}
        for shard, members in enumerate(by_shard):
            for row, i in enumerate(members):
                gap, at = gaps[i], 0
                for handle, rows, first in contexts[i]:
                    passes.held[shard].move_to_end((gap.session, handle))
                    a["past_slots"][shard, row, at:at + rows] = passes.held[shard][gap.session, handle]
                    a["past_positions"][shard, row, at:at + rows] = np.arange(first, first + rows)
                    at += rows
                a["known"][shard, row, :gap.known], a["count"][shard, row] = gap.prefix[-gap.known:], gap.known
                a["position"][shard, row] = len(gap.prefix) - gap.known
                a["most"][shard, row] = min(gap.most - len(gap.tokens), gap.slots[0])
                a["ends"][shard, row, :len(gap.ends)] = gap.ends
                done = len(gap.tokens)
                came = gap.tokens == [hint for hint, _ in gap.hints[:done]]
                for n, hint in enumerate(gap.hints[done:done + self.SLOTS] if came else []):
                    a["hints"][shard, row, n], a["shares"][shard, row, n] = hint
                a["threshold"][shard, row], a["floor"][shard, row] = logarithm(gap.threshold), logarithm(gap.floor)
        key, began = (dims, p, k, e), time.perf_counter()
        answer = jax.device_get(self.run(passes.weights, passes.pool, jax.device_put(a, passes.sharding)))
        if key not in self.compiled:
            self.compiled[key] = time.perf_counter() - began
            log.info("a new infill program, %.1f s: %s", self.compiled[key], key)
        for shard, members in enumerate(by_shard):
            for row, i in enumerate(members):
                self._took(gaps[i], {name: values[shard, row] for name, values in answer.items()})

    def _took(self, gap, said):
        count, finish = int(said["written"]), int(said["finish"])
        rows = count + (finish == ENDED)
        tokens = said["tokens"][gap.known:gap.known + count].tolist()
        gap.partials += (said["partials"][:int(said["steps"])] + len(gap.tokens)).tolist()
        gap.told.append({name: said[name][:rows] for name in ("top_ids", "top_logprobs", "end_logprobs")})
        gap.tokens += tokens
        if finish == FULL and len(gap.tokens) < gap.most:  # the canvas has become text, and the next one opens
            gap.prefix, gap.known, gap.slots = gap.prefix + tokens, 1, (gap.slots[1], gap.slots[1])
            gap.floor = gap.floor / float(np.exp(said["product"]))
        else:
            gap.finish = finish

    def warm(self, context=(128, 640)):
        """Compiles what the client of an editor asks for, in each of the batches. Seconds it took."""
        began = time.perf_counter()
        for batch in self.passes.batches:
            for rows in context:
                for known in self.KNOWN:
                    self.warm_one(batch * self.passes.data, rows, known)
        return time.perf_counter() - began

    def warm_one(self, batch, context, known):
        passes = self.passes
        passes.CONTEXT, passes.shards, kept = (context,), {}, (passes.CONTEXT, passes.shards)
        try:
            self._fill([Gap(f"warm {i}", [0] * known, [], known, 1, (1, 1), [], 1.0, 0.0) for i in range(batch)], [[]] * batch)
        finally:
            passes.CONTEXT, passes.shards = kept


def logarithm(probability):
    return np.log(probability) if probability > 0 else -np.inf


def pieces(ids):
    """(handle, begin, end) of a text; a handle is made of all ids up to its end, so what was typed behind a piece leaves it as it is."""
    digest, found = hashlib.sha256(), []
    for begin in range(0, len(ids), PIECE):
        end = min(begin + PIECE, len(ids))
        digest.update(np.asarray(ids[begin:end], "<i4").tobytes())
        found.append((digest.digest(), begin, end))
    return found


def fill(shape, ahead, weights, pool, gap):
    """A canvas of each gap of a shard. gap: arrays by name as `Infills` makes them; `ends` are padded with `vocab`, slots with N.
    Thresholds are logarithms. Returns arrays of each gap; of rows, tokens and passes that there are none of, anything.

    Of a canvas row `i` holds token `i`: the known ones, the written ones, the guesses; it stands `i` positions behind the first."""
    b, k = gap["known"].shape
    d, t = ahead, Infills.SLOTS
    slots = gap["past_slots"]
    there = slots < pool.shape[0]
    # Gathered once, layers first: [L, 2, B, P, Hkv, D].
    context = jnp.moveaxis(pool.at[slots].get(mode="clip"), (2, 3), (0, 1))
    rows = k + t
    of_rows = jnp.arange(rows)
    ends = jnp.zeros((b, shape.vocab), bool).at[jnp.arange(b)[:, None], gap["ends"]].set(True, mode="drop")
    never = np.zeros(shape.vocab, bool)
    never[[i for i in (*shape.forbidden_ids, shape.mask_id) if i < shape.vocab]] = True

    def one_pass(run, carry):
        """`run` rows of tokens (unread ones, then guesses), and the open rows."""
        state, kept = carry
        count, read, guessed = state["count"], state["read"], state["guessed"]
        unread = (count - read)[:, None]
        j = jnp.arange(run)
        at = read[:, None] + j
        own = jnp.take_along_axis(state["tokens"], jnp.minimum(at, rows - 1), 1)
        guess = jnp.take_along_axis(state["guesses"], jnp.clip(j - unread, 0, d - 1), 1)
        ids = jnp.where(j < unread, own, guess)
        valid = j < unread + guessed[:, None]
        opened = jnp.broadcast_to(jnp.arange(d), (b, d))
        places = jnp.concatenate((at, count[:, None] + opened, (count + guessed)[:, None] + opened), 1)
        all_ids = jnp.concatenate((ids, jnp.full((b, 2 * d), shape.mask_id)), 1)
        # Who sees whom: runs what is left of them, branches a part of the run and themselves.
        causal = jnp.broadcast_to(j[:, None] >= j[None], (b, run, run))
        beside = jnp.broadcast_to((j < unread)[:, None], (b, d, run))
        behind = jnp.broadcast_to(valid[:, None], (b, d, run))
        branches = np.kron(np.eye(2, dtype=bool), np.ones((d, d), bool))
        sees = jnp.concatenate((
            jnp.concatenate((causal, jnp.zeros((b, run, 2 * d), bool)), 2),
            jnp.concatenate((jnp.concatenate((beside, behind), 1), jnp.broadcast_to(branches, (b, 2 * d, 2 * d))), 2)), 1)
        past = lambda layer: [jnp.concatenate((context[layer, i], kept[layer, i]), 1) for i in (0, 1)]
        past_positions = jnp.concatenate((gap["past_positions"], gap["position"][:, None] + of_rows), 1)
        past_sees = jnp.concatenate((there, of_rows < read[:, None]), 1)[:, None]
        hidden, new = forward(shape, weights, past, past_positions, past_sees, all_ids, gap["position"][:, None] + places, sees, jnp.ones_like(all_ids))
        # Rows of wrong guesses are kept too, behind `read`, where nobody looks before they are written again.
        kept = kept.at[:, :, jnp.arange(b)[:, None], jnp.where(valid, at, rows)].set(new[:, :, :, :run].astype(pool.dtype), mode="drop")
        asked = jnp.concatenate((jnp.minimum(unread - 1 + jnp.arange(1 + d), run - 1), jnp.broadcast_to(run + jnp.arange(2 * d), (b, 2 * d))), 1)
        told = log_probs(shape, weights, jnp.take_along_axis(hidden, asked[..., None], 1))  # [B, 1 + 3D, vocab]
        slot = jnp.minimum((count - gap["count"])[:, None] + jnp.arange(1 + d), t - 1)  # of the rows of the run
        hints = jnp.take_along_axis(gap["hints"], slot, 1)
        hinted = jnp.take_along_axis(told[:, :1 + d], jnp.maximum(hints, 0)[..., None], 2)[..., 0]
        of_run, of_open = judged(told[:, :1 + d], ends, never), judged(told[:, 1 + d:], ends, never)
        of_run = (*jax.vmap(heard)(state, hints, jnp.take_along_axis(gap["shares"], slot, 1), hinted, *of_run[:4]), *of_run[3:])
        said = jax.vmap(functools.partial(commit, d))(state, gap, hints, *of_run, *of_open[:3])
        still = lambda new, old: jnp.where(state["running"].reshape((b,) + (1,) * (new.ndim - 1)), new, old)
        return jax.tree.map(still, said, state), kept

    start = {
        "tokens": jnp.concatenate((gap["known"], jnp.zeros((b, t), jnp.int32)), 1), "count": gap["count"], "read": jnp.zeros(b, jnp.int32),
        "guesses": jnp.zeros((b, d), jnp.int32), "guessed": jnp.zeros(b, jnp.int32), "running": gap["most"] > 0, "hinted": jnp.ones(b, bool), "finish": jnp.zeros(b, jnp.int32),
        "product": jnp.zeros(b), "steps": jnp.zeros(b, jnp.int32), "partials": jnp.zeros((b, t + 1), jnp.int32),
        "top_ids": jnp.zeros((b, t + 1, TOP), jnp.int32), "top_logprobs": jnp.zeros((b, t + 1, TOP)), "end_logprobs": jnp.zeros((b, t + 1))}
    kept = jnp.zeros(context.shape[:3] + (rows,) + context.shape[4:], pool.dtype)
    state, _ = jax.lax.while_loop(lambda carry: carry[0]["running"].any(), functools.partial(one_pass, 1 + d), one_pass(k, (start, kept)))
    return {"written": state["count"] - gap["count"], **{name: state[name] for name in ("tokens", "finish", "product", "steps", "partials", "top_ids", "top_logprobs", "end_logprobs")}}


def judged(told, ends, never):
    """Of rows [B, A, vocab]: best id that may be written, its log-probability, whether the end is likelier, the end's, the top 8."""
    end = jax.nn.logsumexp(jnp.where(ends[:, None], told, -jnp.inf), -1)
    may = jnp.where(ends[:, None] | never, -jnp.inf, told)
    best, best_id = may.max(-1), may.argmax(-1).astype(jnp.int32)
    top, top_ids = jax.lax.top_k(told, TOP)
    return best_id, best, end > best, end, top_ids, top


def heard(state, hints, shares, hinted, ids, logprobs, ends, end_logprobs):
    """The best of the rows of a run by model and hints together: (1 − share) of the model's probability, and the share where the hint is."""
    came = jnp.concatenate((state["hinted"][None], state["hinted"] & jnp.cumprod(state["guesses"] == hints[:-1]).astype(bool)))
    shares, is_end = jnp.where(came, shares, 0), hints < 0
    same = jnp.where(is_end, ends, ~ends & (ids == hints))
    together = (1 - shares) * jnp.exp(jnp.where(is_end, end_logprobs, hinted)) + shares
    other = (1 - shares) * jnp.exp(jnp.where(ends, end_logprobs, logprobs))
    takes = (shares > 0) & (same | (together >= other))
    return jnp.where(takes & ~is_end, hints, ids), jnp.log(jnp.where(takes, together, other)), jnp.where(takes, is_end, ends)


def commit(d, state, gap, hints, ids, logprobs, ends, end_logprobs, top_ids, top, open_ids, open_logprobs, open_ends):
    """What a pass said of one gap: rows 0 … d of the run, d open rows beside the guesses, d behind them."""
    i = jnp.arange(1 + d)
    written = state["count"] - gap["count"]
    agrees = (ids[:d] == state["guesses"]) & ~ends[:d] & (jnp.arange(d) < state["guessed"])
    reached = jnp.concatenate((jnp.ones(1, bool), jnp.cumprod(agrees).astype(bool))) & (written + i < gap["most"])
    commits = reached & ~ends
    count = commits.sum()
    ended = (reached & ends).any()
    after, product = written + count, state["product"] + jnp.where(commits, logprobs, 0).sum()
    put = lambda name, values, at, used=True: state[name].at[jnp.where(used, at, len(state[name]))].set(values, mode="drop")
    unsure, full = product < gap["floor"], after >= gap["most"]
    # Guesses: of the branch that stands behind what was committed last.
    last = count - 1
    right = (last == state["guessed"]) & (state["guessed"] > 0)
    n = jnp.arange(d)
    rows = jnp.clip(jnp.where(right, d + n, last + n), 0, 2 * d - 1)
    room = n < gap["most"] - after - 1
    usable = jnp.where(right, True, last + n < d) & ~open_ends[rows] & (jnp.cumsum(open_logprobs[rows]) >= gap["threshold"]) & room
    # Or the hints, where all came so up to here.
    hinted = state["hinted"] & jnp.where(commits, ids == hints, True).all()
    slot = jnp.minimum(after + n, len(gap["hints"]) - 1)
    hinting = hinted & (gap["shares"][slot] > 0) & (gap["hints"][slot] >= 0) & room
    return {
        "tokens": put("tokens", ids, state["count"] + i, commits), "count": state["count"] + count, "read": state["count"] + count - 1,
        "guesses": jnp.where(hinting[0], gap["hints"][slot], open_ids[rows]), "guessed": jnp.cumprod(jnp.where(hinting[0], hinting, usable)).sum(),
        "hinted": hinted, "running": ~(ended | unsure | full),
        "finish": jnp.where(ended, ENDED, jnp.where(unsure, UNSURE, FULL)), "product": product, "steps": state["steps"] + 1,
        "partials": put("partials", after, state["steps"]),
        "top_ids": put("top_ids", top_ids, written + i, reached), "top_logprobs": put("top_logprobs", top, written + i, reached),
        "end_logprobs": put("end_logprobs", end_logprobs, written + i, reached)}
