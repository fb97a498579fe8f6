"""The network that trains against the reference, on real canvases. Needs torch and LACUNA_BASE=BASE.gguf; skips without."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402

import blocks4  # noqa: E402

TEXT = "".join(f"def area{i}(width, height):\n    total = width * height + {i}\n    return round(total, {i})\n\n\n" for i in range(40))


@pytest.fixture(scope="module")
def base():
    path = os.environ.get("LACUNA_BASE")
    if not path:
        pytest.skip("LACUNA_BASE is not set to the base's GGUF file")
    from reference import load_base
    return load_base(path)


@pytest.fixture(scope="module")
def batch(base):
    from batches import draw
    from objective import Mix, Objective, Shape

    class Corpus:
        def draw(self, rng):
            return TEXT

    objective = Objective(base[1], Shape(chunk=160, ends=2, own=24, rows=48), Mix(begun=0.5))
    made = draw(objective, Corpus(), 2, 0, 0)
    assert np.array_equal(made.ids, draw(objective, Corpus(), 2, 0, 0).ids)
    return made


def network(base, rank, **options):
    from network import Network
    torch.manual_seed(0)
    net = Network(base[0], rank, torch.float32, **options)
    with torch.no_grad():
        for b in net.B.values():
            b.normal_(0, 0.02)
    return net


@torch.no_grad()
def with_reference(base, rank):
    """(the network that trains, the reference with the same weights)"""
    from reference import Model
    from train import trained_tensors

    net = network(base, rank)
    for p in (*net.A.values(), *net.B.values(), net.special, net.pad_out):  # as the files hold them
        p.copy_(p.half().float())
    trained = trained_tensors(net, dict(net.named_parameters())).items()
    return net, Model(base[0], {k: v.float() for k, v in trained if k[0] != "b"})


@pytest.mark.parametrize("rank", [0, 4])
@torch.no_grad()
def test_rows_say_what_the_reference_says(base, batch, rank):
    from reference import MASK, PAD, surroundings, tree
    from step import hidden_rows, tensors

    net, model = with_reference(base, rank)
    said = net.logits(hidden_rows(net, tensors(batch))[0]).log_softmax(-1)
    compared = 0
    for c, e in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for gap in sorted(set(batch.gap[c, e]) - {-1}):
            if batch.kinds[c][gap] == "two":
                continue
            rows = [i for i in range(batch.ids.shape[2]) if batch.gap[c, e, i] == gap]
            first = batch.seen[c, e, rows[0]]
            suffix = batch.own_ids[c, e][batch.own_piece[c, e] == 1]
            prefix = torch.tensor([*batch.chunk[c][:first], batch.ids[c, e, rows[0]]])
            ids, offsets = torch.tensor(batch.ids[c, e, rows]), torch.tensor(batch.positions[c, e, rows]) - int(first)
            sees = torch.tensor(batch.canvas[c, e][rows][:, rows])
            assert not ((ids < 0) & (ids != MASK) & (ids != PAD)).any()
            wanted = tree(model, surroundings(model, prefix, torch.tensor(suffix)), len(prefix), ids, offsets, sees)
            assert (said[c, e, rows] - wanted).abs().max() < 2e-3
            compared += len(rows)
    assert compared > 60


def test_rounding_twice_is_rounding_once(base):
    w = torch.randn(64, 96, generator=torch.Generator().manual_seed(1))
    once = blocks4.join(*blocks4.split(w))
    assert (once - w).abs().max() < 0.25 and not torch.equal(once, w)
    assert torch.equal(blocks4.join(*blocks4.split(once)), once)
    q = blocks4.split(w)[0]
    assert torch.equal(blocks4.unpacked(blocks4.packed(q)), q)
    published = base[0]["blk.3.attn_k.weight"]
    assert torch.equal(blocks4.join(*blocks4.split(published)), published)


def test_the_heads_gradients_are_those_of_autograd(base):
    net = network(base, 0)
    hidden = torch.randn(9, 576, requires_grad=True)
    target, weight = torch.randint(0, 49153, (9,)), torch.rand(9)
    target[0] = 49152
    loss, each = net.loss(hidden, target, weight)
    loss.backward()
    got = hidden.grad.clone(), net.pad_out.grad.clone()
    hidden.grad = net.pad_out.grad = None
    wanted = torch.nn.functional.cross_entropy(net.logits(hidden), target, reduction="none")
    (wanted * weight).sum().backward()
    assert torch.allclose(each, wanted, atol=1e-4)
    assert torch.allclose(got[0], hidden.grad, atol=1e-5) and torch.allclose(got[1], net.pad_out.grad, atol=1e-5)


@pytest.mark.parametrize("ends", [False, True])
def test_what_a_teacher_says_is_a_share_of_the_target(base, monkeypatch, ends):
    import network as of

    monkeypatch.setattr(of, "HEAD_ROWS", 4)
    net = network(base, 0)
    hidden, teacher = torch.randn(9, 576, requires_grad=True), torch.randn(9, 576)
    target, weight, taught = torch.randint(0, 49153, (9,)), torch.rand(9), torch.rand(9)
    target[0], taught[0] = 49152, 0
    loss, _ = net.loss(hidden, target, weight, teacher, taught, ends)
    loss.backward()
    got = hidden.grad.clone(), net.pad_out.grad.clone()
    hidden.grad = net.pad_out.grad = None
    with torch.no_grad():
        said = net.logits(teacher).softmax(-1) if ends else torch.cat(((teacher @ net.embedding.T).softmax(-1), torch.zeros(9, 1)), 1)
    wanted = (1 - taught[:, None]) * torch.nn.functional.one_hot(target, 49153) + taught[:, None] * said
    whole = (-(wanted * net.logits(hidden).log_softmax(-1)).sum(1) * weight).sum()
    whole.backward()
    assert torch.allclose(loss, whole, rtol=1e-5)
    assert torch.allclose(got[0], hidden.grad, atol=1e-5) and torch.allclose(got[1], net.pad_out.grad, atol=1e-5)


@torch.no_grad()
def test_a_teacher_is_the_base_to_the_left(base, batch):
    from reference import LAYERS, Model
    from step import hidden_rows, tensors

    net, model = network(base, 4), Model(base[0], {"special": torch.zeros(2, 576), "pad_out": torch.zeros(576)})
    said = net.logits(hidden_rows(net, tensors(batch), by_base=True)[0])
    for c, e in ((0, 0), (1, 1)):
        gap = batch.gap[c, e, 0]
        rows = [i for i in range(batch.ids.shape[2]) if batch.gap[c, e, i] == gap and batch.ids[c, e, i] >= 0 and gap >= 0]
        ids = torch.tensor([*batch.chunk[c][:batch.seen[c, e, rows[0]]], *batch.ids[c, e, rows]])
        n, none = len(ids), [(torch.zeros(3, 0, 64),) * 2] * LAYERS
        hidden, _ = model.forward(ids, torch.arange(n), torch.ones(n, n).tril().bool(), none, torch.arange(0), False)
        wanted = hidden[-len(rows):] @ model.embedding.T
        assert (said[c, e, rows, :49152].log_softmax(-1) - wanted.log_softmax(-1)).abs().max() < 2e-3


def test_open_rows_are_taught_by_the_row_that_says_the_same_token(batch):
    from step import inputs, teachers

    teacher, ahead, target, gap = teachers(batch), batch.ahead.ravel(), batch.target.ravel(), batch.gap.ravel()
    asked = (ahead > 0) & (ahead < 7) & (target >= 0)
    assert asked.sum() > 40
    assert (ahead[teacher[asked]] == 0).all() and (target[teacher[asked]] == target[asked]).all() and (gap[teacher[asked]] == gap[asked]).all()
    assert (teacher[ahead <= 0] == np.flatnonzero(ahead <= 0)).all()
    given = inputs(batch, 0.5, 0, teach_open=0.5)
    assert (given["teacher"] == teacher[given["says"]]).all() and (given["taught"] == 0.5 * asked[given["says"]]).all()


@torch.no_grad()
def test_own_words_are_what_the_row_before_says(base, batch):
    from step import hidden_rows, inputs, rewritten

    net = network(base, 4)
    b = {name: torch.as_tensor(x) for name, x in inputs(batch, 0.5, 0, own_words=0.4, rng=np.random.default_rng(1)).items()}
    ids, rows = rewritten(net, b, hidden_rows).ravel(), b["rewritten"]
    before = net.logits(hidden_rows(net, b)[0].flatten(0, 2))[..., :49152].argmax(-1)
    assert (ids[rows] == before[rows - 1]).all()
    ahead, target, held = batch.ahead.ravel(), batch.target.ravel(), batch.ids.ravel()
    others = np.setdiff1d(np.arange(len(held)), rows)
    assert (ids.numpy()[others] == held[others]).all()
    # Of the gaps' own tokens some four in ten, each behind the row that had it for a target.
    assert (ahead[rows - 1] == 0).all() and (held[rows] == target[rows - 1]).all()
    own = ((batch.ahead[..., :-1] == 0) & (batch.target[..., :-1] >= 0) & (batch.target[..., :-1] < 49152)).sum()
    assert 0.3 < len(rows) / own < 0.5


@pytest.mark.parametrize("options", [{"rank": 0}, {"rank": 4}, {"rank": 4, "gains": True}, {"rank": 0, "kept": [0, 1, 3]}])
def test_what_was_saved_is_taken_over(base, options, tmp_path):
    from safetensors.torch import load_file, save_file

    from train import load_trained, trained_tensors

    net, other = network(base, **options), network(base, **options)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.01)
    saved = trained_tensors(net, {n: p.detach() for n, p in net.named_parameters()})
    save_file(saved, tmp_path / "trained")
    load_trained(other, load_file(tmp_path / "trained"))
    again = trained_tensors(other, {n: p.detach() for n, p in other.named_parameters()})
    assert saved.keys() == again.keys() and all(torch.equal(saved[n], again[n]) for n in saved)
