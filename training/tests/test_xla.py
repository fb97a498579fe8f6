"""Steps under torch-xla say what plain PyTorch says. Needs LACUNA_BASE=BASE.gguf, torch-xla and the PyTorch it was built for (2.9.0, a venv
of their own); skips without. Of the network's layers `LACUNA_XLA_LAYERS` (4): XLA compiles a step first, which takes minutes for 30."""
import os

import pytest

os.environ.setdefault("PJRT_DEVICE", "CPU")
torch = pytest.importorskip("torch")
pytest.importorskip("torch_xla", reason="torch-xla is not installed (training/README.md)")
from test_network import TEXT, base, network  # noqa: E402, F401

STEPS = 50


def test_fifty_steps_have_the_losses_of_plain_pytorch(base, monkeypatch):  # noqa: F811
    import network as trained
    from batches import draw
    from objective import Mix, Objective, Shape
    from step import Step, adamw, inputs, set_rate
    from train import pick_device

    monkeypatch.setattr(trained, "LAYERS", int(os.environ.get("LACUNA_XLA_LAYERS", "4")))

    class Corpus:
        def draw(self, rng):
            return TEXT

    objective = Objective(base[1], Shape(chunk=128, ends=1, own=24, rows=96, cuts=3), Mix())
    given = [inputs(draw(objective, Corpus(), 1, 0, i), 0.5, 0, True) for i in range(STEPS)]
    losses = {}
    for name in ("xla", "cpu"):  # autograd counts devices at its first backward pass, so XLA's is opened before
        device = pick_device(name)
        net = network(base, 4).to(device)
        optimizer = adamw(net.parameters(), 1e-3, device, name == "xla")
        step = Step(net, optimizer, device)
        losses[name] = []
        for i, arrays in enumerate(given):
            set_rate(optimizer, 1e-3 * min(1, (i + 1) / 10))
            losses[name].append(float(step(step.ready(arrays))))
    apart = max(abs(a - b) for a, b in zip(losses["cpu"], losses["xla"]))
    print(f"{STEPS} steps, nats {losses['cpu'][0]:.4f} to {losses['cpu'][-1]:.4f}, largest difference {apart:.1e}")
    assert apart < 1e-3 and losses["cpu"][-1] < losses["cpu"][0]
