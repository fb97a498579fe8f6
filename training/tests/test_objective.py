"""Canvases say what stood in the text, and no row sees what it is to say. Needs the tokenizer of the base: LACUNA_BASE=BASE.gguf."""
import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
BASE = os.environ.get("LACUNA_BASE")
pytestmark = pytest.mark.skipif(not BASE, reason="LACUNA_BASE names no GGUF file of the base (training/README.md)")

TEXT = "".join(
    f"def count_{name}(values, limit):\n    \"\"\"How many {name} are in sight.\"\"\"\n    total = 0\n    for value in values:\n"
    f"        if value > limit:\n            total += len({name}.parts) + 1\n    return total\n\n\n" for name in ("apples", "rivers", "clouds", "stones"))


@pytest.fixture(scope="module")
def tokenizer():
    from reference import load_base
    return load_base(BASE)[1]


def steps(tokenizer, count=40, **mix):
    from objective import Mix, Objective, Shape
    objective = Objective(tokenizer, Shape(), Mix(**mix))
    made = (objective.step(TEXT, np.random.default_rng(seed)) for seed in range(count))
    return [c for c in made if c is not None]


def test_rows_say_the_text_between_what_they_see_and_what_follows(tokenizer):
    from objective import BEGUN
    from reference import VOCAB
    checked = begun = 0
    for c in steps(tokenizer, two_holes=0.0):
        text = lambda ids: tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)
        for e in range(len(c.ids)):
            following = text(c.own_ids[e][c.own_piece[e] == 1])
            for g in set(c.gap[e]) - {-1}:
                rows = np.nonzero((c.gap[e] == g) & (c.ahead[e] == 0))[0]
                said = c.target[e, rows]
                if said[-1] != VOCAB:
                    continue  # a longer gap than the canvas
                opening = c.ids[e, np.nonzero((c.gap[e] == g) & (c.ahead[e] == BEGUN))[0]]
                before = [*c.chunk[: c.seen[e, rows[0]]], *opening, c.ids[e, rows[0]]]
                assert text(before[int(before[0] == 0) :]) + text(said[:-1]) + following[:20] in TEXT
                checked, begun = checked + 1, begun + (len(opening) > 0)
    assert checked > 200 and checked / 4 < begun < checked * 3 / 4


def test_what_opens_a_canvas_says_what_stands_there_but_never_half_a_word(tokenizer):
    from objective import BEGUN
    for c in steps(tokenizer, begun=1.0):
        for e, r in zip(*np.nonzero(c.ahead == BEGUN)):
            last = c.ahead[e, r + 1] == 0
            assert c.target[e, r] == (-100 if last else c.ids[e, r + 1])
            assert c.positions[e, r + 1] == c.positions[e, r] + 1 <= c.seen[e, r] + 8


def test_no_row_sees_what_it_says(tokenizer):
    """A known row sees known rows up to itself; an open row those before its branch's first slot, and its branch."""
    from objective import BEGUN
    for c in steps(tokenizer):
        c.ahead[c.ahead == BEGUN] = 0
        for e, r in zip(*np.nonzero(c.target >= 0)):
            seen = np.nonzero(c.canvas[e, r])[0]
            own = seen[c.gap[e, seen] == c.gap[e, r]]
            known = own[c.ahead[e, own] == 0]
            said_at = c.positions[e, r] + 1
            assert r in seen
            assert all(c.positions[e, k] < said_at for k in known)
            if c.ahead[e, r] == 0:
                assert all(c.ahead[e, own] == 0)
            else:
                first = c.positions[e, r] - c.ahead[e, r] + 1  # the slot that the last known row says
                assert all(c.positions[e, k] < first for k in known)


def test_following_text_stands_at_a_fixed_distance(tokenizer):
    from objective import DISTANCE
    for c in steps(tokenizer, two_holes=0.0):
        for e in range(len(c.ids)):
            assert c.own_there[e, 0] == DISTANCE + 1 or c.own_piece[e, 0] < 0
            used = c.gap[e] >= 0
            assert (c.near[e, used] == c.positions[e, used] - c.seen[e, used]).all()


def test_a_second_hole_sees_the_first_and_not_the_other_way_round(tokenizer):
    found = 0
    for c in steps(tokenizer, two_holes=1.0):
        for e in range(len(c.ids)):
            gaps = sorted(set(c.gap[e]) - {-1})
            if len(gaps) != 2:
                continue
            found += 1
            first, second = (np.nonzero((c.gap[e] == g) & (c.ahead[e] == 0))[0] for g in gaps)
            assert c.canvas[np.ix_([e], second, first)].all()
            assert not c.canvas[np.ix_([e], first, second)].any()
            between = int((c.own_piece[e] == 0).sum())
            assert c.own_seen[e, first[0], between - 1] and not c.own_seen[e, second[0], between - 1]
    assert found > 20


def test_a_share_is_masked_as_the_seed_does_it(tokenizer):
    """All rows of such a canvas see each other, only masked rows say something, and what they say stood in the text."""
    from objective import AMONG
    from reference import MASK
    found = 0
    for c in steps(tokenizer, denoise=0.5, two_holes=0.0):
        for e, r in zip(*np.nonzero(c.ahead == AMONG)):
            assert c.ids[e, r + 1] == MASK and c.canvas[e, r, r + 1] and c.canvas[e, r + 1, r]
            found += 1
    assert found > 100


def test_a_step_follows_from_its_seed(tokenizer):
    a, b = steps(tokenizer, 3), steps(tokenizer, 3)
    for x, y in zip(a, b):
        assert all(np.array_equal(getattr(x, f), getattr(y, f)) for f in ("ids", "canvas", "target", "own_ids", "positions"))
