"""Writes samplers.json: what CoDA's own sampler commits, driven with the logits and uniforms of counterLogits.py.

    python test/oracle/makeSamplers.py PATH_TO_generation_utils.py OUT

PATH is `CoDALanguageModel/generation_utils.py` of a check-out of SalesforceAIResearch/CoDA (CC BY-NC: nothing of it is
copied here). Needs torch and transformers 4. Where the reference draws (torch.rand, Categorical.sample,
torch.multinomial) it is given the uniforms of the slot or draw in question, by inverse distribution function.

A row is `prefix` known ids, `slots`, `suffix` known ids. samplers.json: one line of facts that hold for all, then
- `cases`: settings, and `commits`: [step, slot, id, slot, id, ...] of every step that commits; the others are left out.
  `margin` is the nearest tie of the steps that commit: of confidences, of cumulated probabilities to top-p and to the
  uniforms drawn. Below MARGIN another order of sums may go another way, so the next seed is taken; and where the same
  comes out without one of the settings (not looked at with 512 steps).
- `batches`: two rows in one run. `rows` before, `final` after, `alone` after a run of each row by itself.
- `masksLeft`: a run whose model may predict the mask itself; `final` still has masks.
- `counts`: [masks, steps, eps, [[count, times], ...]], the number of slots that each step commits.
"""
import importlib.metadata
import importlib.util
import json
import sys
from functools import lru_cache
from pathlib import Path
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).parent))
import counterLogits as counter  # noqa: E402
from counterLogits import MASK, VOCAB  # noqa: E402

PREFIX, SUFFIX = [3, 1, 4], [15, 9]
MARGIN = 2e-6
SIZES = [(12, 12), (64, 16), (16, 4), (8, 512)]  # slots, steps
FILTERS = {"none": {}, "topP": {"topP": 0.9}, "topK": {"topK": 4}, "both": {"topP": 0.9, "topK": 6}}
DRAWS = {
    **{name: {"temperature": 0, **cuts} for name, cuts in FILTERS.items()},
    "temperature": {"temperature": 0.7},
    "temperatureBoth": {"temperature": 1.3, **FILTERS["both"]},
}
ALGORITHMS = {"origin": [0], "maskgit_plus": [0, 0.3], "topk_margin": [0, 0.3], "entropy": [0, 0.3]}  # and alg_temp


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: makeSamplers.py PATH_TO_generation_utils.py OUT")
    path, out = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    reference = load(path)
    parts = {
        "cases": [case(reference, alg, alg_temp, slots, steps, name)
                  for slots, steps in SIZES for alg, temps in ALGORITHMS.items() for alg_temp in temps for name in DRAWS],
        "batches": [*equal_batches(reference), unequal_batch(reference)],
        "masksLeft": [masks_left(reference)],
        "counts": [counts(reference, masks, steps, eps) for eps in (1e-3, 0.1) for masks in (1, 5, 8, 16, 33, 64)
                   for steps in (1, 2, 3, 5, 7, 8, 10, 16, 24, 32, 33, 64)] + [counts(reference, 8, 512, 1e-3)],
    }
    header = {
        "generator": "test/oracle/makeSamplers.py",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers")},
        **{"prefix": PREFIX, "suffix": SUFFIX},
    }
    write(out, header, parts)


def load(path):
    spec = importlib.util.spec_from_file_location("coda_generation_utils", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case(reference, alg, alg_temp, slots, steps, draw):
    settings = {"alg": alg, "steps": steps, **DRAWS[draw], **({"algTemp": alg_temp} if alg_temp else {})}
    rows = [PREFIX + [MASK] * slots + SUFFIX]
    for seed in range(1, 1000):
        run = Run(reference, {**settings, "seed": seed}, rows)
        if run.margin >= MARGIN and all(Run(reference, {**other, "seed": seed}, rows).final != run.final
                                        for other in without_one(settings)):
            print(slots, settings, "seed", seed, f"margin {run.margin:.1e}", flush=True)
            return {"slots": slots, **settings, "seed": seed, "margin": float(f"{run.margin:.1e}"), "commits": run.commits}
    raise RuntimeError(f"no seed without a near tie for {settings}")


def without_one(settings):
    """The settings less one of them, where that must make a difference."""
    if settings["steps"] == 512 or (settings["alg"] == "origin" and settings["temperature"] == 0):
        return []  # takes long; the best token is the same whatever is cut off
    fewer = [{key: value for key, value in settings.items() if key != left_out}
             for left_out in ("topP", "topK", "algTemp") if left_out in settings]
    return [*fewer, *([{**settings, "temperature": 0}] if settings["temperature"] > 0 else [])]


def equal_batches(reference):
    """Two rows of as many masks: the reference counts right."""
    rows = [PREFIX + [MASK] * 12 + SUFFIX, [2, 7] + [MASK] * 12 + [1] + SUFFIX]
    for alg in ALGORITHMS:
        yield batch(reference, {"alg": alg, "steps": 5, **DRAWS["temperatureBoth"]}, rows)


def unequal_batch(reference):
    """16 masks and 4: the reference counts 10 in each."""
    rows = [PREFIX + [MASK] * 16 + SUFFIX, PREFIX + [MASK] * 4 + SUFFIX + list(range(20, 32))]
    return batch(reference, {"alg": "maskgit_plus", "steps": 4, "temperature": 0}, rows)


def batch(reference, settings, rows):
    for seed in range(1, 1000):
        settings = {**settings, "seed": seed}
        alone = [Run(reference, settings, [row]) for row in rows]
        if min(run.margin for run in alone) < MARGIN:
            continue
        together = Run(reference, settings, rows)
        return {**settings, "rows": rows, "final": together.final, "alone": [run.final[0] for run in alone]}


def masks_left(reference):
    rows = [PREFIX + [MASK] * 24 + SUFFIX]
    for seed in range(1, 1000):
        settings = {"alg": "maskgit_plus", "steps": 6, "temperature": 0, "seed": seed}
        final = Run(reference, settings, rows, width=VOCAB + 1).final
        if MASK in final[0]:
            return {**settings, "rows": rows, "final": final}


def counts(reference, masks, steps, eps):
    """At every step as many masks are gone as it has committed."""
    settings = {"alg": "maskgit_plus", "steps": steps, "temperature": 0, "seed": 1, "eps": eps}
    gone = [len(commit[1:]) // 2 for commit in Run(reference, settings, [[0] + [MASK] * masks], sparse=False).commits]
    runs = []
    for count in gone:
        if runs and runs[-1][0] == count:
            runs[-1][1] += 1
        else:
            runs.append([count, 1])
    return [masks, steps, eps, runs]


class Run:
    """One run of the reference. `commits` (of the first row, from slot 0 on), `final` rows, `margin` (see above)."""

    def __init__(self, reference, settings, rows, width=VOCAB, sparse=True):
        self.seed, self.width = settings["seed"], width
        self.temperature = settings["temperature"]
        self.step, self.margin, self.step_margin = -1, float("inf"), float("inf")
        self.canvas, self.commits, self.drawn = None, [], 0
        self.sparse, self.plain_top_p = sparse, reference.top_p_logits
        start = torch.tensor(rows)
        self.first_slots = [row.index(MASK) for row in rows]

        class Model(reference.DLMGenerationMixin):
            device = torch.device("cpu")
            config = generation_config = reference.DLMGenerationConfig()
            __call__ = lambda _, x, attention_mask=None: (self.forward(x), None)  # noqa: E731

        options = {"topP": "top_p", "topK": "top_k", "algTemp": "alg_temp"}
        config = reference.DLMGenerationConfig(
            mask_token_id=MASK, pad_token_id=-1,
            **{options.get(key, key): value for key, value in settings.items() if key != "seed"},
        )
        with (
            mock.patch.object(torch, "rand", self.rand),
            mock.patch.object(torch, "multinomial", self.multinomial),
            mock.patch.object(torch, "topk", self.topk),
            mock.patch.object(reference.dists.Categorical, "sample", lambda drawn_from: self.categorical(drawn_from)),
            mock.patch.object(reference, "top_p_logits", self.top_p_logits),
        ):
            self.final = Model().diffusion_generate(
                start[:, :1], config, max_new_tokens=start.shape[1] - 1,
                generation_tokens_hook_func=lambda step, x, _: start.clone() if step is None else self.took(x),
            ).tolist()
        # The reference turns a draw that fails into the best token, without a word.
        assert self.drawn == (self.step + 1 if self.temperature > 0 else 0), "a draw has failed"

    def forward(self, x):
        """Shifted: output p - 1 is about position p."""
        self.step += 1
        self.canvas = x.clone()
        self.asked = [(row, position) for row, position in (x == MASK).nonzero().tolist()]
        rows = torch.stack([torch.from_numpy(logits_of(self.seed, tuple(row), self.width)) for row in x.tolist()])
        return torch.cat([rows[:, 1:], rows[:, :1]], dim=1)

    def took(self, x):
        changed = (x != self.canvas)[0].nonzero().flatten().tolist()
        if changed:
            self.margin = min(self.margin, self.step_margin)
        if changed or not self.sparse:
            picks = [number for position in changed for number in (position - self.first_slots[0], int(x[0, position]))]
            self.commits.append([self.step, *picks])
        self.step_margin = float("inf")
        return x

    def near(self, distances):
        if distances.numel():
            self.step_margin = min(self.step_margin, float(distances.abs().min()))

    def uniform(self, purpose, index):
        return counter.uniform(self.seed, 0, self.step, purpose, index)

    def uniforms(self, purpose):
        return [self.uniform(purpose, position - self.first_slots[row]) for row, position in self.asked]

    def rand(self, count, device=None):
        assert count == len(self.asked)
        uniforms = torch.tensor(self.uniforms("transfer"))
        return Compared.of(uniforms, self)

    def compared(self, is_less):
        """`origin` draws tokens for the slots that it commits only."""
        self.asked = [place for place, chosen in zip(self.asked, is_less.tolist()) if chosen]
        if not self.asked and self.temperature > 0:
            self.drawn += 1  # nothing to draw; an empty draw fails or not, all the same

    def categorical(self, distribution):
        if len(self.asked) == 0:
            return torch.zeros(0, dtype=torch.long)
        self.drawn += 1
        uniforms = self.uniforms("token")
        assert len(uniforms) == len(distribution.probs)
        return torch.tensor([self.inverse(row, u) for row, u in zip(distribution.probs, uniforms)])

    def multinomial(self, probabilities, num_samples):
        drawn = []
        for row in probabilities:
            left, taken = row.double(), []
            for draw in range(num_samples):
                at = self.inverse(left, self.uniform("order", draw))
                taken.append(at)
                left[at] = 0
            drawn.append(taken)
        return torch.tensor(drawn)

    def inverse(self, weights, uniform):
        cumulated = weights.double().cumsum(0)
        target = uniform * cumulated[-1]
        self.near(cumulated - target)
        return int((cumulated > target).nonzero()[0])

    def topk(self, values, count, **more):
        if 0 < count < values.shape[-1]:
            ordered = values.sort(descending=True).values
            last, next_one = ordered[..., count - 1], ordered[..., count]
            self.near((last - next_one)[last > torch.finfo(values.dtype).min])  # where top-p has left as many
        return TOPK(values, count, **more)

    def top_p_logits(self, logits, top_p):
        before = logits.double().softmax(-1).sort(descending=True).values.cumsum(-1)
        self.near(before - top_p)
        return self.plain_top_p(logits, top_p)


class Compared(torch.Tensor):
    """Uniforms that tell the run which of them were below what they were compared with."""

    @staticmethod
    def of(values, run):
        compared = values.as_subclass(Compared)
        compared.run = run
        return compared

    def __lt__(self, other):
        plain = self.as_subclass(torch.Tensor)
        is_less = plain < other
        self.run.near(plain - other)
        self.run.compared(is_less)
        return is_less


TOPK = torch.topk


@lru_cache(maxsize=64)
def logits_of(seed, row, width):
    return counter.logits(seed, row, range(len(row)), width)


def write(out, header, parts):
    compact = lambda value: json.dumps(value, separators=(",", ":"))  # noqa: E731
    lists = ",\n".join(f'"{name}":[\n' + ",\n".join(map(compact, entries)) + "\n]" for name, entries in parts.items())
    out.write_text('{"header":' + compact(header) + ",\n" + lists + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
