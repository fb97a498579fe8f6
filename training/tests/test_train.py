"""A training that is stopped and resumed is the one that was not. Needs torch and LACUNA_BASE=BASE.gguf; skips without. Two minutes."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
HERE = Path(__file__).resolve().parent.parent
BASE = os.environ.get("LACUNA_BASE")
pytestmark = pytest.mark.skipif(not BASE, reason="LACUNA_BASE names no GGUF file of the base (training/README.md)")
SMALL = "--chunk 128 --ends 1 --rows 48 --own 24 --valid-steps 1 --threads 1".split()


def train(corpus, out, *arguments):
    subprocess.run([sys.executable, HERE / "train.py", BASE, corpus, out, *SMALL, *arguments], check=True, capture_output=True)


@pytest.fixture
def corpus(tmp_path):
    text = "".join(f"def part{i}(values):\n    total = sum(values) + {i}\n    return total * {i}\n\n\n" for i in range(60))
    for name in ("train", "valid"):
        line = json.dumps({"language": "python", "package": "one", "path": "a.py", "text": text})
        (tmp_path / f"{name}.jsonl").write_text(line + "\n")
    return tmp_path


@pytest.mark.parametrize("options", [["--rank", "4", "--workers", "2"], ["--rank", "0", "--batch", "2"], ["--rank", "0", "--teach-open", "1", "--own-words", "0.4"]])
def test_resumed_is_the_same(corpus, tmp_path, options):
    train(corpus, tmp_path / "whole", *options, "--steps", "4")
    train(corpus, tmp_path / "parts", *options, "--steps", "4", "--stop-at", "2")
    train(corpus, tmp_path / "parts", *options, "--steps", "4", "--resume")
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=False) for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 4 and whole["targets"] == parts["targets"]
    for kind in ("net", "mean"):
        assert all(torch.equal(value, parts[kind][name]) for name, value in whole[kind].items())
    trained = "adapter.safetensors" if "4" in options else "weights.safetensors"
    assert (tmp_path / "whole" / trained).read_bytes() == (tmp_path / "parts" / trained).read_bytes()
