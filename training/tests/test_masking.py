"""Against probabilities found by going through all outcomes."""
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from masking import MID_TRAINING, PRE_TRAINING, Stage, answer_ramp, draw_batch, in_windows, mask_sequence, stage_at  # noqa: E402


def windows_by_brute_force(maskable, sigma, k):
    """Probability that each token is masked: all subsets of the allowed windows, with their probabilities."""
    n = len(maskable)
    allowed = [s for s in range(n - k + 1) if all(maskable[s : s + k])]
    p, out = 1 - (1 - sigma) ** (1 / k), np.zeros(n)
    for choice in itertools.product((False, True), repeat=len(allowed)):
        weight, covered = 1.0, np.zeros(n, bool)
        for start, taken in zip(allowed, choice):
            weight *= p if taken else 1 - p
            if taken:
                covered[start : start + k] = True
        out += weight * covered
    return out


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("maskable", [[1] * 9, [0, 0, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0, 0, 0]])
def test_windows_mask_as_often_as_all_outcomes_say(maskable, k):
    rng, sigma, n = np.random.default_rng(0), 0.4, 40_000
    maskable = np.array(maskable, bool)
    found = np.mean([in_windows(maskable, sigma, k, rng) for _ in range(n)], 0)
    wanted = windows_by_brute_force(maskable, sigma, k)
    assert np.abs(found - wanted).max() < 4 * np.sqrt(0.25 / n)
    assert not found[~maskable].any()


def test_a_token_that_k_windows_cover_is_masked_with_sigma():
    assert windows_by_brute_force([True] * 9, 0.4, 4)[4] == pytest.approx(0.4)
    assert windows_by_brute_force([True] * 9, 0.4, 4)[0] < 0.4


def masked_by_brute_force(length, stage):
    """Probability that each token is masked without windows, over all prefix and suffix lengths; sigma has mean about 1/2."""
    mean, out = 1e-3 + (1 - 1e-3) / 2, np.zeros(length)
    free = (1 - stage.prefix) * (1 - stage.suffix)
    for at in range(length):
        out[at] = free * mean
        for cut in range(1, length):
            out[at] += stage.prefix / (length - 1) * mean * (at >= cut)
            out[at] += (1 - stage.prefix) * stage.suffix / (length - 1) * mean * (at < cut)
    return out


@pytest.mark.parametrize("stage", [Stage(0, 0, 0), Stage(1, 0, 0), Stage(0, 1, 0), Stage(0.3, 0.4, 0)])
def test_prefixes_and_suffixes_are_spared_as_often_as_all_lengths_say(stage):
    rng, n = np.random.default_rng(1), 40_000
    found = np.mean([mask_sequence(6, stage, None, rng)[0] for _ in range(n)], 0)
    assert np.abs(found - masked_by_brute_force(6, stage)).max() < 4 * np.sqrt(0.25 / n)


def test_a_suffix_that_became_pad_is_never_masked():
    rng = np.random.default_rng(2)
    cuts = [mask_sequence(8, Stage(0, 1, 1), 2, rng) for _ in range(500)]
    assert all(not masked[cut:].any() for masked, cut, _ in cuts)
    assert {cut for _, cut, _ in cuts} == set(range(1, 8))


def test_one_window_size_for_a_batch_as_often_as_the_stage_says():
    rng = np.random.default_rng(3)
    drawn = [draw_batch(Stage(0, 0, 0.25), rng) for _ in range(8000)]
    assert abs(np.mean([k is not None for k in drawn]) - 0.25) < 0.02
    assert {k for k in drawn if k} == {2, 4, 8}


def test_stages_follow_the_published_schedule():
    assert stage_at("pre", 0.9) == PRE_TRAINING
    assert [stage_at("mid", d) for d in (0, 0.2, 0.4, 0.6, 0.8, 1)] == [*MID_TRAINING, MID_TRAINING[-1]]
    assert stage_at("none", 0.5) == Stage(0, 0, 0)
    assert [answer_ramp(d, 40) for d in (0, 0.5, 1, 2)] == [0, 20, 40, 40]
    with pytest.raises(ValueError, match="none, pre, mid"):
        stage_at("late", 0)
