"""What passes promise: sharded as unsharded, batched as single, cached as uncached; what is dropped is said to be missing."""
import asyncio
from pathlib import Path

import numpy as np
import pytest

from lacuna_serving.bundle import load
from lacuna_serving.passes import Job, Missing, Passes, bucket
from lacuna_serving.server import Step

IDS = np.random.default_rng(7).integers(1, 96, 400).tolist()


def text(session, ids, keep=None, context=(), first=0):
    positions = list(range(first, first + len(ids)))
    return Job(session, True, ids, positions, list(context), None, list(range(len(ids))), [], [3, 4], False, [(keep, 0, len(ids))] if keep else [])


def canvas(session, first, context, slots=6):
    rows = 1 + slots
    return Job(session, False, [5] + [97] * slots, list(range(first, first + rows)), list(context), None, list(range(rows)), list(range(rows)), [96, 7], False, [])


def difference(a, b):
    assert (a["top_ids"][:, 0] == b["top_ids"][:, 0]).all()
    return max(np.abs(a[name] - b[name]).max() for name in ("top_logprobs", "entropy", "set_logprobs", "score_logprobs") if a[name].size)


def session_of(passes, name):
    passes.run([text(name, IDS[:40], 1)])
    passes.run([text(name, IDS[40:60], 2, [(1, 40, 0)], 40)])
    passes.run([text(name, IDS[60:70], 3)])
    return canvas(name, 60, [(1, 40, 0), (2, 20, 40), (3, 10, 84)])


def test_every_family_sharded_over_eight_devices_is_as_on_one(model):
    sharded(model, 4, 2)


@pytest.mark.parametrize("data, tensor", [(8, 1), (2, 4)])
def test_other_meshes_of_eight_devices_are_as_one(default, data, tensor):
    sharded(default, data, tensor)


def sharded(model, data, tensor):
    one, many = (Passes(*model, data=d, model=m, pool_rows=1024) for d, m in ((1, 1), (data, tensor)))
    names = [f"session {i}" for i in range(data)]
    jobs = [[session_of(passes, name) for name in names] for passes in (one, many)]
    worst = max(difference(a, b) for a, b in zip(one.run(jobs[0]), many.run(jobs[1])))
    print(f"mesh {data} x {tensor}: largest difference {worst:.1e}")
    assert worst < 1e-4
    assert {d.id for d in many.pool.devices()} == set(range(8))


def test_encoded_in_parts_and_moved_is_as_whole(model):
    passes = Passes(*model, pool_rows=512)
    in_parts = passes.run([session_of(passes, "a")])[0]
    passes.run([text("b", IDS[:60], 9)])
    passes.run([text("b", IDS[60:70], 8)])
    whole = passes.run([canvas("b", 60, [(8, 10, 84), (9, 60, 0)])])[0]
    assert difference(in_parts, whole) < 1e-4
    elsewhere = passes.run([canvas("b", 60, [(8, 10, 94), (9, 60, 0)])])[0]
    assert np.abs(elsewhere["entropy"] - whole["entropy"]).max() > 1e-4


def test_a_batch_is_as_its_jobs_alone(default):
    passes = Passes(*default, pool_rows=512)
    jobs = [session_of(passes, "a"), session_of(passes, "b"), canvas("c", 0, []), text("c", IDS[:30]), canvas("a", 60, [(1, 30, 0)], 2)]
    for together, job in zip(passes.run(jobs), jobs):
        assert difference(together, passes.run([job])[0]) < 1e-4


def test_the_adapter_is_for_canvases_alone(default):
    shape, weights = default
    off = dict(weights, layers={name: value * (0 if name.endswith(".B") else 1) for name, value in weights["layers"].items()})
    with_it, without = Passes(shape, weights, pool_rows=128), Passes(shape, off, pool_rows=128)
    assert difference(with_it.run([text("a", IDS[:9])])[0], without.run([text("a", IDS[:9])])[0]) < 1e-6
    a, b = (passes.run([canvas("a", 0, [])])[0] for passes in (with_it, without))
    assert np.abs(a["entropy"] - b["entropy"]).max() > 1e-3


def test_what_is_dropped_is_missing_and_sessions_do_not_see_each_other(default):
    passes = Passes(*default, pool_rows=64)
    passes.run([text("a", IDS[:30], 1)])
    assert passes.missing([canvas("b", 30, [(1, 30, 0)])]) == [1]
    passes.run([text("a", IDS[:30], 2)])
    passes.run([text("a", IDS[:30], 3)])
    assert passes.missing([canvas("a", 30, [(1, 30, 0)]), canvas("a", 30, [(2, 30, 0), (3, 30, 0)])]) == [1]
    passes.release("a", [2, 99])
    assert passes.missing([canvas("a", 30, [(2, 30, 0)])]) == [2]
    with pytest.raises(ValueError, match="more than the 64 rows"):
        passes.run([text("a", IDS[:50], 4, [(3, 30, 0)], 30)])


def test_of_a_pass_that_fails_nothing_is_kept(default):
    passes = Passes(*default, pool_rows=60)
    first, second = text("a", IDS[:40], 1), text("a", IDS[:40], 2)
    with pytest.raises(ValueError, match="more than the 60 rows"):
        passes.run([first, second])  # there is room for one
    over = text("a", IDS[:2], None, [(1, 40, 0), (2, 40, 0)], 40)
    assert passes.missing([over]) == [1, 2] and passes.rows_kept == 0
    passes.run([first])
    assert passes.missing([over]) == [2] and passes.rows_kept == 40 and passes.rows_dropped == 0


def test_a_request_whose_rows_another_drove_out_is_told_so(default):
    step = Step("tiny", Passes(*default, pool_rows=60))
    over = text("b", IDS[:2], None, [(1, 40, 0)], 40)
    loop = asyncio.new_event_loop()
    ask = lambda *jobs: (jobs[0].session, list(jobs), [], loop.create_future())

    def outcomes(*batch):
        step._pass(list(batch))
        return [step.outcomes.pop(id(request[-1])) for request in batch]

    outcomes(ask(text("b", IDS[:40], 1)))
    # Together they need 100 rows of 60; alone the first one needs those of the second.
    first, second = outcomes(ask(text("a", IDS[:60], 9)), ask(over))
    assert first["results"][0]["entropy"].shape == (60,)
    assert second == {"results": [], "missing": [1]}


def test_refuses_what_the_model_does_not_have(default):
    passes = Passes(*default, pool_rows=64)
    for change in (dict(ids=[98] * 3), dict(positions=[0, 1, 512]), dict(asked=[3]), dict(scores=[97]), dict(set_ids=[-1]), dict(keep=[(1, 2, 2)]),
                   dict(sees=[[(0, 4)]] * 3), dict(context=[(1, 10, 510)])):
        with pytest.raises(ValueError):
            passes.check(Job("a", True, [1, 2, 3], [0, 1, 2], [], None, [0], [0], [], False, []).__class__(**(vars(text("a", [1, 2, 3])) | change)))
    with pytest.raises(ValueError):
        bucket(Passes.ROWS[-1] + 1, Passes.ROWS)
    assert isinstance(Missing([1]).handles, list)


def test_what_an_editor_asks_for_is_compiled_before_it_asks(default):
    passes = Passes(*default, pool_rows=512, batches=(1, 3))
    passes.warm()
    known = set(passes.compiled)
    assert len(known) == 2 * 12
    passes.run([text("a", IDS[:64], 1)])
    passes.run([text("a", IDS[64:90], 2, [(1, 64, 0)], 64), text("b", IDS[:7], 1)])
    passes.run([canvas("a", 90, [(1, 64, 0), (2, 26, 64)]), canvas("b", 7, [(1, 7, 0)]), canvas("c", 0, [], 14)])
    assert set(passes.compiled) == known
    passes.run([text("a", IDS[:80], 3)])  # longer than the client's pieces
    assert set(passes.compiled) != known


def test_the_default_model_has_no_adapter_and_two_rows_more():
    shape, weights = load(Path(__file__).parents[2] / "models/lacuna-135m")
    assert (shape.rank, shape.vocab, shape.input_ids, shape.mask_id, shape.end_ids) == (0, 49153, 49154, 49153, (49152,))
    assert weights["embedding"].shape == (49154, 576) and weights["head"].shape == (49153, 576)
    assert (weights["embedding"][:49152] == weights["head"][:49152]).all()
    assert all(np.abs(weights["embedding"][i]).max() > 0 for i in (49152, 49153))
    assert not [name for name in weights["layers"] if name.endswith((".A", ".B"))] and weights["layers"]["gate"].shape == (30, 1536, 576)
