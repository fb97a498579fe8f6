"""What a step of training takes: random weights of the default model's sizes, random tokens.

    python training/speed.py [--device cuda] [--batch 8 16 32] [--rank 0] [--compile] [--record] [--seconds 6]
"""
import argparse
import os
import sys
import time

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from batches import synthetic  # noqa: E402
from bundle import base_shapes  # noqa: E402
from network import Network  # noqa: E402
from objective import Shape  # noqa: E402
from step import WARM_STEPS, Step, adamw, inputs  # noqa: E402
from train import pick_device  # noqa: E402

def random_weights():
    torch.manual_seed(0)
    return {name: torch.ones(size) if len(size) == 1 else torch.randn(size) * size[1] ** -0.5 / 3 for name, size in base_shapes().items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda", "xla"))
    p.add_argument("--batch", type=int, nargs="+", default=[1])
    p.add_argument("--rank", type=int, default=0)
    p.add_argument("--compile", action="store_true")
    p.add_argument("--record", action="store_true", help="as train.py's")
    p.add_argument("--seconds", type=float, default=6, help="measured for each size, after the first steps")
    for name in ("chunk", "own", "ends", "rows"):
        p.add_argument("--" + name, type=int, default=getattr(Shape(), name))
    o = p.parse_args()
    device = pick_device(o.device)
    net = Network(random_weights(), o.rank).to(device)
    if o.compile:
        net.compile()
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    for count in o.batch:
        batch = synthetic(Shape(chunk=o.chunk, own=o.own, ends=o.ends, rows=o.rows), count)
        step, begun, steps = Step(net, adamw(net.parameters(), 1e-5, device, o.record), device, o.record), time.time(), 0
        given = step.ready(inputs(batch, 0.5, 0 if o.rank else 0.3, o.record))
        for _ in range(WARM_STEPS + 1):
            step(given)
        wait()
        first, begun = time.time() - begun, time.time()
        while time.time() - begun < o.seconds or not steps:
            nats = step(given)
            steps += 1
            if steps % 8 == 0:
                wait()
        wait()
        each = (time.time() - begun) / steps
        memory = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device.type == "cuda" else ""
        print(f"batch {count}{' compiled' if o.compile else ''}{' recorded' if o.record else ''}, rank {o.rank}: {each * 1e3:.1f} ms a step, {each / count * 1e3:.2f} ms a chunk, "
              f"first {WARM_STEPS + 1} {first:.1f} s{memory}, nats {float(nats):.3f}", flush=True)


if __name__ == "__main__":
    main()
