"""Python source of permissively licensed packages that happen to be installed, as token streams. Nothing of it is kept
in the repository; the folder that training writes names what was read.
"""
import hashlib
import sysconfig
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from network import VOCAB

END, MASK = "<|end|>", "<|mask|>"
END_ID, MASK_ID = 0, 1

LICENCES = {
    "stdlib": "PSF-2.0", "IPython": "BSD-3-Clause", "_pytest": "MIT", "attr": "MIT", "boto3": "Apache-2.0",
    "botocore": "Apache-2.0", "cfnlint": "MIT-0", "cryptography": "Apache-2.0 OR BSD-3-Clause",
    "dateutil": "Apache-2.0", "docker": "Apache-2.0", "flask": "BSD-3-Clause", "fsspec": "BSD-3-Clause",
    "graphql": "MIT", "huggingface_hub": "Apache-2.0", "jedi": "MIT", "jsonschema": "MIT", "libcst": "MIT",
    "moto": "Apache-2.0", "mpmath": "BSD-3-Clause", "networkx": "BSD-3-Clause",
    "numpy": "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", "onnx": "Apache-2.0", "parso": "MIT",
    "prompt_toolkit": "BSD-3-Clause", "pydantic": "MIT", "pyparsing": "MIT", "requests": "Apache-2.0",
    "s3transfer": "Apache-2.0", "samtranslator": "Apache-2.0", "scipy": "BSD-3-Clause", "setuptools": "MIT",
    "sympy": "BSD-3-Clause", "torch": "BSD-3-Clause AND Apache-2.0 AND BSD-2-Clause AND BSL-1.0 AND MIT",
    "traitlets": "BSD-3-Clause", "yaml": "MIT",
}
# Whole packages, so that no held-out file has a sibling in training.
HELD_OUT = {
    "click": "BSD-3-Clause", "jinja2": "BSD-3-Clause", "trio": "MIT OR Apache-2.0", "urllib3": "MIT",
    "werkzeug": "BSD-3-Clause", "packaging": "Apache-2.0 OR BSD-2-Clause",
}
SKIPPED = ("test", "vendor", "site-packages", "idlelib", "lib2to3", "encodings", "pydoc_data", "unicode", "/data/")
MOST_BYTES = 100_000  # of one file: larger ones are tables
SHARE = 12_000_000  # bytes of one package at most


def files(packages):
    """→ {package: [text]}, in a fixed order, without repeats, tests and vendored copies"""
    paths, seen, found = sysconfig.get_paths(), set(), {}
    for package in packages:
        root = Path(paths["stdlib"] if package == "stdlib" else paths["purelib"] + "/" + package)
        texts = []
        order = lambda path: hashlib.sha1(str(path.relative_to(root)).encode()).digest()
        for path in sorted(root.rglob("*.py"), key=order):
            inside = "/" + path.relative_to(root).as_posix()
            if any(part in inside for part in SKIPPED) or not 200 <= path.stat().st_size <= MOST_BYTES:
                continue
            text = path.read_text("utf-8", errors="replace").replace("\r\n", "\n")
            digest = hashlib.sha1(text.encode()).digest()
            if digest in seen or "�" in text:
                continue
            seen.add(digest)
            texts.append(text)
            if sum(map(len, texts)) > SHARE:
                break
        found[package] = texts
    return found


def train_tokenizer(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[END, MASK], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def stream(tokenizer, texts):
    """One uint16 array: the tokens of each file, then END."""
    parts = []
    for encoded in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
        parts += [np.array(encoded.ids, np.uint16), np.array([END_ID], np.uint16)]
    return np.concatenate(parts)
