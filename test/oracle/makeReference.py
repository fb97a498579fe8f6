"""Writes reference.json: what training/reference.py says of every case in cases.json, in PyTorch float32.

    python test/oracle/makeReference.py BASE.gguf WEIGHTS.safetensors

cases.json is picked by hand: real code with a gap, `prefixText` · `middleText` · `suffixText`, where `middleText` is
what stood there. The three are tokenized each by itself, so a gap may begin inside a word; where a space stood left of
the gap it is already held back and begins `middleText`. `knownSlots` are the slots that are committed from the start,
to the token that stood there or, past the end of `middleText`, to PAD; the others are MASK. `atFileTop`: the
document-start id comes first.

reference.json: one line of facts that hold for all, then one line per case with
- `prefixIds`, `suffixIds`, `canvasIds` (`[slots]`) in the bundle's numbering: PAD 49,152, MASK 49,153;
- `rows`, one for each slot in order (row i predicts slot i), committed or not, in one pass over `canvasIds`: `top` (the
  8 best ids, best first; PAD is an id like any other), `logprobs` (theirs), `entropy` (nats, of the whole distribution
  over 49,153 ids) and `end` (log of the summed probability of PAD and of all ids with a line break);
- `tree`: one pass in which committed rows see only what is committed left of them: the last prefix token, of the middle a
  token that is committed and two that are guessed, three open rows beside the guesses and three behind them. `ids`,
  `offsets` from the last prefix token, `sees` (spans of rows) and `rows` as above, one for each row;
- `written`: the whole middle by `infill`, up to 16 tokens, ended by PAD or a line break; `margin` is the nearest tie;
- `infill`: the whole loop of `infill_at_once` on 16 open slots, with the settings of the header. `margin` is the nearest tie of the run, in
  probability: over all steps the smallest of best − second best at the leftmost open slot and |best − threshold| at
  the other open slots of the window. Below 1e-3 another implementation may go another way.
"""
import argparse
import importlib.metadata
import json
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "training"))
from reference import MASK, MOST_BEGUN, PAD, VOCAB, Model, infill, infill_at_once, load_model, surroundings, tree  # noqa: E402

START_ID, PAD_ID, MASK_ID = 0, VOCAB, VOCAB + 1
TOP, DIGITS = 8, 6
INFILL = {"slots": 16, "threshold": 0.9, "window": 4}


def main():
    parser = argparse.ArgumentParser(description="Write test/oracle/reference.json from cases.json.")
    parser.add_argument("base", type=Path, metavar="BASE.gguf")
    parser.add_argument("trained", type=Path, metavar="WEIGHTS.safetensors")
    arguments = parser.parse_args()
    for path in (arguments.base, arguments.trained):
        if not path.is_file():
            sys.exit(f"makeReference.py: {path}: no such file; see training/README.md")

    torch.set_num_threads(1)  # the order of sums, and so the last digits, may depend on it
    model, tokenizer = load_model(str(arguments.base), str(arguments.trained))
    line_break_ids = sorted(i for token, i in tokenizer.get_vocab().items() if "Ċ" in token)
    model = WatchedModel(model.w, model.a, line_break_ids)
    header = {
        "generator": "test/oracle/makeReference.py",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "tokenizers", "gguf", "safetensors")},
        "precision": "float32, one thread",
        "lineBreakIdCount": len(line_break_ids),
        "lineBreakIds": line_break_ids,
        "padId": PAD_ID,
        "maskId": MASK_ID,
        "infillSettings": {**INFILL, "stop": "lineBreakIds"},
    }
    cases = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
    lines = []
    for case in cases:
        answer = answer_case(model, tokenizer, case)
        lines.append(compact(answer))
        print(describe(answer, tokenizer), flush=True)
    text = '{"header":' + compact(header) + ',\n"cases":[\n' + ",\n".join(lines) + "\n]}\n"
    (HERE / "reference.json").write_text(text, encoding="utf-8")


@torch.no_grad()
def answer_case(model, tokenizer, case):
    ids = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    prefix_ids = [START_ID] * case["atFileTop"] + ids(case["prefixText"])
    suffix_ids = ids(case["suffixText"])
    slots, middle_ids = case["slots"], ids(case["middleText"])
    truth = (middle_ids + [PAD_ID] * slots)[:slots]
    canvas_ids = [truth[slot] if slot in case["knownSlots"] else MASK_ID for slot in range(slots)]

    prefix, suffix = torch.tensor(prefix_ids, dtype=torch.long), torch.tensor(suffix_ids, dtype=torch.long)
    rows = predict(model, prefix, suffix, canvas_ids)  # [slots, VOCAB + 1]
    model.margin = 1.0
    infilled_ids, steps = infill_at_once(model, prefix, suffix, stop=model.line_break_ids, **INFILL)
    margin = model.margin
    written_ids, written_margin = infill(model, prefix, suffix, most=16, stop=model.line_break_ids)
    begun = min(len(prefix) - 2, 1 + len(case["name"]) % MOST_BEGUN)
    begun_ids, begun_margin = infill(model, prefix, suffix, most=min(16, 23 - begun), stop=model.line_break_ids, begun=begun)
    return {
        **{key: case[key] for key in ("name", "language", "source", "licence", "prefixText", "suffixText", "slots")},
        "prefixIds": prefix_ids,
        "suffixIds": suffix_ids,
        "canvasIds": canvas_ids,
        "rows": described(model, rows),
        "tree": answer_tree(model, prefix, suffix, middle_ids),
        "written": {"ids": written_ids, "margin": round(written_margin, DIGITS)},
        "begun": {"count": begun, "ids": begun_ids, "margin": round(begun_margin, DIGITS)},
        "infill": {"ids": infilled_ids, "steps": steps, "margin": round(margin, DIGITS)},
    }


def described(model, rows):
    """rows [Q, VOCAB + 1]: log-probabilities."""
    top = rows.topk(TOP, -1)
    entropy = -(rows.exp() * rows).sum(-1)
    end = rows[:, [PAD_ID, *model.line_break_ids]].logsumexp(-1)
    return [
        {"top": top.indices[i].tolist(), "logprobs": rounded(top.values[i]), "entropy": rounded(entropy[i]), "end": rounded(end[i])}
        for i in range(len(rows))
    ]


def answer_tree(model, prefix, suffix, middle_ids):
    known = middle_ids[:3]
    committed, said = min(1, len(known)), len(known)
    ids = [int(prefix[-1]), *known] + [MASK] * 6
    offsets = [*range(said + 1), *range(committed + 1, committed + 4), *range(said + 1, said + 4)]
    beside, behind = said + 1, said + 4
    sees = [[(0, i + 1)] for i in range(said + 1)]
    sees += [[(0, committed + 1), (beside, 3)] for _ in range(3)] + [[(0, said + 1), (behind, 3)] for _ in range(3)]
    seen = torch.zeros(len(ids), len(ids), dtype=torch.bool)
    for row, spans in enumerate(sees):
        for first, count in spans:
            seen[row, first : first + count] = True
    rows = tree(model, surroundings(model, prefix, suffix), len(prefix), torch.tensor(ids), torch.tensor(offsets), seen)
    return {"ids": [MASK_ID if i == MASK else i for i in ids], "offsets": offsets, "sees": sees, "rows": described(model, rows)}


def predict(model, prefix, suffix, canvas_ids):
    """Log-probabilities [slots, VOCAB + 1] of one pass over the canvas; positions and mask as in `infill`."""
    slots, p = len(canvas_ids), len(prefix)
    own = {PAD_ID: PAD, MASK_ID: MASK}
    canvas = torch.cat((prefix[-1:], torch.tensor([own.get(i, i) for i in canvas_ids])))
    past = [tuple(torch.cat(kv, 1) for kv in zip(a, b)) for a, b in zip(model.encode(prefix), model.encode(suffix))]
    past_positions = torch.cat((torch.arange(p), torch.arange(len(suffix)) + p + slots))
    mask = torch.ones(slots + 1, len(past_positions) + slots + 1, dtype=torch.bool)
    mask[:, p - 1] = False
    hidden, _ = model.forward(canvas, torch.arange(slots + 1) + p - 1, mask, past, past_positions, True)
    return model.log_probs(hidden[:slots])


class WatchedModel(Model):
    """The reference, noting how near to a tie `infill` came."""

    def __init__(self, base, adapter, line_break_ids):
        super().__init__(base, adapter)
        self.line_break_ids, self.margin = line_break_ids, 1.0

    def forward(self, ids, *rest):
        self.ids = ids.clone()
        return super().forward(ids, *rest)

    def log_probs(self, hidden):
        rows = super().log_probs(hidden)
        open_slots = (self.ids[1:] == MASK).nonzero().flatten().tolist()
        if open_slots:
            probability = rows.exp()
            probability[:, VOCAB] += probability[:, self.line_break_ids].sum(-1)
            probability[:, self.line_break_ids] = 0
            best = probability.topk(2, -1).values
            leftmost = open_slots[0]
            self.margin = min(self.margin, float(best[leftmost, 0] - best[leftmost, 1]))
            for slot in open_slots[1:]:
                if slot < leftmost + INFILL["window"]:
                    self.margin = min(self.margin, abs(float(best[slot, 0]) - INFILL["threshold"]))
        return rows


def rounded(t):
    """Floats with DIGITS decimals: one number for a scalar, a list for a row."""
    values = t.tolist()
    return [round(v, DIGITS) + 0.0 for v in values] if isinstance(values, list) else round(values, DIGITS) + 0.0


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def describe(answer, tokenizer):
    text = tokenizer.decode(answer["infill"]["ids"], skip_special_tokens=False)
    return f"{answer['name']}: {text!r}, {answer['infill']['steps']} steps, margin {answer['infill']['margin']}"


if __name__ == "__main__":
    main()
