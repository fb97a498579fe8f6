"""What the ablation's arms write is what their definitions write. Needs torch and LACUNA_BASE=BASE.gguf; skips without."""
import pytest

torch = pytest.importorskip("torch")
from test_network import TEXT, base, with_reference  # noqa: E402, F401


@torch.no_grad()
@pytest.mark.parametrize("open_rows", [0, 1, 5])
def test_guesses_change_passes_and_no_token(base, monkeypatch, open_rows):  # noqa: F811
    import ablation
    from reference import infill

    monkeypatch.setattr(ablation, "SURE_END", 2)  # an end that open rows alone say is the one thing that is not checked
    monkeypatch.setattr(ablation, "SURE", 0.01)
    net, model = with_reference(base, 4)
    ids = base[1].encode(TEXT[:300], add_special_tokens=False).ids
    prefix, suffix = torch.tensor(ids[:70]), torch.tensor(ids[74:90])
    stop = torch.tensor(sorted(i for t, i in base[1].get_vocab().items() if "Ċ" in t))
    arm = ablation.Canvas(net, net.layers(), prefix, suffix, open_rows)
    wrote, passes, _ = ablation.written(arm, prefix[-1:], stop)
    wanted, margin = infill(model, prefix, suffix, most=ablation.MOST, stop=stop.tolist())
    assert margin > 1e-4 and wrote == wanted
    assert passes <= len(wrote) + 1 and (open_rows or passes >= len(wrote))


@torch.no_grad()
def test_the_rival_reads_one_text(base):  # noqa: F811
    import ablation
    import orders
    from reference import LAYERS

    net, model = with_reference(base, 4)
    ids = torch.tensor(base[1].encode(TEXT[:300], add_special_tokens=False).ids)
    prefix, middle, suffix = ids[:70], ids[70:75], ids[75:90]
    arm = ablation.LeftToRight(net, net.layers(), prefix, suffix, 0)
    rows = torch.cat((prefix[-1:], middle))
    said = arm.rows(rows, torch.arange(6), torch.ones(6, 6).tril().bool())
    text = torch.cat((torch.tensor([orders.BEFORE_SUFFIX]), suffix, torch.tensor([orders.BEFORE_PREFIX]), prefix, middle))
    none, n = [(torch.zeros(3, 0, 64),) * 2] * LAYERS, len(text)
    hidden, _ = model.forward(text, torch.arange(n), torch.ones(n, n).tril().bool(), none, torch.arange(0), True)
    assert (said - model.log_probs(hidden[-6:])).abs().max() < 2e-3


def test_arms_are_paired_by_gap_with_what_they_are_named_after(tmp_path, capsys):
    import json
    from types import SimpleNamespace

    import ablation

    gaps = [{"chunk": c, "gap": g, "tokens": 4, "exact": False, "nats": 8.0} for c in range(3) for g in range(2)]
    for arm, nats, exact in (("ours", 8, False), ("rival", 4, True), ("whole-ours", 2, True)):
        (tmp_path / arm).mkdir()
        told = [g | {"nats": nats, "exact": exact} for g in gaps]
        (tmp_path / arm / "score.jsonl").write_text("".join(json.dumps(g) + "\n" for g in (told if arm == "ours" else told[::-1])))
    ablation.table(SimpleNamespace(folder=tmp_path))
    said = capsys.readouterr().out
    assert "| rival | 100.0 | 1.000 | ours | +100.0 (+100.0 to +100.0) | -1.000 (-1.000 to -1.000) |" in said
    assert "| whole-ours | 100.0 | 0.500 | | | |" in said and "6 gaps, 24 tokens and ends" in said


def test_every_arm_is_told_what_it_is(tmp_path):
    from types import SimpleNamespace

    import arms

    o = SimpleNamespace(base="B", corpus="C", out=str(tmp_path), device="cuda", chunks=3, cases=2, more="", on="W")
    (recorded, plain), *scored = list(arms.commands("rival", o))
    assert recorded == [*plain, "--record"] and plain[-6:] == ["--order", "suffix-first", "--device", "cuda", "--threads", "1"]
    assert len(scored) == 1 and "suffix-first" in scored[0][0]
    assert [program[0][2] for program in list(arms.commands("whole-ours", o))[1:]] == ["score", "write"]
    assert "weights.safetensors" in list(arms.commands("whole-ours", o))[1][0][5]
    assert all(" ".join(program[0]).count("--on W") == ("tuned" in arm) for arm in ("ours", "tuned-taught") for program in arms.commands(arm, o))
