"""Gaps filled whole on the device: as `training/reference.py` writes them, sharded as unsharded, whatever is guessed and kept."""
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FAMILIES, random_folder

from lacuna_serving.bundle import load
from lacuna_serving.infill import ENDED, FULL, UNSURE, Gap, Infills
from lacuna_serving.passes import Passes

ROOT = Path(__file__).parents[2]
END = 96


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    return load(random_folder(tmp_path_factory.mktemp("model") / "m", **FAMILIES["llama, extra rows without adapter"]))


@pytest.fixture(scope="session")
def infills(small):
    return Infills(Passes(*small, pool_rows=1024))


def gaps(threshold=0.0, floor=0.0):
    draw = np.random.default_rng(5)
    ids = lambda count: draw.integers(1, 96, count).tolist()
    return [Gap(f"session {i}", ids(20 + 60 * i), ids(9 + i), 1 + i, 40 if i == 2 else 9 + i, (12, 19), [END, 7, 8], threshold, floor) for i in range(4)]


def filled(infills, gaps):
    """Canvas after canvas, as the server does."""
    while any(gap.finish is None for gap in gaps):
        infills.advance([gap for gap in gaps if gap.finish is None])
        for gap in gaps:
            if gap.error:
                raise gap.error
    return gaps


def rows(gap, name):
    return np.concatenate([part[name] for part in gap.told])


def test_sharded_over_eight_devices_is_as_on_one(small, infills):
    one, many = filled(infills, gaps()), filled(Infills(Passes(*small, data=4, model=2, pool_rows=1024)), gaps())
    assert [gap.tokens for gap in many] == [gap.tokens for gap in one]
    worst = max(np.abs(rows(a, name) - rows(b, name)).max() for a, b in zip(one, many) for name in ("top_logprobs", "end_logprobs"))
    print(f"largest difference {worst:.1e}")
    assert worst < 1e-4 and [gap.finish for gap in one] == [gap.finish for gap in many]


def test_together_as_alone_whatever_is_guessed_ahead(small, infills):
    together = filled(infills, gaps())
    assert [len(gap.tokens) for gap in together if gap.finish == FULL] == [gap.most for gap in together if gap.finish == FULL]
    alone = Infills(Passes(*small, pool_rows=1024), ahead=1)
    for gap, wanted in zip(gaps(), together):
        assert filled(alone, [gap])[0].tokens == wanted.tokens
    # Nothing is said of a canvas but by its rows: the next one opens where the text would have been asked anew.
    middle = gaps()[2]
    told = filled(alone, [Gap(middle.session, middle.prefix + together[2].tokens[:12], middle.suffix, 1, 28, (19, 19), middle.ends, 0.0, 0.0)])[0]
    assert together[2].tokens == together[2].tokens[:12] + told.tokens


def test_each_token_is_the_best_of_its_row_and_partials_grow(infills):
    for gap in filled(infills, gaps()):
        assert len(rows(gap, "end_logprobs")) == len(gap.tokens) + (gap.finish == ENDED)
        for token, ids in zip(gap.tokens, rows(gap, "top_ids")):
            assert token == next(id for id in ids if id not in (0, *gap.ends))
        assert gap.partials == sorted(gap.partials) and gap.partials[-1] == len(gap.tokens)


def test_stops_where_it_is_less_sure_than_wanted(infills):
    stopped = gaps()
    for whole, gap in zip(filled(infills, gaps()), stopped):
        probability = np.cumprod([np.exp(logprobs[list(ids).index(token)]) for token, ids, logprobs in zip(whole.tokens, rows(whole, "top_ids"), rows(whole, "top_logprobs"))])
        gap.floor = float(probability[3]) * (1 + 1e-4)
        before = int((probability >= gap.floor).sum())
        filled(infills, [gap])
        assert before <= 3 and (gap.finish, gap.tokens) == (UNSURE, whole.tokens[:before + 1])


def test_a_hint_is_a_guess_and_has_its_share(infills):
    plain = filled(infills, gaps())
    hinted = gaps()
    for gap, before in zip(hinted, plain):
        gap.hints = [(id, 0.3) for id in before.tokens]
    for gap, before in zip(filled(infills, hinted), plain):
        assert gap.tokens == before.tokens and gap.finish == before.finish and len(gap.partials) < len(before.partials)
    # Against the model: heard as far as the shares say, and no more behind a hint that was not followed.
    draw, followed = np.random.default_rng(9), 0
    other = gaps()
    for gap, before in zip(other, plain):
        gap.hints = [(id if draw.random() < 0.5 else int(draw.integers(11, 96)) if draw.random() < 0.8 else -1, float(np.float32(draw.uniform(0.1, 0.7)))) for id in before.tokens]
    for gap in filled(infills, other):
        for n, (ids, logprobs, end) in enumerate(zip(rows(gap, "top_ids").tolist(), rows(gap, "top_logprobs"), rows(gap, "end_logprobs"))):
            best = next(i for i, id in enumerate(ids) if id not in (0, *gap.ends))
            said, probability = (-1, np.exp(end)) if end > logprobs[best] else (ids[best], np.exp(logprobs[best]))
            if n < len(gap.hints) and gap.tokens[:n] == [hint for hint, _ in gap.hints[:n]]:
                hint, share = gap.hints[n]
                own = np.exp(end) if hint < 0 else np.exp(logprobs[ids.index(hint)]) if hint in ids else 0
                if hint == said or (1 - share) * own + share >= (1 - share) * probability:
                    followed += hint != said
                    said = hint
            assert (gap.tokens[n] if n < len(gap.tokens) else -1) == said
    assert followed > 0


def test_what_was_read_is_kept_and_what_was_dropped_is_read_again(small):
    passes = Passes(*small, pool_rows=400)
    infills = Infills(passes)
    first = filled(infills, gaps()[3:])[0]
    held = passes.passes_run
    assert filled(infills, gaps()[3:])[0].tokens == first.tokens and passes.passes_run == held  # nothing was encoded
    for other in range(3):
        filled(infills, [Gap(f"other {other}", list(range(1, 90)) * 2, [5], 1, 1, (1, 1), [END], 0.0, 0.0)])
    assert filled(infills, gaps()[3:])[0].tokens == first.tokens and passes.passes_run > held
    # Two that do not fit together are filled one after the other; what does not fit alone is refused.
    two = filled(Infills(Passes(*small, pool_rows=260)), [gaps()[3], Gap("session 3", list(range(1, 90)) * 2, [5], 1, 3, (3, 3), [END], 0.0, 0.0)])
    assert two[0].tokens == first.tokens
    with pytest.raises(ValueError, match="--pool_rows|rows that are kept"):
        filled(Infills(Passes(*small, pool_rows=100)), gaps()[3:])


def test_what_was_read_ahead_is_there_when_it_is_asked_for(small):
    one_canvas = lambda: [gap for i, gap in enumerate(gaps()) if i != 2]  # further ones read what the first was filled with
    passes = Passes(*small, pool_rows=1024)
    infills, wanted = Infills(passes), filled(Infills(Passes(*small, pool_rows=1024)), one_canvas())
    ahead = [Gap(gap.session, gap.prefix, gap.suffix, gap.known, 1, (0, 0), [], 1.0, 0.0) for gap in one_canvas()]
    infills.advance(ahead)  # a piece of each, in one pass
    assert passes.passes_run == 1 and [gap.finish for gap in ahead] == [None] * 3
    filled(infills, ahead)
    read = passes.passes_run
    assert infills.compiled == {} and all(gap.tokens == [] and gap.finish == FULL for gap in ahead)
    assert [gap.tokens for gap in filled(infills, one_canvas())] == [gap.tokens for gap in wanted] and passes.passes_run == read
    # Where too little is kept it ends all the same.
    filled(Infills(Passes(*small, pool_rows=100)), [Gap("session 3", list(range(1, 90)) * 2, [5], 1, 1, (0, 0), [], 1.0, 0.0)])


def test_what_an_editor_asks_for_is_compiled_before_it_asks(small):
    infills = Infills(Passes(*small, pool_rows=512, batches=(1,)), ahead=1)
    infills.warm()
    known = set(infills.compiled)
    filled(infills, gaps()[:1])
    filled(infills, gaps()[3:])
    assert len(known) == 4 and set(infills.compiled) == known


def test_refuses_what_cannot_be_filled_with_what_was_wanted(small):
    infills = Infills(Passes(*small, pool_rows=64))
    gap = lambda **change: Gap(**(dict(session="", prefix=[1, 2], suffix=[3], known=1, most=4, slots=(4, 4), ends=[END], threshold=0.4, floor=0.0) | change))
    infills.check(gap())
    for change, said in ((dict(prefix=[1, 98]), "wanted ids of 0 to 97, found 98"), (dict(ends=[97]), "end ids of 0 to 96, found 97"), (dict(known=3), "wanted 1 to the 2 ids before the span, found 3"),
                         (dict(known=0), "found 0"), (dict(hints=[(98, 0.5)]), "or -1 for the end, found .98."), (dict(slots=(24, 4)), "at most 23, found 24"), (dict(slots=(4, 0)), "at least 1"), (dict(slots=(-1, 4)), "at least 1"), (dict(most=600), "wanted at most 488 ids, found 603")):
        with pytest.raises(ValueError, match=said):
            infills.check(gap(**change))


def test_the_default_model_writes_what_the_reference_writes():
    """Real gaps, the real bundle, float32; the weights go from the bundle into `training/reference.py`."""
    torch = pytest.importorskip("torch")
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("gguf")
    sys.path.append(str(ROOT / "training"))
    import reference

    folder = ROOT / "models/lacuna-135m"
    shape, weights = load(folder)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tensor = lambda values: torch.from_numpy(np.array(values))
    names = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
             "attention_norm": "attn_norm", "mlp_norm": "ffn_norm"}
    base = {f"blk.{layer}.{theirs}.weight": tensor(weights["layers"][ours][layer]) for ours, theirs in names.items() for layer in range(shape.layers)}
    base |= {"token_embd.weight": tensor(weights["embedding"][:reference.VOCAB]), "output_norm.weight": tensor(weights["norm"])}
    special = tensor(weights["embedding"][[shape.mask_id, *shape.end_ids]])
    model = reference.Model(base, {"special": special, "pad_out": tensor(weights["head"][shape.end_ids[0]])})
    stops = [id for token, id in tokenizer.get_vocab().items() if "Ċ" in token]
    infills = Infills(Passes(shape, weights, pool_rows=4096))
    asked, wanted = [], []
    for i, (path, line, column) in enumerate(REAL):
        lines = (ROOT / path).read_text().splitlines(keepends=True)
        text = "".join(lines[:line - 1]) + lines[line - 1][:column - 1]
        prefix = tokenizer.encode(text[-240:], add_special_tokens=False).ids
        suffix = tokenizer.encode(("\n" + "".join(lines[line:]))[:90], add_special_tokens=False).ids
        begun = i % 4
        wanted.append(reference.infill(model, torch.tensor(prefix), torch.tensor(suffix), most=16, stop=stops, begun=begun))
        asked.append(Gap("", prefix, suffix, 1 + begun, 16, (16, 16), [*shape.end_ids, *stops], 0.4, 0.0))
    for gap, (ids, margin) in zip(filled(infills, asked), wanted):
        print(f"{len(gap.partials)} passes, {len(ids)} tokens, nearest tie {margin:.4f}: {tokenizer.decode(ids)!r}")
        assert gap.tokens == ids or margin < 1e-3
    passes, said = sum(len(gap.partials) for gap in asked), sum(len(ids) + (gap.finish == ENDED) for gap, (ids, _) in zip(asked, wanted))
    assert passes < 0.8 * said  # guesses that were right


REAL = [("serving/lacuna_serving/passes.py", 65, 30), ("serving/lacuna_serving/bundle.py", 47, 20), ("training/reference.py", 80, 25), ("server/denoise/canvas.ts", 20, 15),
        ("server/session/gate.ts", 17, 20), ("server/cli/place.ts", 30, 12)]
