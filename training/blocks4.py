"""Blocks of 32 weights in 4 bits, as the base was published (GGUF's Q4_1): q · d + m with q 0 … 15, d and m float16.

Training rounds to them in every forward pass, so that the network that is shipped is the one that was trained. Rounding
twice is rounding once: `lacuna model convert` finds the very same blocks in the float32 values.
"""
import torch

SIZE, LEVELS = 32, 15


def split(w):
    """w [out, in] → (q uint8 [out, in], d, m float16 [out, in / 32])."""
    blocks = w.detach().float().unflatten(-1, (-1, SIZE))
    m = blocks.amin(-1).half()
    d = ((blocks.amax(-1) - m.float()) / LEVELS).half()
    # A block of equal weights has d = 0, and q may be anything.
    q = ((blocks - m.float()[..., None]) / d.float().clamp(min=1e-7)[..., None]).round().clamp(0, LEVELS)
    return q.to(torch.uint8).flatten(-2), d, m


def join(q, d, m):
    """float32 [out, in]."""
    return (q.unflatten(-1, (-1, SIZE)).float() * d.float()[..., None] + m.float()[..., None]).flatten(-2)


def rounded(w):
    """The nearest matrix of blocks, float32."""
    return join(*split(w))


def packed(q):
    """Two levels a byte: the even column in the lower half."""
    return q[..., 0::2] | q[..., 1::2] << 4


def unpacked(b):
    return torch.stack((b & 15, b >> 4), -1).flatten(-2)


def read(held, name):
    """The matrix whose levels, scales and minimums a file of tensors holds as NAME.q, NAME.d, NAME.m."""
    return join(unpacked(held[f"{name}.q"]), held[f"{name}.d"], held[f"{name}.m"])


def compile():
    """As one generated kernel for each size of matrix."""
    global rounded
    # Scales are float16 here too: unless told so, a generated kernel keeps what lies between in float32.
    rounded = torch.compile(rounded, dynamic=False, options={"emulate_precision_casts": True})


class Rounded(torch.autograd.Function):
    """The rounded matrix in `dtype`; gradients pass as if nothing had been rounded (straight-through)."""

    @staticmethod
    def forward(ctx, w, dtype):
        return rounded(w).to(dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.float(), None
