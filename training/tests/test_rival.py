"""The rival's rows against the reference, read as the plain text they stand for. Needs torch and LACUNA_BASE=BASE.gguf; skips without."""
import pytest

torch = pytest.importorskip("torch")
from test_network import TEXT, base, network  # noqa: E402, F401


@torch.no_grad()
def test_rows_say_what_the_text_read_from_left_to_right_says(base):  # noqa: F811
    import rival
    from batches import draw
    from objective import Mix, Objective, Shape
    from reference import LAYERS, Model
    from step import READ
    from train import trained_tensors

    class Corpus:
        def draw(self, rng):
            return TEXT

    objective = Objective(base[1], Shape(chunk=160, ends=2, own=24, rows=48), Mix(two_holes=0, no_suffix=0.3))
    batch = rival.without_open_rows(draw(objective, Corpus(), 2, 0, 0))
    net = network(base, 4)
    for p in (*net.A.values(), *net.B.values(), net.special, net.pad_out):  # as the files hold them
        p.copy_(p.half().float())
    model = Model(base[0], {k: v.float() for k, v in trained_tensors(net, dict(net.named_parameters())).items()})
    said = net.logits(rival.hidden_rows(net, {name: torch.as_tensor(getattr(batch, name)) for name in READ})[0]).log_softmax(-1)
    none = [(torch.zeros(3, 0, 64),) * 2] * LAYERS
    compared = 0
    for c, e in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for gap in sorted(set(batch.gap[c, e]) - {-1}):
            rows = [i for i in range(batch.ids.shape[2]) if batch.gap[c, e, i] == gap and batch.ids[c, e, i] >= 0]
            suffix = batch.own_ids[c, e][batch.own_piece[c, e] == 1]
            text = [rival.BEFORE_SUFFIX, *suffix, rival.BEFORE_PREFIX, *batch.chunk[c][:batch.seen[c, e, rows[0]]], *batch.ids[c, e, rows]]
            n = len(text)
            hidden, _ = model.forward(torch.tensor(text), torch.arange(n), torch.ones(n, n).tril().bool(), none, torch.arange(0), True)
            assert (said[c, e, rows] - model.log_probs(hidden[-len(rows):])).abs().max() < 2e-3
            compared += len(rows)
    assert compared > 60


def test_two_holes_are_refused(base):  # noqa: F811
    import rival
    from batches import draw
    from objective import Mix, Objective, Shape

    class Corpus:
        def draw(self, rng):
            return TEXT

    objective = Objective(base[1], Shape(chunk=160, ends=2, own=24, rows=48), Mix(two_holes=1))
    with pytest.raises(ValueError, match="two holes"):
        rival.without_open_rows(draw(objective, Corpus(), 1, 0, 0))
