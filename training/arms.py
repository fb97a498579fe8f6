"""Trains the arms of `ABLATION.md` at equal training, several at once on one GPU, and scores each on the same held-out gaps.

    python training/arms.py BASE.gguf CORPUS OUT [--device cuda] [--at-once 4] [--only ours,rival] [--until 540] [--on WEIGHTS]

OUT/ARM gets what `train.py` writes, score.jsonl and written.jsonl (`ablation.py`) and all they print (arm.log). Arms start in the order of
`ARMS`, which is how much they are wanted. An arm that has a score is not trained again. Steps, chunks a step and rates are the same
for all arms of a kind (`ADAPTER`, `WHOLE`, `TUNED`), and so are the gaps, but where the arm is about gaps.

Not here: what an arm does (`train.py --help`, `orders.py`), comparing (`ablation.py compare`).
"""
import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BOTH = "--two-holes 0 --valid-every 100 --valid-steps 16 --no-checkpoint --decay 0.5"
ADAPTER = "--rank 32 --steps 400 --batch 4 --lr 1e-3 --workers 3"
WHOLE = "--rank 0 --steps 600 --batch 8 --lr 5e-4 --context-weight 0 --workers 5"
TUNED = "--rank 32 --steps 100 --batch 1 --lr 5e-4"  # an adapter beside trained weights, --on
FAST = {TUNED: ["--record"], ADAPTER: ["--record"], WHOLE: ["--compile", "--record"]}  # on a GPU
# name: (kind, what is its own, of it what `ablation.py` is told too)
ARMS = {
    "whole-rival": (WHOLE, "", "--order suffix-first"),
    "whole-ours": (WHOLE, "", ""),
    "whole-adapted-suffix": (WHOLE, "", "--order adapted-suffix"),
    "rival": (ADAPTER, "", "--order suffix-first"),
    "ours": (ADAPTER, "", ""),
    "one-cut-both-ways": (ADAPTER, "--cuts 1", "--order both-ways"),
    "one-cut-ours": (ADAPTER, "--cuts 1", ""),
    "adapted-suffix": (ADAPTER, "", "--order adapted-suffix"),
    "distil": (ADAPTER, "--distil 0.5", ""),
    "rank-64": (ADAPTER, "--rank 64", ""),
    "rank-16": (ADAPTER, "--rank 16", ""),
    "gains": (ADAPTER, "--gains", ""),
    "lines-alone": (ADAPTER, "--block 0 --whole-lines 0 --span 0 --empty 0", ""),
    "whole-two-thirds": (WHOLE, "--drop 3", ""),
    "open-rows": (ADAPTER, "--open-weight 1 --most-groups 4", ""),
    "seed-masking": (ADAPTER, "--denoise 0.5", ""),
    "suffix-96": (ADAPTER, "", "--own 96"),
    "suffix-24": (ADAPTER, "", "--own 24"),
    "tuned-ours": (TUNED, "", ""),
    "tuned-taught": (TUNED, "--teach-open 1", ""),
    "tuned-own-words": (TUNED, "--own-words 0.3", ""),
}


def commands(name, o):
    """The arm's programs, one after the other; of a list of two the second where the first fails."""
    kind, own, shared = ARMS[name]
    out, device = os.path.join(o.out, name), ["--device", o.device, "--threads", str(1 if o.device == "cuda" else max(1, os.cpu_count() // o.at_once))]
    trained = os.path.join(out, "weights.safetensors" if kind is WHOLE else "adapter.safetensors")
    program = lambda script, *rest: [sys.executable, os.path.join(HERE, script), *rest, *device]
    on = ["--on", o.on] if kind is TUNED else []
    train = program("train.py", o.base, o.corpus, out, *BOTH.split(), *kind.split(), *own.split(), *shared.split(), *on) + o.more.split()
    yield [train + FAST[kind], train] if o.device == "cuda" else [train]
    judge = lambda what, into, *rest: program("ablation.py", what, o.base, o.corpus, trained, os.path.join(out, into), *rest)
    yield [judge("score", "score.jsonl", "--chunks", str(o.chunks), *shared.split(), *on)]
    if not shared and o.cases:
        yield [judge("write", "written.jsonl", "--cases", str(o.cases), *on)]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("base")
    p.add_argument("corpus")
    p.add_argument("out")
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    p.add_argument("--at-once", type=int, default=1)
    p.add_argument("--on", metavar="WEIGHTS", help="what the arms named tuned-… stand beside (unbundle.py); without it they are left out")
    p.add_argument("--only", help="names, with commas between them")
    p.add_argument("--until", type=float, default=1e9, help="seconds; no arm is begun after them, and those that run are waited for")
    p.add_argument("--chunks", type=int, default=150, help="held-out chunks of eight gaps that are scored")
    p.add_argument("--cases", type=int, default=48, help="gaps that are written to count passes; 0: none")
    p.add_argument("--more", default="", help="options of train.py for all arms")
    o = p.parse_args()
    there = [n for n, (kind, *_) in ARMS.items() if o.on or kind is not TUNED]
    wanted = o.only.split(",") if o.only else there
    if unknown := [n for n in wanted if n not in there]:
        p.error(f"no such arm: {', '.join(unknown)}; there are {', '.join(there)}{'' if o.on else ', and with --on those that stand beside trained weights'}")
    begun, running = time.time(), {}
    say = lambda text: print(f"{time.time() - begun:6.1f} s  {text}", flush=True)
    waiting = [n for n in wanted if not os.path.exists(os.path.join(o.out, n, "score.jsonl"))]
    while waiting or running:
        while waiting and len(running) < o.at_once and time.time() - begun < o.until:
            name = waiting.pop(0)
            os.makedirs(os.path.join(o.out, name), exist_ok=True)
            running[name] = (commands(name, o), [], None)
        if not running:
            break
        for name, (left, tries, program) in list(running.items()):
            if program and program.poll() is None:
                continue
            if not program or program.returncode == 0:
                tries = next(left, [])
            if not tries:
                say(f"{name} {'failed; see its arm.log' if program and program.returncode else 'is done'}")
                del running[name]
                continue
            command, *tries = tries
            say(f"{name}: {command[2] if command[2] in ('score', 'write') else 'train'}{' again' if program and program.returncode else ''}")
            with open(os.path.join(o.out, name, "arm.log"), "a") as log:
                program = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"})
            running[name] = (left, tries, program)
        time.sleep(0.2)
    if waiting:
        say(f"not begun, for want of time: {', '.join(waiting)}")


if __name__ == "__main__":
    main()
