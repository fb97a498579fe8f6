"""The benchmark: its lines for a small model, and that the passes agree with a plain numpy implementation."""
import json

import pytest

import bench


WHATEVER = "--seconds", "1e6"  # it takes: a slow machine has all lines too


@pytest.fixture
def small(monkeypatch):
    sizes = dict(layers=2, width=64, heads=6, kv_heads=2, head_dim=16, mlp=96, vocab=300)
    real = bench.random_model
    monkeypatch.setattr(bench, "random_model", lambda layers: real(**sizes))


def test_a_line_for_each_pass_and_the_answer_of_numpy(small, tmp_path, capsys):
    out = tmp_path / "bench.json"
    bench.main(["--random", "--check", "--dtype", "float32,bfloat16", "--steps", "1,4,12", "--encodes", "1,2,9", *WHATEVER, "--out", str(out), "--peak-tflops", "1", "--bandwidth", "10"])
    report = json.loads(out.read_text())
    kinds = lambda mode: [(m["kind"], m["batch"]) for m in report["lines"] if m["mode"] == mode]
    assert kinds("float32") == kinds("bfloat16") == [("encode", 1), ("step", 1), ("encode", 2), ("step", 4), ("step", 12)]
    assert [m["contexts"] for m in report["lines"] if m["kind"] == "step"] == [1, 1, 4, 4, 7, 7]
    assert all(m["ms_with_host"] > m["ms"] > 0 and m["compile_s"] > 0 for m in report["lines"])
    assert report["skipped"] == [f"encode × 9 {mode}: 4608 rows need a pool of 9216 (--pool-rows)" for mode in ("float32", "bfloat16")]
    full, half = report["checks"]
    assert full["logprob"] < 1e-4 and full["entropy"] < 1e-4 and full["best_ids_that_differ"] == 0
    assert 1e-4 < half["logprob"] < 0.5
    assert "7 contexts for 12 jobs" in capsys.readouterr().out


def test_programs_compiled_together_are_those_that_run(small):
    report = bench.main(["--random", "--steps", "1,4", "--encodes", "1", "--compilers", "2", *WHATEVER])
    assert len(report["lines"]) == 3 and not report["failed"]


def test_what_does_not_fit_into_the_time_is_named(small):
    report = bench.main(["--random", "--steps", "1,4", "--encodes", "1", "--seconds", "0"])
    assert [*report["lines"]] == [] and len(report["skipped"]) == 3


def test_flops_of_a_row_are_twice_the_weights_it_meets():
    shape, weights = bench.random_model(layers=2, width=64, heads=6, kv_heads=2, head_dim=16, mlp=96, vocab=300)
    one = bench.Bench(shape, weights, "float32", 2048)
    matrices = sum(values.size for name, values in weights["layers"].items() if values.ndim == 3)
    pairs = 9 * (576 + 9) * 2 * 6 * 16 * 4
    assert one.work("step", 2)[0] == 2 * (9 * 2 * matrices + 5 * 2 * weights["head"].size + pairs)
    kept = one.passes.pool[0, 0].size * 576
    assert one.work("step", 2)[2] == 4 * (matrices + weights["head"].size + 2 * kept)


def test_a_pass_changes_the_pool_in_place():
    model = bench.random_model(layers=2, width=64, heads=6, kv_heads=2, head_dim=16, mlp=96, vocab=300)
    scratch = []
    for rows in (2048, 8192):
        of = bench.Bench(*model, "float32", rows)
        of.compile("step", 1, of.padded("step", 1))
        scratch.append(of.known["step", 1][1])
    assert scratch[0] == scratch[1]
