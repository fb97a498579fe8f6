"""Writes rules.json: what public code of three other rules commits, driven with the numbers of counterLogits.py.

    python test/oracle/makeRules.py FAST_DLLM DINFER OUT

FAST_DLLM is `llada/generate.py` of a check-out of NVlabs/Fast-dLLM, DINFER `python/dinfer/decoding/parallel_strategy.py`
of inclusionAI/dInfer. Needs torch, transformers 4 and diffusers (0.39 for these numbers). Nothing of their code is copied here.

A row is `prefix` known ids and `slots` masks. rules.json: one line of facts that hold for all, then
- `threshold`: whole runs of Fast-dLLM's `generate`, in blocks of `block` slots; without `threshold` one slot a step.
  `commits`: [slot, id, slot, id, ...] of every step.
- `entropyBound`: whole runs with diffusers' EntropyBoundScheduler, at a constant temperature; at temperature 0 its
  entropies are those of temperature 1 and the best token is taken instead of a drawn one. `margin` as in samplers.json.
- `factor`: single steps of dInfer's `get_transfer_index_dynamic`: a `row`, and the slots it commits, from the left.
"""
import importlib.metadata
import importlib.util
import sys
import types
from pathlib import Path
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).parent))
import counterLogits as counter  # noqa: E402
from counterLogits import MASK  # noqa: E402
from makeSamplers import MARGIN, PREFIX, write  # noqa: E402

SLOTS = 24


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: makeRules.py FAST_DLLM DINFER OUT")
    fast_dllm, dinfer, out = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    stub("model.modeling_llada", LLaDAModelLM=None)
    generate = load(fast_dllm, "fast_dllm").generate
    stub("dinfer.utils", **dict.fromkeys(("add_gumbel_noise", "get_num_transfer_tokens")))
    strategy = load(dinfer, "dinfer.parallel_strategy")
    strategy.add_gumbel_noise = lambda logits, temperature: logits  # at temperature 0, as there
    parts = {
        "threshold": [threshold_run(generate, block, threshold)
                      for block in (24, 8) for threshold in (0.2, 0.4, 0.7, None)],
        "entropyBound": [bound_run(bound, temperature) for bound in (0, 0.5, 2, 8) for temperature in (0, 0.7, 1)],
        "factor": [factor_step(strategy, factor, seed) for factor in (0.5, 1, 2) for seed in range(1, 21)],
    }
    header = {
        "generator": "test/oracle/makeRules.py",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "diffusers")},
        **{"prefix": PREFIX, "slots": SLOTS},
    }
    write(out, header, parts)


def stub(name, **members):
    """What the public code imports and these functions do not need."""
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    package = name.rpartition(".")[0]
    sys.modules.setdefault(package, types.ModuleType(package)).__path__ = []


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def logits_of(seed, row):
    return torch.from_numpy(counter.logits(seed, row, range(len(row))))


def commits_of(rows):
    """Of rows before each step, and after the last."""
    return [[number for at, (old, new) in enumerate(zip(before, after)) if old != new for number in (at - len(PREFIX), new)]
            for before, after in zip(rows, rows[1:])]


def threshold_run(generate, block, threshold):
    seed, rows = 1, []

    class Model:
        device = torch.device("cpu")

        def __call__(self, x):
            rows.append(x[0].tolist())
            return types.SimpleNamespace(logits=logits_of(seed, rows[-1])[None])

    settings = {"gen_length": SLOTS, "steps": SLOTS, "block_length": block, "threshold": threshold, "mask_id": MASK}
    final, passes = generate(Model(), torch.tensor([PREFIX]), **settings)
    assert passes == len(rows)
    found = {} if threshold is None else {"threshold": threshold}
    return {"block": block, **found, "seed": seed, "commits": commits_of([*rows, final[0].tolist()])}


def bound_run(bound, temperature):
    for seed in range(1, 1000):
        margin, rows = bound_rows(bound, temperature, seed)
        if margin >= MARGIN:
            margin = float(f"{margin:.1e}")
            return {"bound": bound, "temperature": temperature, "seed": seed, "margin": margin, "commits": commits_of(rows)}
    raise RuntimeError(f"no seed without a near tie for {bound}, {temperature}")


def bound_rows(bound, temperature, seed):
    from diffusers.schedulers.scheduling_entropy_bound import EntropyBoundScheduler

    scheduler = EntropyBoundScheduler(entropy_bound=bound, t_max=temperature or 1, t_min=temperature or 1)
    rows, margin = [PREFIX + [MASK] * SLOTS], 1.0

    def multinomial(probabilities, num_samples, generator=None):
        nonlocal margin
        if temperature == 0:
            return probabilities.argmax(-1, keepdim=True)
        drawn = []
        for slot, weights in zip(slots, probabilities.double()):
            cumulated = weights.cumsum(0)
            target = counter.uniform(seed, 0, len(rows) - 1, "token", slot) * cumulated[-1]
            margin = min(margin, float((cumulated - target).abs().min()))
            drawn.append([int((cumulated > target).nonzero()[0])])
        return torch.tensor(drawn)

    with mock.patch.object(torch, "multinomial", multinomial):
        while MASK in rows[-1]:
            slots = [at - len(PREFIX) for at, token in enumerate(rows[-1]) if token == MASK]
            logits = logits_of(seed, rows[-1])[[slot + len(PREFIX) for slot in slots]][None]
            step = scheduler.step(logits, 0, torch.zeros(1, len(slots), dtype=torch.long))
            entropies = torch.distributions.Categorical(logits=logits.double() / (temperature or 1)).entropy()[0].sort().values
            before = entropies.cumsum(0) - entropies
            accepted = step.accepted_index[0].tolist()
            count = sum(accepted)
            if count < len(slots):  # the next is over the bound, and less sure than the last
                margin = min(margin, float(before[count] - bound), float(entropies[count] - entropies[count - 1]))
            if count > 1:
                margin = min(margin, float(bound - before[count - 1]))
            sampled = step.sampled_tokens[0].tolist()
            row = list(rows[-1])
            for slot, chosen, token in zip(slots, accepted, sampled):
                if chosen:
                    row[slot + len(PREFIX)] = token
            rows.append(row)
    return margin, rows


def factor_step(strategy, factor, seed):
    """Of some slots, a third of them known."""
    slots = 2 + seed % 11
    row = PREFIX + [5 if counter.uniform(seed, 0, 0, "token", slot) < 1 / 3 and slot > 0 else MASK for slot in range(slots)]
    x = torch.tensor([row])
    # Steeper than the others, so that several are sure.
    logits = logits_of(seed, row)[None] * 4
    _, chosen = strategy.get_transfer_index_dynamic(logits, 0.0, "low_confidence", x == MASK, x, None, factor)
    return {"factor": factor, "seed": seed, "row": row, "slots": [at - len(PREFIX) for at in chosen[0].nonzero().flatten().tolist()]}


if __name__ == "__main__":
    main()
