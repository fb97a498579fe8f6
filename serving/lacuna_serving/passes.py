"""The step contract on the device: jobs are padded to few shapes, sessions are dealt out over the shards, kept rows lie in a pool
and are dropped, the least recently used first. One thread at a time."""
import collections
import dataclasses
import logging
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from .network import jitted_step, mesh_of, place

log = logging.getLogger("lacuna")


@dataclasses.dataclass
class Job:
    session: str
    text: bool
    ids: list
    positions: list
    context: list  # (handle, rows, first position)
    sees: list  # of each row (first, count) spans, or None
    asked: list
    scores: list
    set_ids: list
    logits: bool
    keep: list  # (handle, first, count)


class Missing(Exception):
    """Handles that are not here; nothing was computed."""

    def __init__(self, handles):
        super().__init__(f"handles {handles} are not here")
        self.handles = handles


def bucket(count, sizes):
    """The smallest size that holds `count`. Raises ValueError when none does."""
    for size in sizes:
        if count <= size:
            return size
    raise ValueError(f"{count} is more than the {sizes[-1]} that a pass has room for")


class Passes:
    """`batches`: what the number of jobs is padded to; by default powers of two. Few sizes are few programs to compile: see `warm`."""

    ROWS, KEPT = (16, 32, 64, 128, 256, 512, 1024, 2048), (64, 256, 1024, 4096, 16384)
    CONTEXT, JOBS, SETS = (128, 640, 1280, 2560, 5120, 10240), (1, 2, 4, 8, 16, 32, 64, 128, 256), (1024, 65536, 262144)
    ASKED = 8  # rows asked of a job, or else as many as it has

    def __init__(self, shape, weights, data=1, model=1, pool_rows=65536, dtype=jnp.float32, batches=()):
        self.shape, self.data, self.pool_rows = shape, data, pool_rows
        self.batches = tuple(sorted(batches))
        self.jobs = self.batches + tuple(n for n in self.JOBS if n > max(self.batches, default=0))
        self.mesh = mesh_of(data, model)
        self.weights = place(shape, weights, self.mesh, dtype)
        self.sharding = NamedSharding(self.mesh, PartitionSpec("data"))
        dims = (data, pool_rows, shape.layers, 2, shape.kv_heads, shape.head_dim)
        self.pool = jax.jit(lambda: jnp.zeros(dims, dtype), out_shardings=self.sharding)()
        self.free = [list(range(pool_rows - 1, -1, -1)) for _ in range(data)]
        self.held = [collections.OrderedDict() for _ in range(data)]  # (session, handle) → slots
        self.shards = {}  # of sessions
        self.run_plain, self.run_logits = jitted_step(shape, self.mesh, False), jitted_step(shape, self.mesh, True)
        self.compiled = {}  # seconds by shape, for those that were new
        self.jobs_run, self.passes_run, self.rows_dropped = 0, 0, 0

    @property
    def rows_kept(self):
        return self.data * self.pool_rows - sum(map(len, self.free))

    def shard_of(self, session):
        if session not in self.shards:
            self.shards[session] = len(self.shards) % self.data
        return self.shards[session]

    def release(self, session, handles):
        shard = self.shard_of(session)
        for handle in handles:
            slots = self.held[shard].pop((session, handle), None)
            if slots is not None:
                self.free[shard].extend(slots)

    def check(self, job):
        """Raises ValueError for what the model or the job does not have."""
        rows, s = len(job.ids), self.shape
        inside = lambda values, limit, what: [None for v in values if not 0 <= v < limit] and self._refuse(what, limit)
        inside(job.ids, s.input_ids, "token ids")
        inside(job.positions, s.max_positions, "positions")
        inside(job.asked, rows, "asked rows")
        inside(job.scores, s.vocab, "ids to score")
        inside(job.set_ids, s.vocab, "ids of a set")
        if any(f < 0 or c < 0 or f + c > rows for spans in (job.sees or []) + [[k[1:] for k in job.keep]] for f, c in spans):
            raise ValueError(f"a span leaves the {rows} rows of its job")
        for handle, count, first in job.context:
            if count < 0 or first < 0 or first + count > s.max_positions:
                raise ValueError(f"context of {count} rows at {first} is out of range")

    def _refuse(self, what, limit):
        raise ValueError(f"{what} are 0 to {limit - 1}")

    def missing(self, jobs):
        return sorted({handle for job in jobs for handle, *_ in job.context if (job.session, handle) not in self.held[self.shard_of(job.session)]})

    def run(self, jobs):
        """Answers of the jobs, in one pass; they were checked and miss nothing. Each: arrays over its asked rows. Of a pass that fails nothing
        is kept."""
        try:
            return self._run(jobs)
        except Exception:
            for job in jobs:
                self.release(job.session, [handle for handle, *_ in job.keep])
            raise

    def _run(self, jobs):
        by_shard = [[] for _ in range(self.data)]
        for i, job in enumerate(jobs):
            by_shard[self.shard_of(job.session)].append(i)
        padded = self._padded(jobs, by_shard)
        key = (padded["ids"].shape, padded["past_slots"].shape[-1], padded["set_ids"].shape[-1], padded["asked"].shape[-1], padded["keep_slots"].shape[-1], any(job.logits for job in jobs))
        began = time.perf_counter()
        run = self.run_logits if key[-1] else self.run_plain
        answer, self.pool = run(self.weights, self.pool, jax.device_put(padded, self.sharding))
        answer = jax.device_get(answer)
        if key not in self.compiled:
            self.compiled[key] = time.perf_counter() - began
            log.info("a new program, %.1f s: %s", self.compiled[key], key)
        self.jobs_run, self.passes_run = self.jobs_run + len(jobs), self.passes_run + 1
        results = [None] * len(jobs)
        for shard, members in enumerate(by_shard):
            for row, i in enumerate(members):
                results[i] = {name: values[shard, row, :len(jobs[i].asked)] for name, values in answer.items()}
        return results

    def rows_asked(self, asked, rows):
        """What `asked` rows of a job are padded to, where its rows are padded to `rows`. A row may be asked twice."""
        return self.ASKED if asked <= self.ASKED else bucket(max(asked, rows), self.ROWS)

    def _padded(self, jobs, by_shard):
        shape = (self.data, bucket(max(map(len, by_shard)), self.jobs))
        q = bucket(max(len(job.ids) for job in jobs), self.ROWS)
        p = bucket(max(sum(rows for _, rows, _ in job.context) for job in jobs), self.CONTEXT)
        m = bucket(max(len(job.set_ids) for job in jobs), self.SETS)
        r = self.rows_asked(max(len(job.asked) for job in jobs), q)
        new = lambda *dims, fill=0, dtype=np.int32: np.full(shape + dims, fill, dtype)
        a = {"ids": new(q), "positions": new(q), "gate": new(q), "sees": new(q, q, fill=False, dtype=bool), "asked": new(r), "score_ids": new(r),
             "set_ids": new(m, fill=-1), "past_slots": new(p, fill=self.pool_rows), "past_positions": new(p)}
        kept = [sum(count for i in members for _, _, count in jobs[i].keep) for members in by_shard]
        every = min(shape[1] * q, self.KEPT[-1])
        k = bucket(max(every, *kept), self.KEPT)  # the same for all passes of a size, unless rows are kept twice
        a["keep_from"], a["keep_slots"] = np.zeros((self.data, k), np.int32), np.full((self.data, k), self.pool_rows, np.int32)
        a["sees"][:] = np.eye(q, dtype=bool)  # a row that sees nothing has no distribution
        used = set()
        for shard, members in enumerate(by_shard):
            for row, i in enumerate(members):
                job, n, at = jobs[i], len(jobs[i].ids), 0
                a["ids"][shard, row, :n], a["positions"][shard, row, :n], a["gate"][shard, row, :n] = job.ids, job.positions, not job.text
                a["asked"][shard, row, :len(job.asked)], a["score_ids"][shard, row, :len(job.scores)] = job.asked, job.scores
                a["set_ids"][shard, row, :len(job.set_ids)] = job.set_ids
                sees = a["sees"][shard, row]
                if job.sees is None:
                    sees[:n, :n] = np.tri(n, dtype=bool) if job.text else True
                else:
                    for q_row, spans in enumerate(job.sees):
                        for first, count in spans:
                            sees[q_row, first:first + count] = True
                for handle, rows, first in job.context:
                    self.held[shard].move_to_end((job.session, handle))
                    used.add((job.session, handle))
                    a["past_slots"][shard, row, at:at + rows] = self.held[shard][job.session, handle][:rows]
                    a["past_positions"][shard, row, at:at + rows] = np.arange(first, first + rows)
                    at += rows
        for shard, members in enumerate(by_shard):
            at = 0
            for row, i in enumerate(members):
                for handle, first, count in jobs[i].keep:
                    self.release(jobs[i].session, [handle])
                    slots = self._take(shard, count, used)
                    a["keep_from"][shard, at:at + count] = np.arange(first, first + count) + row * q
                    a["keep_slots"][shard, at:at + count] = slots
                    at += count
                    self.held[shard][jobs[i].session, handle] = slots
                    used.add((jobs[i].session, handle))
        return a

    def _take(self, shard, count, used):
        free, held = self.free[shard], self.held[shard]
        while len(free) < count:
            oldest = next((key for key in held if key not in used), None)
            if oldest is None:
                raise ValueError(f"a pass needs more than the {self.pool_rows} rows that are kept")
            slots = held.pop(oldest)
            self.rows_dropped += len(slots)
            free.extend(slots)
        return [free.pop() for _ in range(count)]

    def warm(self, rows=(16, 32, 64), context=(128, 640)):
        """Compiles what the client of an editor asks for, in each of `batches`, so that nobody waits for it. Seconds it took."""
        began = time.perf_counter()
        for batch in self.batches:
            for q in rows:
                for p in context:
                    for asked in (self.ASKED, q):  # pieces of text ask for nothing, but may share a pass with a canvas
                        self.warm_one(batch * self.data, q, p, asked)
        self.jobs_run = self.passes_run = 0
        return time.perf_counter() - began

    def warm_one(self, batch, rows, context, asked):
        jobs = [Job(f"warm {i}", False, [0] * rows, list(range(rows)), [], None, list(range(asked)), [], [], False, []) for i in range(batch)]
        self.CONTEXT, self.shards, kept = (context,), {}, (self.CONTEXT, self.shards)
        try:
            self.run(jobs)
        finally:
            self.CONTEXT, self.shards = kept
