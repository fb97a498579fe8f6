"""Files → batches of chunks with gaps, drawn in processes of their own so that a fast device need not wait.

Contract: what is drawn follows from the seed, the number of the step and the place in the batch alone, not from how many
processes draw. Not here: what a gap is (`objective.py`).
"""
import json
import math
import multiprocessing
import os
from dataclasses import dataclass

import numpy as np

from reference import VOCAB

AHEAD_OF_TIME = 4  # batches a process keeps ready
# Of languages, as the default model draws them.
WEIGHTS = {"python": 4, "typescript": 3, "javascript": 3} | dict.fromkeys(("rust", "go", "c", "lua", "elisp", "shell"), 0.8)


class Corpus:
    """Files by language and package. A language is drawn by its weight, a package by the root of its size."""

    def __init__(self, path, weights):
        self.by = {}
        with open(path, encoding="utf8") as lines:
            for line in lines:
                f = json.loads(line)
                self.by.setdefault(f["language"], {}).setdefault(f["package"], []).append(f["text"])
        self.languages = sorted(l for l in self.by if weights.get(l, 1.0) > 0)
        p = np.array([weights.get(l, 1.0) for l in self.languages])
        self.p = p / p.sum()
        self.packages = {l: sorted(self.by[l]) for l in self.languages}
        self.q = {}
        for l in self.languages:
            size = np.array([math.sqrt(sum(map(len, self.by[l][n]))) for n in self.packages[l]])
            self.q[l] = size / size.sum()

    def draw(self, rng):
        l = self.languages[int(rng.choice(len(self.languages), p=self.p))]
        files = self.by[l][self.packages[l][int(rng.choice(len(self.packages[l]), p=self.q[l]))]]
        return files[int(rng.integers(len(files)))]


@dataclass
class Batch:
    """numpy arrays of C chunks; the rest as in `objective.Canvases`, with C in front."""
    chunk: np.ndarray  # [C, P], 0 past the end
    following: np.ndarray  # [C, P] the token after each, -100 at the end and past it
    own_ids: np.ndarray  # [C, E, S]
    own_here: np.ndarray
    own_there: np.ndarray
    own_piece: np.ndarray
    ids: np.ndarray  # [C, E, Q]
    positions: np.ndarray
    near: np.ndarray
    seen: np.ndarray
    canvas: np.ndarray  # [C, E, Q, Q]
    own_seen: np.ndarray  # [C, E, Q, S]
    target: np.ndarray  # [C, E, Q]
    ahead: np.ndarray
    gap: np.ndarray
    kinds: list  # C lists


SHARED = ("own_ids", "own_here", "own_there", "own_piece", "ids", "positions", "near", "seen", "canvas", "own_seen", "target", "ahead", "gap")


def draw(objective, corpus, count, seed, step, done=0.0):
    """The batch of a step."""
    made = [draw_one(objective, corpus, np.random.default_rng((seed, step, i)), done) for i in range(count)]
    length = objective.shape.chunk
    chunk, following = np.zeros((count, length), np.int64), np.full((count, length), -100)
    for i, m in enumerate(made):
        n = len(m.chunk)
        chunk[i, :n], following[i, :n - 1] = m.chunk, m.chunk[1:]
    return Batch(chunk, following, **{name: np.stack([getattr(m, name) for m in made]) for name in SHARED}, kinds=[m.kinds for m in made])


def draw_one(objective, corpus, rng, done):
    while True:
        made = objective.step(corpus.draw(rng), rng, done)
        if made is not None:
            return made


def batches(objective, corpus, count, seed, first, done, workers):
    """Endless batches from step `first` on; `done(step)` is the share of the training that is over. workers 0: drawn here."""
    if not workers:
        step = first
        while True:
            yield draw(objective, corpus, count, seed, step, done(step))
            step += 1
    context = multiprocessing.get_context("fork")
    queues = [context.Queue(AHEAD_OF_TIME) for _ in range(workers)]

    def work(w):
        for step in range(first + w, 1 << 40, workers):
            queues[w].put(draw(objective, corpus, count, seed, step, done(step)))

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for w in range(workers):
        context.Process(target=work, args=(w,), daemon=True).start()
    step = first
    while True:
        yield queues[(step - first) % workers].get()
        step += 1


def synthetic(shape, count, seed=0):
    """A batch of the sizes that training has, of random tokens: to measure what a step takes."""
    rng, (c, e, q, s, p) = np.random.default_rng(seed), (count, shape.ends, shape.rows, shape.own, shape.chunk)
    ids = lambda *size: rng.integers(17, VOCAB, size)
    canvas = np.broadcast_to(np.tril(np.ones((q, q), bool)), (c, e, q, q))
    target = np.where(rng.random((c, e, q)) < 0.75, ids(c, e, q), -100)
    positions = np.broadcast_to(np.arange(q) + p, (c, e, q))
    own = np.broadcast_to(np.arange(s), (c, e, s))
    return Batch(ids(c, p), ids(c, p), ids(c, e, s), own, own + 25, np.ones((c, e, s), int), ids(c, e, q), positions, positions - p,
                 np.full((c, e, q), p - 1), canvas, np.ones((c, e, q, s), bool), target, np.zeros((c, e, q), int), np.zeros((c, e, q), int), [])
