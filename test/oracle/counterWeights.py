"""Weights from a counter: value i of a tensor is a pure function of (seed, tensor name, i), the same float32 bits here and
in counterWeights.ts. So reference numbers need no committed weights, and a tensor can be made from any place on.

A 32-bit word is mix(mix(counter) + key) with MurmurHash3's finalizer as mix and key = mix(fnv1a(name) ^ mix(seed)). Four
16-bit halves of two words add up to a near-normal number (Irwin-Hall). Only integer operations, one square root, products
and sums in float64 and one rounding to float32 are used: IEEE 754 fixes all of them.
"""
import math

import numpy as np

SPREAD = math.sqrt((65536**2 - 1) / 3)  # standard deviation of the sum of four halves
MEAN = 4 * 65535 / 2


def mix(words):
    """[n] uint32 -> [n] uint32, one to one."""
    words = np.asarray(words, dtype=np.uint32)
    words = (words ^ (words >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    words = (words ^ (words >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return words ^ (words >> np.uint32(16))


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode("utf-8"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def words(seed, name, first, count):
    """Words `first` to `first + count` of a stream, uint32."""
    key = mix([fnv1a(name) ^ int(mix([seed])[0])])[0]
    return mix(mix(np.arange(first, first + count, dtype=np.uint32)) + key)


def floats(seed, name, count, mean, deviation):
    """[count] float32, near-normal."""
    halves = words(seed, name, 0, 2 * count)
    sums = ((halves & np.uint32(0xFFFF)) + (halves >> np.uint32(16))).astype(np.float64).reshape(count, 2).sum(-1)
    return (mean + (sums - MEAN) * (deviation / SPREAD)).astype(np.float32)


def token_ids(seed, name, count, limit):
    """[count] ids below `limit`."""
    return (words(seed, name, 0, count) % np.uint32(limit)).astype(np.int64)


def chosen_ids(seed, name, count, limit):
    """`count` different ids below `limit`, ascending: those with the smallest words."""
    order = np.argsort(words(seed, name, 0, limit), kind="stable")
    return np.sort(order[:count]).astype(np.int64)


def weight_scale(name, dims):
    """(mean, deviation) of a weight, from its name and dims: what keeps a random network's activations and logits in range."""
    if len(dims) == 1:
        return (0.0, 0.5) if name.endswith(".bias") else (1.0, 0.25)
    gain = 3.0 if any(part in name for part in ("embed_tokens", "lm_head", "wte", "transformer.ff_out")) else 1.2
    return 0.0, gain / math.sqrt(dims[-1])


def weight(seed, name, dims):
    """The tensor `name`, float32 of shape `dims`."""
    mean, deviation = weight_scale(name, dims)
    return floats(seed, name, math.prod(dims), mean, deviation).reshape(dims)


def checksum(values):
    """Of float32 bits: sum of bits[i] * (2i + 1), modulo 2^32."""
    bits = np.ascontiguousarray(values, dtype=np.float32).reshape(-1).view(np.uint32)
    odd = np.arange(len(bits), dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return int((bits * odd).sum(dtype=np.uint32))


# The same figures stand in counterWeights.test.ts.
PINNED = {
    "words": [17012245, 2112318053, 725876761, 2319195348],
    "floats": [0.8252719044685364, -0.23114801943302155, -0.101117342710495, -0.06648214161396027],
    "checksum": 241446440,
}


def check_pinned():
    """Raises AssertionError where this Python or NumPy computes something else than counterWeights.ts."""
    found = {
        "words": [int(w) for w in words(7, "model.norm.weight", 5, 4)],
        "floats": [float(v) for v in floats(7, "model.embed_tokens.weight", 4, 0.0, 0.5)],
        "checksum": checksum(weight(7, "model.layers.1.self_attn.q_proj.weight", (96, 64))),
    }
    assert found == PINNED, f"counterWeights.py: wanted {PINNED}, found {found}"
