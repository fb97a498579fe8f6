"""Within one request: keys and values around the gap are kept from one step to the next ones, with a whole pass every
`every` steps. The rules are those of `WholeSurroundings` in the server: the last prefix token is always computed.
"""
import math

import torch

from corpus import MASK_ID
from passes import Drift, Scores, commit, compare, denoise, guesses, run

KEEPS = ("prefix", "both", "both but 4", "both but 16")  # but the n rows nearest to the gap on either side
EVERIES, AGES = (2, 4, 8, math.inf), (1, 2, 4, 8)


def name(every):
    return "never" if every == math.inf else every


def kept_rows(keep, gap, size):
    near = int(keep.removeprefix("both but ")) if keep.startswith("both but ") else 0
    prefix, suffix = torch.arange(gap.start - max(1, near)), torch.arange(gap.stop + near, size)
    return prefix if keep == "prefix" else torch.cat((prefix, suffix))


def stepper(network, gap, keep, every):
    """A step function for `denoise`; every = 1 keeps nothing."""
    kept = None

    def step(canvas, number):
        nonlocal kept
        if number % every == 0:
            rows, trace = run(network, canvas)
            kept = trace.rows(kept_rows(keep, gap, canvas.shape[1]))
        else:
            rows, _ = run(network, canvas, kept, kept_rows(keep, gap, canvas.shape[1]))
        return guesses(network, rows[:, gap])

    return step


def whole_trajectory(network, canvas, gap):
    """One slot a step, everything computed anew. → ([(log-probabilities, trace, canvas before, written)], middles)"""
    steps = []
    for _ in range(gap.stop - gap.start):
        rows, trace = run(network, canvas)
        logprobs = guesses(network, rows[:, gap])
        after, written = commit(canvas, gap, logprobs, 2.0)
        steps.append((logprobs, trace, canvas, written))
        canvas = after
    return steps, canvas[:, gap]


def measure(network, batches, scores: Scores, drift: Drift):
    """batches of (canvas [B,N] with masks in the gap, gap as a slice, true middles [B,M]). Predictions are compared on
    the canvases that the reference goes through; texts are those that each policy writes by itself."""
    for canvas, gap, truth in batches:
        steps, middles = whole_trajectory(network, canvas, gap)
        right = (middles == truth).float().mean(1)
        scores.add(("nothing kept",), tokensRight=right, exact=(middles == truth).all(1))
        around = kept_rows("both", gap, canvas.shape[1])
        distances = torch.where(around < gap.start, gap.start - around, around - gap.stop + 1)
        for age in AGES:
            for number in range(age, len(steps), age):
                drift.add(f"age {age}", steps[number][1].rows(around), steps[number - age][1].rows(around), distances)
        for keep in KEEPS:
            rows_kept, memory = kept_rows(keep, gap, canvas.shape[1]), {}

            def stale(number, since):
                if (number, since) not in memory:
                    kept = steps[since][1].rows(rows_kept)
                    rows, _ = run(network, steps[number][2], kept, rows_kept)
                    memory[number, since] = guesses(network, rows[:, gap])
                return memory[number, since]

            for age in AGES:
                parts = [
                    compare(steps[number][0], stale(number, number - age), steps[number][2][:, gap] == MASK_ID)
                    for number in range(age, len(steps), age)
                ]
                if parts:
                    same, kl, hits, sure = (torch.stack(part).float() for part in zip(*parts))
                    scores.add(
                        (keep, "age", age), agreement=same.mean(0), kl=kl.mean(0), sureHits=hits.sum(0),
                        sure=sure.sum(0),
                    )
            for every in EVERIES:
                parts, strayed = [], torch.zeros(len(canvas), dtype=torch.bool)
                for number, (fresh, _, before, written) in enumerate(steps):
                    since = 0 if every == math.inf else number - number % every
                    logprobs = fresh if since == number else stale(number, since)
                    parts.append(compare(fresh, logprobs, before[:, gap] == MASK_ID))
                    after, also = commit(before, gap, logprobs, 2.0)
                    strayed |= (also != written).any(1)
                    strayed |= ((after[:, gap] != middles) & also).any(1)
                same, kl, hits, sure = (torch.stack(part).float() for part in zip(*parts))
                # Where every commit is the reference's, so is the text.
                texts = middles.clone()
                if strayed.any():
                    texts[strayed], _ = denoise(canvas[strayed], gap, stepper(network, gap, keep, every))
                scores.add(
                    (keep, name(every)), agreement=same.mean(0), kl=kl.mean(0), sureHits=hits.sum(0), sure=sure.sum(0),
                    sameText=(texts == middles).all(1), sameTokens=(texts == middles).float().mean(1),
                    tokensRight=(texts == truth).float().mean(1), exact=(texts == truth).all(1),
                )


def measure_threshold(network, batches, scores: Scores, threshold):
    """All slots that reach the threshold are committed at once: fewer steps, more change between two of them."""
    for canvas, gap, truth in batches:
        policies = [("nothing kept", 1)] + [(keep, every) for keep in KEEPS[:3] for every in (2, 4, math.inf)]
        reference = None
        for keep, every in policies:
            step = stepper(network, gap, "both" if keep == "nothing kept" else keep, every)
            texts, steps = denoise(canvas, gap, step, threshold)
            reference = texts if reference is None else reference
            same, right = texts == reference, texts == truth
            scores.add(
                (keep, name(every)), sameText=same.all(1), sameTokens=same.float().mean(1),
                tokensRight=right.float().mean(1), exact=right.all(1), steps=steps,
            )
