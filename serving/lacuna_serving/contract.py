"""Tensors of the step contract ↔ jobs: `server/engine/openInference/stepTensors.ts` in Python. README.md has the table."""
import json

import numpy as np

from .passes import Job

STEP = "lacuna.step/1"
INPUTS = {name: (kind, shape) for name, kind, shape in (
    ("kind", "UINT8", [-1]), ("row_counts", "INT32", [-1]), ("ids", "INT32", [-1]), ("positions", "INT32", [-1]),
    ("context_counts", "INT32", [-1]), ("context_handles", "INT64", [-1]), ("context_spans", "INT32", [-1, 2]), ("sees_counts", "INT32", [-1]),
    ("sees", "INT32", [-1, 2]), ("asked_counts", "INT32", [-1]), ("asked_rows", "INT32", [-1]), ("score_ids", "INT32", [-1]),
    ("set_index", "INT32", [-1]), ("set_counts", "INT32", [-1]), ("set_ids", "INT32", [-1]), ("wants_logits", "UINT8", [-1]),
    ("keep_counts", "INT32", [-1]), ("keep_handles", "INT64", [-1]), ("keep_spans", "INT32", [-1, 2]), ("release", "INT64", [-1]))}
OUTPUTS = {name: (kind, shape) for name, kind, shape in (
    ("missing", "INT64", [-1]), ("top_ids", "INT32", [-1, 8]), ("top_logprobs", "FP32", [-1, 8]), ("entropy", "FP32", [-1]),
    ("set_logprobs", "FP32", [-1]), ("score_logprobs", "FP32", [-1]), ("logits", "FP32", [-1, -1]), ("facts", "BYTES", [-1]))}
PER_ROW = ("top_ids", "top_logprobs", "entropy", "set_logprobs", "score_logprobs")


def facts(shape, pass_rows=64, row_bytes=None):
    return json.dumps({
        "contract": STEP, "name": shape.name, "vocab": shape.vocab, "inputIds": shape.input_ids, "maxPositions": shape.max_positions,
        "logitsShift": shape.logits_shift, "maskId": shape.mask_id, "passRows": pass_rows, "tokenizer": shape.tokenizer, "weights": shape.weights,
        "rowBytes": row_bytes or shape.layers * shape.kv_heads * shape.head_dim * 2 * 4})


def read(session, tensors):
    """(jobs, handles to release). Raises ValueError when tensors are missing or do not fit together."""
    absent = [name for name in INPUTS if name not in tensors]
    if absent:
        raise ValueError(f"inputs {absent} are missing")
    lists = {name: tensors[name].reshape(-1, 2).tolist() if len(INPUTS[name][1]) == 2 else tensors[name].reshape(-1).tolist() for name in INPUTS}
    at = dict.fromkeys(INPUTS, 0)

    def take(name, count):
        values = lists[name][at[name]:at[name] + count]
        if count < 0 or len(values) != count:
            raise ValueError(f"{name}: wanted {count} more, found {len(values)}")
        at[name] += count
        return values

    sets, jobs = [take("set_ids", count) for count in lists["set_counts"]], []
    for i, kind in enumerate(lists["kind"]):
        one = lambda name: take(name, 1)[0]
        rows, asked, pieces, kept = one("row_counts"), one("asked_counts"), one("context_counts"), one("keep_counts")
        counts = take("sees_counts", rows)
        sees = [take("sees", count) for count in counts]
        index = one("set_index")
        if not 0 <= index < len(sets):
            raise ValueError(f"set_index: there is no set {index}")
        jobs.append(Job(
            session, kind == 1, take("ids", rows), take("positions", rows),
            [(handle, *span) for handle, span in zip(take("context_handles", pieces), take("context_spans", pieces))],
            sees if any(counts) else None, take("asked_rows", asked), take("score_ids", asked), sets[index], one("wants_logits") == 1,
            [(handle, *span) for handle, span in zip(take("keep_handles", kept), take("keep_spans", kept))]))
    return jobs, lists["release"]


def write(shape, jobs, results, missing=(), with_facts=None):
    """Output tensors by name."""
    join = lambda name, *rest: np.concatenate([r[name] for r in results]) if results else np.zeros((0, *rest))
    tensors = {"missing": np.asarray(missing, np.int64)}
    for name in PER_ROW:
        kind, dims = OUTPUTS[name]
        tensors[name] = join(name, *dims[1:]).astype(np.int32 if kind == "INT32" else np.float32)
    wanted = [r["logits"] for job, r in zip(jobs, results) if job.logits]
    tensors["logits"] = np.concatenate(wanted).astype(np.float32) if wanted else np.zeros((0, shape.vocab), np.float32)
    tensors["facts"] = np.array([with_facts.encode()] if with_facts else [], dtype=object)
    return tensors
