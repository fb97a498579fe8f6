"""Tensors of the infill contract ↔ gaps: `server/engine/openInference/infillTensors.ts` in Python. README.md has the table."""
import numpy as np

from .infill import Gap

INFILL = "lacuna.infill/1"
INPUTS = {name: (kind, shape) for name, kind, shape in (
    ("infill_counts", "INT32", [-1]), ("infill_ids", "INT32", [-1]), ("infill_known", "INT32", [-1]), ("infill_slots", "INT32", [-1, 2]),
    ("infill_end_counts", "INT32", [-1]), ("infill_end_ids", "INT32", [-1]), ("infill_threshold", "FP32", [-1]), ("infill_floor", "FP32", [-1]),
    ("infill_hint_counts", "INT32", [-1]), ("infill_hint_ids", "INT32", [-1]), ("infill_hint_shares", "FP32", [-1]), ("infill_seed", "INT64", [-1]))}
OUTPUTS = {name: (kind, shape) for name, kind, shape in (
    ("infill_written", "INT32", [-1]), ("infill_tokens", "INT32", [-1]), ("infill_finish", "UINT8", [-1]), ("infill_steps", "INT32", [-1]),
    ("infill_top_ids", "INT32", [-1, 8]), ("infill_top_logprobs", "FP32", [-1, 8]), ("infill_end_logprobs", "FP32", [-1]),
    ("infill_partials", "INT32", [-1]))}


def asks(names):
    """Whether a request with inputs of these names is one of this contract."""
    return any(name in INPUTS for name in names)


def read(session, tensors, mask_id):
    """The gaps of a request. Raises ValueError, with what was wanted and found, when tensors are missing or do not fit together."""
    for name, (_, dims) in INPUTS.items():
        found = tensors.get(name)
        if found is None:
            raise ValueError(f"{name}: missing; wanted all of {', '.join(INPUTS)}")
        if found.ndim != len(dims) or found.shape[1:] != tuple(dims[1:]):
            raise ValueError(f"{name}: wanted the shape {dims}, found {list(found.shape)}")
    lists = {name: tensors[name].tolist() for name in INPUTS}
    jobs = len(lists["infill_counts"])
    for name in ("infill_known", "infill_slots", "infill_end_counts", "infill_threshold", "infill_floor", "infill_hint_counts", "infill_seed"):
        if len(lists[name]) != jobs:
            raise ValueError(f"{name}: wanted {jobs}, one for each of infill_counts, found {len(lists[name])}")
    if jobs == 0:
        raise ValueError("infill_counts: wanted at least one gap, found none")
    at = dict.fromkeys(("infill_ids", "infill_end_ids", "infill_hint_ids", "infill_hint_shares"), 0)

    def take(name, count):
        values = lists[name][at[name]:at[name] + max(count, 0)]
        if len(values) != count:
            raise ValueError(f"{name}: wanted {count} more, as its counts say, found {len(values)}")
        at[name] += count
        return values

    gaps = []
    for i in range(jobs):
        ids, ends = take("infill_ids", lists["infill_counts"][i]), take("infill_end_ids", lists["infill_end_counts"][i])
        hints, shares = (take(name, lists["infill_hint_counts"][i]) for name in ("infill_hint_ids", "infill_hint_shares"))
        most = ids.count(mask_id)
        first = ids.index(mask_id) if most else 0
        if not most or ids[first:first + most] != [mask_id] * most:
            raise ValueError(f"infill_ids: wanted one span of the mask id {mask_id} in gap {i}, found {most} of it{' in several places' if most else ''}; send a gap of its own for each span")
        numbers = {name: lists[f"infill_{name}"][i] for name in ("threshold", "floor")}
        for name, value in (*numbers.items(), *(("hint_shares", share) for share in shares)):
            if not 0 <= value <= 1:
                raise ValueError(f"infill_{name}: wanted a probability, 0 to 1, found {value}")
        gaps.append(Gap(session, ids[:first], ids[first + most:], lists["infill_known"][i], most, tuple(lists["infill_slots"][i]), ends, hints=[*zip(hints, shares)], **numbers))
    for name in at:
        if at[name] != len(lists[name]):
            raise ValueError(f"{name}: {len(lists[name]) - at[name]} belong to no gap; do the counts add up?")
    return gaps


def write(gaps):
    """Output tensors by name, of gaps that are finished."""
    told = lambda name: np.concatenate([part[name] for gap in gaps for part in gap.told])
    values = {
        "infill_written": [len(gap.tokens) for gap in gaps], "infill_tokens": [id for gap in gaps for id in gap.tokens],
        "infill_finish": [gap.finish for gap in gaps], "infill_steps": [len(gap.partials) for gap in gaps],
        "infill_top_ids": told("top_ids"), "infill_top_logprobs": told("top_logprobs"), "infill_end_logprobs": told("end_logprobs"),
        "infill_partials": [count for gap in gaps for count in gap.partials]}
    dtypes = {"UINT8": np.uint8, "INT32": np.int32, "FP32": np.float32}
    return {name: np.asarray(values[name], dtypes[kind]) for name, (kind, _) in OUTPUTS.items()}
