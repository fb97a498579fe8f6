"""The recorded numbers that drive the reference samplers, from a counter instead of a file (`counterLogits.ts`).

Logits are multiples of 2^-14 below 2^4, uniforms multiples of 2^-24 below 1: exact in float32, the same everywhere.
"""
import numpy as np

VOCAB = 48
MASK = VOCAB  # no column of the head, except where a case says so
PURPOSES = {"transfer": 1, "token": 2, "order": 3}


def mix(word):
    """MurmurHash3's finalizer on 32 bits; numbers or arrays."""
    word = np.asarray(word).astype(np.uint64) & 0xFFFFFFFF
    word = ((word ^ (word >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    word = ((word ^ (word >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return word ^ (word >> 16)


def chained(word, value):
    return mix(word ^ mix(np.asarray(value).astype(np.int64) + 0x9E3779B9))


def logits(seed, row, positions, width=VOCAB):
    """float32 [positions, width]: what the model says of each position, from all ids of the row."""
    state = chained(0, seed)
    for token in row:
        state = chained(state, token)
    states = chained(state, np.asarray(positions))[:, None]
    spread = 1 + (mix(states ^ 1) >> 30).astype(np.int64)  # 1 to 4: from flat rows to steep ones
    ids = np.arange(width)[None, :]
    units = ((chained(states, ids) >> 16).astype(np.int64) - 2**15) * spread
    favoured = ids == (mix(states ^ 2) % width).astype(np.int64)
    units = units + np.where(favoured, (mix(states ^ 3) >> 16).astype(np.int64), 0)
    return (units / 2**14).astype(np.float32)


def uniform(seed, stream, step, purpose, index):
    """In [0, 1): that of `server/denoise/sampling/uniforms.ts`."""
    word = chained(chained(0, seed), stream)
    for value in (step, PURPOSES[purpose], index):
        word = chained(word, value)
    return int(word >> 8) / 2**24
