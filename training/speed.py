"""What a step of training takes: random weights of the default model's sizes, random tokens.

    python training/speed.py [--device cuda] [--batch 8 16 32] [--rank 0] [--compile] [--seconds 6]
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
from train import losses, pick_device  # noqa: E402

def random_weights():
    torch.manual_seed(0)
    return {name: torch.ones(size) if len(size) == 1 else torch.randn(size) * size[1] ** -0.5 / 3 for name, size in base_shapes().items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda", "xla"))
    p.add_argument("--batch", type=int, nargs="+", default=[1])
    p.add_argument("--rank", type=int, default=0)
    p.add_argument("--compile", action="store_true")
    p.add_argument("--seconds", type=float, default=6, help="measured for each size, after the first steps")
    for name in ("chunk", "own", "ends", "rows"):
        p.add_argument("--" + name, type=int, default=getattr(Shape(), name))
    o = p.parse_args()
    device = pick_device(o.device)
    net = Network(random_weights(), o.rank).to(device)
    if o.compile:
        net.compile()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def step(batch):
        loss, _, _ = losses(net, batch, device, 0.5, 0.3)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    for count in o.batch:
        batch = synthetic(Shape(chunk=o.chunk, own=o.own, ends=o.ends, rows=o.rows), count)
        begun = time.time()
        step(batch), step(batch)
        wait()
        first, begun, steps = time.time() - begun, time.time(), 0
        while time.time() - begun < o.seconds or not steps:
            loss = step(batch)
            wait()
            steps += 1
        each = (time.time() - begun) / steps
        memory = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device.type == "cuda" else ""
        print(f"batch {count}{' compiled' if o.compile else ''}, rank {o.rank}: {each * 1e3:.1f} ms a step, {each / count * 1e3:.2f} ms a chunk, "
              f"first two {first:.1f} s{memory}, loss {float(loss):.3f}", flush=True)


if __name__ == "__main__":
    main()
