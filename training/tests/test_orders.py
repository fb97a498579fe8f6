"""Rows of every order against the reference, which reads what they stand for. Needs torch and LACUNA_BASE=BASE.gguf; skips without."""
import pytest

torch = pytest.importorskip("torch")
from test_network import TEXT, base, network, with_reference  # noqa: E402, F401


def made(base, shape, mix):  # noqa: F811
    """(a batch, the network that trains, the reference with the same weights)"""
    from batches import draw
    from objective import Objective

    class Corpus:
        def draw(self, rng):
            return TEXT

    return draw(Objective(base[1], shape, mix), Corpus(), 2, 0, 0), *with_reference(base, 4)


@torch.no_grad()
def test_rows_say_what_the_text_read_from_left_to_right_says(base):  # noqa: F811
    import orders
    from objective import Mix, Shape
    from reference import LAYERS
    from step import tensors

    batch, net, model = made(base, Shape(chunk=160, ends=2, own=24, rows=48), Mix(two_holes=0, no_suffix=0.3))
    batch = orders.without_open_rows(batch)
    said = net.logits(orders.ORDERS["suffix-first"](net, tensors(batch))[0]).log_softmax(-1)
    none = [(torch.zeros(3, 0, 64),) * 2] * LAYERS
    compared = 0
    for c, e in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for gap in sorted(set(batch.gap[c, e]) - {-1}):
            rows = [i for i in range(batch.ids.shape[2]) if batch.gap[c, e, i] == gap and batch.ids[c, e, i] >= 0]
            suffix = batch.own_ids[c, e][batch.own_piece[c, e] == 1]
            text = [orders.BEFORE_SUFFIX, *suffix, orders.BEFORE_PREFIX, *batch.chunk[c][:batch.seen[c, e, rows[0]]], *batch.ids[c, e, rows]]
            n = len(text)
            hidden, _ = model.forward(torch.tensor(text), torch.arange(n), torch.ones(n, n).tril().bool(), none, torch.arange(0), True)
            assert (said[c, e, rows] - model.log_probs(hidden[-len(rows):])).abs().max() < 2e-3
            compared += len(rows)
    assert compared > 60


@pytest.mark.parametrize("order, cuts, two, wanted", [("suffix-first", 8, 0.1, "--two-holes 0"), ("both-ways", 1, 0.1, "--two-holes 0"), ("both-ways", 2, 0, "--cuts 1")])
def test_gaps_that_cannot_be_read_are_refused(order, cuts, two, wanted):
    import orders
    assert wanted in orders.refused(order, cuts, two)
    assert orders.refused(order, 1, 0) is None and orders.refused("canvas", cuts, two) is None


@torch.no_grad()
def test_context_read_both_ways_is_the_reference_s(base):  # noqa: F811
    import orders
    from objective import Mix, Shape
    from reference import LAYERS
    from step import tensors

    batch, net, model = made(base, Shape(chunk=160, ends=2, own=24, rows=48, cuts=1), Mix(two_holes=0, no_suffix=0.3))
    said = net.logits(orders.ORDERS["both-ways"](net, tensors(batch))[0]).log_softmax(-1)
    none, compared = [(torch.zeros(3, 0, 64),) * 2] * LAYERS, 0
    for c, e in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rows = [i for i in range(batch.ids.shape[2]) if batch.gap[c, e, i] >= 0 and batch.ids[c, e, i] >= 0]
        prefix, own = batch.chunk[c][:batch.seen[c, e, rows[0]]], batch.own_piece[c, e] == 1
        p, s, n = len(prefix), int(own.sum()), len(rows)
        at = [*range(p), *(len(prefix) + batch.own_there[c, e][own]), *batch.positions[c, e, rows]]
        sees = torch.ones(p + s + n, p + s + n, dtype=torch.bool)
        sees[:, p + s:] = False
        sees[p + s:, p + s:] = torch.ones(n, n).tril().bool()
        ids = torch.tensor([*prefix, *batch.own_ids[c, e][own], *batch.ids[c, e, rows]])
        hidden, _ = model.forward(ids, torch.tensor(at), sees, none, torch.arange(0), True)
        assert (said[c, e, rows] - model.log_probs(hidden[-n:])).abs().max() < 2e-3
        compared += n
    assert compared > 30


@torch.no_grad()
def test_an_adapted_suffix_is_read_both_ways_and_ignores_the_prefix(base):  # noqa: F811
    import orders
    from objective import Mix, Shape
    from reference import DISTANCE, tree
    from step import tensors

    batch, net, model = made(base, Shape(chunk=160, ends=2, own=24, rows=48, cuts=1), Mix(two_holes=0))
    said = net.logits(orders.ORDERS["adapted-suffix"](net, tensors(batch))[0]).log_softmax(-1)
    rows = [i for i in range(batch.ids.shape[2]) if batch.gap[0, 0, i] >= 0 and batch.ids[0, 0, i] >= 0]
    p, own = int(batch.seen[0, 0, rows[0]]) + 1, batch.own_piece[0, 0] == 1
    s, none = int(own.sum()), [(torch.zeros(3, 0, 64),) * 2] * len(net.kept)
    _, suffix = model.forward(torch.tensor(batch.own_ids[0, 0][own]), torch.arange(s), torch.ones(s, s).bool(), none, torch.arange(0), True)
    past = [tuple(torch.cat(kv, 1) for kv in zip(a, b)) for a, b in zip(model.encode(torch.tensor(batch.chunk[0][:p])), suffix)]
    around = past, torch.cat((torch.arange(p), torch.arange(s) + p + DISTANCE))
    n = len(rows)
    wanted = tree(model, around, p, torch.tensor(batch.ids[0, 0, rows]), torch.arange(n), torch.ones(n, n).tril().bool())
    assert (said[0, 0, rows] - wanted).abs().max() < 2e-3


def test_what_another_order_made_is_not_bundled(base, tmp_path):  # noqa: F811
    from safetensors.torch import save_file

    import bundle
    from train import trained_tensors

    net = network(base, 4)
    saved = trained_tensors(net, {n: p.detach() for n, p in net.named_parameters()})
    save_file(saved, tmp_path / "canvas")
    assert bundle.check_trained(tmp_path / "canvas") == 4
    save_file(saved, tmp_path / "rival", {"unlike": "--order suffix-first"})
    with pytest.raises(bundle.BundleError, match="suffix-first"):
        bundle.check_trained(tmp_path / "rival")
