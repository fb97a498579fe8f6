"""Near-duplicates by MinHash over shingles of five tokens.

Contract: `NearDuplicates.add(name, signature)` tells the name of an earlier text that is nearly the same (estimated Jaccard
index of the shingle sets ≥ 0.7), or None, and remembers the text in that case only.
Deterministic: hashes do not depend on the process.
Source: Broder 1997, "On the resemblance and containment of documents"; banding as in Leskovec et al.,
"Mining of massive datasets", §3.4.
"""

import re
import zlib

import numpy as np

SHINGLE, PERMUTATIONS, BANDS = 5, 128, 16  # 16 bands of 8 rows: half of the pairs at (1/16)^(1/8) = 0.71 are looked at
THRESHOLD = 0.7
TOKEN = re.compile(r'\w+|[^\w\s]')
PRIME = np.uint64((1 << 31) - 1)  # Mersenne; products of two residues fit 64 bits


class NearDuplicates:
    """Signatures seen, in buckets of equal bands."""

    def __init__(self) -> None:
        self.buckets: dict[tuple[int, bytes], list[int]] = {}
        self.names: list[str] = []
        self.signatures: list[np.ndarray] = []

    def add(self, name: str, signature: np.ndarray) -> str | None:
        """Name of the earlier near-duplicate; None when the text is new, and is remembered now."""
        keys = [(band, rows.tobytes()) for band, rows in enumerate(signature.reshape(BANDS, -1))]
        candidates = sorted({index for key in keys for index in self.buckets.get(key, ())})
        for index in candidates:
            if np.mean(self.signatures[index] == signature) >= THRESHOLD:
                return self.names[index]
        for key in keys:
            self.buckets.setdefault(key, []).append(len(self.names))
        self.names.append(name)
        self.signatures.append(signature)
        return None


class Signatures:
    """MinHash signatures of texts; all instances agree."""

    def __init__(self) -> None:
        random = np.random.default_rng(20)
        self.multipliers = random.integers(1, int(PRIME), PERMUTATIONS, dtype=np.uint64)[:, None]
        self.offsets = random.integers(0, int(PRIME), PERMUTATIONS, dtype=np.uint64)[:, None]
        self.tokenHashes: dict[str, int] = {}

    def of(self, text: str) -> np.ndarray:
        """`[PERMUTATIONS]`, the smallest hash of the text's shingles under each permutation."""
        hashes = self.tokenHashes
        tokens = TOKEN.findall(text) or ['']
        for token in tokens:
            if token not in hashes:
                hashes[token] = zlib.crc32(token.encode())
        row = np.array([hashes[token] for token in tokens], dtype=np.uint64) % PRIME
        if len(row) < SHINGLE:
            row = np.concatenate([row, np.zeros(SHINGLE - len(row), np.uint64)])
        shingles = np.zeros(len(row) - SHINGLE + 1, np.uint64)
        for offset in range(SHINGLE):
            shingles = (shingles * np.uint64(1_000_003) + row[offset : offset + len(shingles)]) % PRIME
        shingles = np.unique(shingles)
        least = np.full(PERMUTATIONS, PRIME, np.uint64)
        for start in range(0, len(shingles), 512):  # keeps the [128, n] tables in the processor's cache
            part = self.multipliers * shingles[start : start + 512] + self.offsets
            high = part >> np.uint64(31)
            part &= PRIME
            part += high  # the remainder by 2^31 − 1, or that plus 2^31 − 1; four times as fast as `%`
            np.minimum(part, np.subtract(part, PRIME, out=high), out=part)  # a negative difference wraps and is never the smaller
            least = np.minimum(least, part.min(axis=1))
        return least.astype(np.uint32)
