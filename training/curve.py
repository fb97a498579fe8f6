"""Whether two trainings went the same way: the largest difference between their loss curves.

    python training/curve.py training/runs/recipe-cpu/log.jsonl work/run/log.jsonl

Both are `log.jsonl` of `train.py`. Losses are means over 25 steps, held-out figures those of the last validation. Ends with 1 where the
losses differ by more than WITHIN nats. Two runs in float32 differed by nothing; what one in bfloat16 differs by was not measured.
"""
import json
import sys

WITHIN = 0.1


def curve(path):
    """({step: loss}, nats a token of the last validation)"""
    with open(path) as lines:
        log = [json.loads(line) for line in lines]
    return {r["step"]: r["loss"] for r in log if "loss" in r}, [r["valid"]["nats"] for r in log if "valid" in r][-1]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    (a, held_a), (b, held_b) = map(curve, sys.argv[1:])
    both = sorted(a.keys() & b.keys())
    if not both:
        sys.exit(f"{sys.argv[1]} and {sys.argv[2]} have no step in common")
    step = max(both, key=lambda s: abs(a[s] - b[s]))
    print(f"{len(both)} points of the loss, to step {both[-1]}: the largest difference is {abs(a[step] - b[step]):.4f} nats, at step {step}; "
          f"held out at the end {held_a:.4f} and {held_b:.4f} nats a token")
    sys.exit(abs(a[step] - b[step]) > WITHIN)


if __name__ == "__main__":
    main()
