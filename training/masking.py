"""The seed's progressive masking (CoDA, arXiv 2510.03270, section 3; `facts` of its code): which tokens of a sequence become
MASK, and which stages of training mask how.

  S1  with probability p1 a prefix of random length cannot be masked
  S2  with probability p2, and not S1, a suffix of random length becomes PAD, which is never masked
  S3  with probability p3 masks fall in windows of k tokens, one k for the whole batch

Each sequence has a share sigma of masks; in S3 a window is chosen with 1 - (1 - sigma)^(1/k), so that a token which k
windows cover is masked with sigma again (tokens near the edges, less often). Pure; numpy.
"""
from dataclasses import dataclass

import numpy as np

EPSILON = 1e-3  # of sigma: no sequence goes without masks for sure


@dataclass(frozen=True)
class Stage:
    """Probabilities of S1, S2 and S3, and the window sizes of S3."""
    prefix: float
    suffix: float
    block: float
    sizes: tuple = (2, 4, 8)


PRE_TRAINING = Stage(0.01, 0.01, 0.01)
MID_TRAINING = tuple(Stage(a, b, c) for a, b, c in ((0.01, 0.01, 0.05), (0.05, 0.05, 0.10), (0.10, 0.10, 0.15), (0.15, 0.15, 0.20), (0.20, 0.20, 0.25)))
STAGES = ("none", "pre", "mid")


def stage_at(name, done):
    """The stage of a training of which `done` (0 … 1) is over: `mid` goes through its five epochs."""
    if name == "none":
        return Stage(0.0, 0.0, 0.0)
    if name == "pre":
        return PRE_TRAINING
    if name == "mid":
        return MID_TRAINING[min(len(MID_TRAINING) - 1, int(done * len(MID_TRAINING)))]
    raise ValueError(f"a stage of masking is one of {', '.join(STAGES)}, found {name!r}")


def answer_ramp(done_first_epoch, prompt_tokens):
    """Fine-tuning: how many tokens of the prompt are conditioned on, growing over the first epoch from none."""
    return int(round(min(1.0, max(0.0, done_first_epoch)) * prompt_tokens))


def draw_batch(stage, rng):
    """The window size for a batch, or None where it is not masked in windows."""
    return int(rng.choice(stage.sizes)) if rng.random() < stage.block else None


def mask_sequence(length, stage, window, rng):
    """(masked [length] bool, first PAD: positions from there on are PAD, the probability sigma that was drawn)."""
    sigma = EPSILON + (1 - EPSILON) * rng.random()
    maskable, cut = np.ones(length, bool), length
    if length > 1 and rng.random() < stage.prefix:
        maskable[: int(rng.integers(1, length))] = False
    elif length > 1 and rng.random() < stage.suffix:
        cut = int(rng.integers(1, length))
        maskable[cut:] = False
    if window is None:
        return maskable & (rng.random(length) < sigma), cut, sigma
    return in_windows(maskable, sigma, window, rng), cut, sigma


def in_windows(maskable, sigma, window, rng):
    """Masks of all chosen windows among those that are wholly maskable. A sequence shorter than a window has none."""
    masked, chosen = np.zeros(len(maskable), bool), 1 - (1 - sigma) ** (1 / window)
    for start in range(len(maskable) - window + 1):
        if maskable[start : start + window].all() and rng.random() < chosen:
            masked[start : start + window] = True
    return masked
