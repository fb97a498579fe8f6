"""How fast the passes are on the device JAX finds: the code of the server between reading a request and writing its answer, without
HTTP. Needs jax, numpy and safetensors, not KServe.

    python serving/bench.py --random --check                                        # random weights of the default model's sizes
    python serving/bench.py --bundle models/lacuna-135m --dtype float32,tf32,bfloat16 --out bench.json

A step is the product's usual one: 576 rows kept before (512 of the prefix, 64 of the suffix), 9 rows of a canvas, 5 of them asked. An
encode is 512 rows of text, kept. Each line is printed when it is measured; what would not fit into --seconds is skipped and named.

    float32   multiplied as the server does by default, in full precision
    tf32      float32, multiplied as the device likes best (on an NVIDIA GPU: 10 bits of mantissa)
    bfloat16  weights, kept rows and activations; softmax, norms and log-probabilities in float32"""
import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import statistics
import sys
import time

BEGAN = time.perf_counter()
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import jax
import jax.numpy as jnp
import numpy as np

from lacuna_serving.bundle import Shape
from lacuna_serving.passes import Job, Passes, bucket

PREFIX, SUFFIX, CANVAS, ASKED, TOKENS_A_STEP = 512, 64, 9, 5, 1.7
PIECES = PREFIX // SUFFIX  # suffixes that one encode keeps
MODES = {"float32": ("float32", "highest"), "tf32": ("float32", "default"), "bfloat16": ("bfloat16", "default")}


def random_model(layers=30, width=576, heads=9, kv_heads=3, head_dim=64, mlp=1536, vocab=49152, seed=1):
    """(Shape, weights) of the default model's sizes, without adapter: an end id and a mask id follow the vocabulary."""
    shape = Shape(
        name="random", layers=layers, width=width, heads=heads, kv_heads=kv_heads, head_dim=head_dim, mlp=mlp, vocab=vocab + 1, input_ids=vocab + 2,
        rope_theta=100_000.0, eps=1e-5, qk_norm=False, qkv_bias=False, tied=True, rank=0, max_positions=8192, mask_id=vocab + 1, end_ids=(vocab,),
        forbidden_ids=(), logits_shift=1, attention="causal-context", distance=24, tokenizer="", weights="")
    draw = np.random.default_rng(seed)

    def new(*dims, scale):
        values = draw.standard_normal(dims, np.float32)
        values *= scale
        return values

    stacked = {part: new(layers, shape.part_rows(part), columns, scale=columns ** -0.5) for part, columns in
               [(part, shape.columns(part)) for part in ("q", "k", "v", "o", "gate", "up", "down")]}
    stacked |= {name: 1 + new(layers, width, scale=0.1) for name in ("attention_norm", "mlp_norm")}
    embedding = new(shape.input_ids, width, scale=2 * width ** -0.5)
    return shape, {"embedding": embedding, "head": embedding[:shape.vocab], "norm": 1 + new(width, scale=0.1), "layers": stacked}


def plain(shape, weights, ids, positions, sees, past=()):
    """The pass again in numpy and float32, of one job of a Llama without adapter: (log-probabilities [rows, vocab], kept rows). past:
    (kept rows, how many of their first, position of the first)."""
    norm = lambda x, w: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + shape.eps) * w
    half, everywhere = shape.head_dim // 2, np.concatenate([np.arange(first, first + count) for _, count, first in past] + [np.asarray(positions)])
    angle = everywhere[:, None, None] * shape.rope_theta ** (-np.arange(half) / half)
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    turn = lambda x, at: np.concatenate((x[..., :half] * cos[at] - x[..., half:] * sin[at], x[..., half:] * cos[at] + x[..., :half] * sin[at]), -1)
    own = slice(len(everywhere) - len(ids), None)
    bias = np.where(np.concatenate((np.ones((len(ids), own.start), bool), sees), 1), 0, -1e9).astype(np.float32)
    x, kept = weights["embedding"][np.asarray(ids)], []
    for layer in range(shape.layers):
        w = {name: values[layer] for name, values in weights["layers"].items()}
        split = lambda y: y.reshape(len(ids), -1, shape.head_dim)
        h = norm(x, w["attention_norm"])
        query, key, value = (split(h @ w[part].T) for part in "qkv")
        kept.append((key, value))
        keys, values = (np.concatenate([rows[layer][i][:count] for rows, count, _ in past] + [mine]) for i, mine in enumerate((key, value)))
        repeat = lambda y: np.repeat(y, shape.heads // shape.kv_heads, 1).transpose(1, 0, 2)
        scores = turn(query, own).transpose(1, 0, 2) @ repeat(turn(keys, slice(None))).transpose(0, 2, 1) * np.float32(shape.head_dim ** -0.5) + bias
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        attended = (scores / scores.sum(-1, keepdims=True)) @ repeat(values)
        x = x + attended.transpose(1, 0, 2).reshape(len(ids), -1) @ w["o"].T
        h = norm(x, w["mlp_norm"])
        gate = h @ w["gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["up"].T)) @ w["down"].T
    logits = norm(x, weights["norm"]) @ weights["head"].T
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True)), kept


def shapes(padded):
    return tuple(sorted((name, values.shape) for name, values in padded.items()))


class Bench:
    """Passes of one mode, with contexts that are encoded as they are needed."""

    def __init__(self, shape, weights, mode, pool_rows):
        dtype, self.precision = MODES[mode]
        self.mode, self.shape = mode, shape
        self.passes = Passes(shape, weights, pool_rows=pool_rows, dtype=jnp.dtype(dtype))
        self.size = jnp.dtype(dtype).itemsize
        self.room = min(32 * PREFIX, pool_rows // 2)  # rows of the pool for encodes that are measured
        self.contexts, self.most_contexts = 0, max(1, (pool_rows - self.room) // (PREFIX + SUFFIX))
        self.programs, self.known = {}, {}  # by shapes; (seconds of compiling, bytes of scratch) by (kind, batch)
        self.jitted, self.on_device = self.passes.run_plain, 0.0
        self.passes.run_plain = self.timed

    def timed(self, weights, pool, padded):
        """The pass between two moments at which the device has nothing to do."""
        program = self.programs.get(shapes(padded), self.jitted)
        jax.block_until_ready((pool, padded))
        began = time.perf_counter()
        answer = jax.block_until_ready(program(weights, pool, padded))
        self.on_device = time.perf_counter() - began
        return answer

    def padded(self, kind, batch):
        """What a pass of such jobs is given, with contexts that are not there."""
        p = self.passes
        if kind == "encode":
            jobs = self.encode_jobs(batch)
            padded = p._padded(jobs, [range(batch)])
            p.release("bench", [handle for job in jobs for handle, *_ in job.keep])
        else:
            held, contexts = p.held, self.contexts
            p.held, self.contexts = [collections.OrderedDict({("bench", 0): [0] * PREFIX, ("bench", 500_000): [0] * SUFFIX})], 1
            padded = p._padded(self.step_jobs(batch), [range(batch)])
            p.held, self.contexts = held, contexts
        return jax.device_put(padded, p.sharding)

    def compile(self, kind, batch, padded):
        """May run in several threads, one for each program."""
        began = time.perf_counter()
        with jax.default_matmul_precision(self.precision):
            program = self.jitted.lower(self.passes.weights, self.passes.pool, padded).compile()
        seconds = time.perf_counter() - began
        self.programs[shapes(padded)] = program
        self.known[kind, batch] = seconds, getattr(program.memory_analysis(), "temp_size_in_bytes", None)

    def run(self, jobs):
        """(answers, seconds with padding and transfers, seconds of the pass)"""
        for job in jobs:
            self.passes.check(job)
        began = time.perf_counter()
        with jax.default_matmul_precision(self.precision):
            answers = self.passes.run(jobs)
        return answers, time.perf_counter() - began, self.on_device

    def ids(self, seed, count=PREFIX):
        return np.random.default_rng(seed).integers(0, self.shape.vocab, count).tolist()

    def text(self, seed, keep):
        return Job("bench", True, self.ids(seed), list(range(PREFIX)), [], None, [], [], [], False, keep)

    def encode_jobs(self, batch):
        return [self.text(1_000_000 + i, [(1_000_000 + i, 0, PREFIX)]) for i in range(batch)]

    def step_jobs(self, batch):
        canvas = [self.shape.end_ids[0]] + [self.shape.mask_id] * (CANVAS - 1)
        jobs = []
        for i in range(batch):
            c = i % self.contexts
            context = [(c, PREFIX, 0), (500_000 + c, SUFFIX, PREFIX + CANVAS)]
            jobs.append(Job("bench", False, canvas, list(range(PREFIX, PREFIX + CANVAS)), context, None, list(range(ASKED)), self.ids(i, ASKED), [], False, []))
        return jobs

    def fill(self, wanted, seconds):
        """Encodes contexts until there are `wanted`, there is no room or `seconds` have passed. Steps share them when there are fewer."""
        began, wanted = time.perf_counter(), min(wanted, self.most_contexts)
        sizes = sorted(n for kind, n in self.known if kind == "encode") or [1]

        def encode(jobs):  # in batches that are compiled
            while jobs:
                count = next((n for n in sizes if n >= len(jobs)), sizes[-1])
                part, jobs = jobs[:count], jobs[count:]
                extra = self.encode_jobs(count - len(part))
                self.run(part + extra)
                self.passes.release("bench", [handle for job in extra for handle, *_ in job.keep])

        while self.contexts < wanted and (self.contexts == 0 or time.perf_counter() - began < seconds):
            new = range(self.contexts, min(self.contexts + (sizes[-1] if wanted - self.contexts >= sizes[-1] / 2 else sizes[0]), wanted))
            sources = sorted({c // PIECES for c in new} - {c // PIECES for c in range(self.contexts)})
            encode([self.text(c, [(c, 0, PREFIX)]) for c in new])
            encode([self.text(500_000 + s, [(500_000 + s * PIECES + i, i * SUFFIX, SUFFIX) for i in range(PIECES)]) for s in sources])
            self.contexts = new.stop

    def measure(self, kind, batch, seconds):
        """A line of the table; `seconds` for the repetitions."""
        jobs = self.encode_jobs(batch) if kind == "encode" else self.step_jobs(batch)
        self.run(jobs)
        times, began = [self.run(jobs)[1:]], time.perf_counter()
        while len(times) < (4 if times[0][0] < seconds else 2) or (len(times) < 30 and time.perf_counter() - began < seconds):
            times.append(self.run(jobs)[1:])
        whole, device = (statistics.median(column) for column in zip(*times[1:]))
        if kind == "encode":
            self.passes.release("bench", [handle for job in jobs for handle, *_ in job.keep])
        rows = len(jobs[0].ids)
        flops, padded, floor = self.work(kind, batch)
        return {"kind": kind, "batch": batch, "mode": self.mode, "compile_s": self.known[kind, batch][0], "scratch_mb": (self.known[kind, batch][1] or 0) / 1e6, "repeats": len(times) - 1, "ms": device * 1e3, "ms_with_host": whole * 1e3,
                "rows_per_s": batch * rows / device, "jobs_per_s": batch / device, "jobs_per_s_with_host": batch / whole,
                "tokens_per_s": batch * TOKENS_A_STEP / device if kind == "step" else None, "gflop": flops / 1e9, "gflop_padded": padded / 1e9,
                "tflops": flops / device / 1e12, "floor_mb": floor / 1e6, "contexts": self.contexts if kind == "step" else None, "pool_rows": self.passes.pool_rows}

    def work(self, kind, batch):
        """FLOPs of the jobs' rows, FLOPs with the rows the pass is padded by, bytes that have to be read and written at least once."""
        s, p = self.shape, self.passes
        matrices = s.layers * sum(s.part_rows(part) * s.columns(part) for part in ("q", "k", "v", "o", "gate", "up", "down"))
        flops = lambda rows, pairs, asked: 2 * rows * matrices + 4 * pairs * s.layers * s.heads * s.head_dim + 2 * asked * s.width * s.vocab
        past, rows, asked = (PREFIX + SUFFIX, CANVAS, ASKED) if kind == "step" else (0, PREFIX, 0)
        pairs = rows * (past + rows) if kind == "step" else rows * (rows + 1) // 2
        q, c = bucket(rows, p.ROWS), bucket(past, p.CONTEXT)
        r = p.rows_asked(asked, q)
        kept = 2 * s.layers * s.kv_heads * s.head_dim * (past if kind == "step" else rows)
        head = s.width * s.vocab if asked else 0
        return batch * flops(rows, pairs, asked), bucket(batch, p.jobs) * flops(q, q * (q + c), r), self.size * (matrices + head + batch * kept)

    def check(self, reference):
        """Largest differences of a step's answer from the same in numpy: (log-probabilities, entropy, asked rows whose first id differs)."""
        self.fill(1, 0)
        told, (answer,) = reference, self.run(self.step_jobs(1))[0]
        there = np.take_along_axis(told, answer["top_ids"].astype(int), 1)
        scored = told[range(ASKED), self.ids(0, ASKED)]
        worst = max(np.abs(there - answer["top_logprobs"].astype(np.float32)).max(), np.abs(scored - answer["score_logprobs"].astype(np.float32)).max())
        entropy = np.abs(-(np.exp(told) * told).sum(-1) - answer["entropy"].astype(np.float32)).max()
        return float(worst), float(entropy), int((told.argmax(-1) != answer["top_ids"][:, 0]).sum())

    def reference(self, weights):
        """What `check` compares with: log-probabilities of the asked rows of the first step."""
        of_text = lambda seed, count: plain(self.shape, weights, self.ids(seed)[:count], np.arange(count), np.tri(count, dtype=bool))[1]
        past = [(of_text(0, PREFIX), PREFIX, 0), (of_text(500_000, SUFFIX), SUFFIX, PREFIX + CANVAS)]
        canvas = [self.shape.end_ids[0]] + [self.shape.mask_id] * (CANVAS - 1)
        return plain(self.shape, weights, canvas, np.arange(PREFIX, PREFIX + CANVAS), np.ones((CANVAS, CANVAS), bool), past)[0][:ASKED]


COLUMNS = "what         mode      compile s  ms a pass  with host    rows/s   jobs/s  tokens/s   GFLOP (padded)  TFLOP/s  % of peak  floor MB  floor ms  % of floor  scratch MB"


def line(m, peak, bandwidth):
    """One line of the table; floor: reading the weights and the kept rows once (writing them, for an encode)."""
    floor = m["floor_mb"] / bandwidth if bandwidth else 0  # MB / (GB/s) = ms
    or_dash = lambda value, digits, there=True: f"{value:.{digits}f}" if there else "-"
    told = f"{m['kind']:<6} × {m['batch']:<3} {m['mode']:<9} {m['compile_s']:9.1f} {m['ms']:10.2f} {m['ms_with_host']:10.2f} {m['rows_per_s']:9.0f} {m['jobs_per_s']:8.1f}"
    told += f" {or_dash(m['tokens_per_s'], 0, m['tokens_per_s'] is not None):>9} {m['gflop']:7.1f} ({m['gflop_padded']:7.1f}) {m['tflops']:8.2f}"
    told += f" {or_dash(100 * m['tflops'] / (peak or 1), 2, peak):>10} {m['floor_mb']:9.0f} {or_dash(floor, 3, floor):>9} {or_dash(100 * floor / m['ms'], 1, floor):>11} {m['scratch_mb']:11.0f}"
    return told + (f"  {m['contexts']} contexts for {m['batch']} jobs" if m["contexts"] and m["contexts"] < m["batch"] else "")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(n) for n in text.split(",") if n]
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--bundle", help="a model bundle or a Hugging Face folder")
    what.add_argument("--random", action="store_true", help="random weights of the default model's sizes, without adapter")
    parser.add_argument("--layers", type=int, default=30, help="of the random model")
    parser.add_argument("--seconds", type=float, default=60, help="for everything, from the start of the program")
    parser.add_argument("--dtype", default="float32", help="float32, tf32, bfloat16, or several with commas")
    parser.add_argument("--steps", type=numbers, default=[1, 64, 256, 16, 4], help="jobs a pass, in the order of measuring")
    parser.add_argument("--encodes", type=numbers, default=[1, 32, 8], help="texts a pass")
    parser.add_argument("--pool-rows", type=int, help="rows kept on the device; on an accelerator all contexts of the largest pass, on a CPU 8192")
    parser.add_argument("--compilers", type=int, default=1, help="threads that compile before anything is measured; 1: each program before its measurement")
    parser.add_argument("--check", action="store_true", help="with --random: one step against numpy")
    parser.add_argument("--peak-tflops", type=float, help="of the device; 989 (H100, bfloat16) on a GPU")
    parser.add_argument("--bandwidth", type=float, help="of the device's memory in GB/s; 3350 (H100) on a GPU")
    parser.add_argument("--out", help="a JSON file, written after each line")
    args = parser.parse_args(argv)
    modes = args.dtype.split(",")
    if unknown := [mode for mode in modes if mode not in MODES]:
        parser.error(f"--dtype {','.join(unknown)} is not known; wanted {', '.join(MODES)}")
    if args.check and not args.random:
        parser.error("--check needs --random: the numpy pass knows no adapter")
    say = lambda text: print(text, flush=True)
    left = lambda: args.seconds - (time.perf_counter() - BEGAN if argv is None else time.perf_counter() - began)
    began = time.perf_counter()

    device = jax.devices()[0]
    gpu = device.platform in ("gpu", "cuda", "rocm")
    peak, bandwidth = args.peak_tflops or (989 if gpu else 0), args.bandwidth or (3350 if gpu else 0)
    pool_rows = args.pool_rows or (8192 if device.platform == "cpu" else max(args.steps + [1]) * (PREFIX + SUFFIX) + 2 * 32 * PREFIX)
    if args.bundle:
        from lacuna_serving.bundle import load
        shape, weights = load(args.bundle)
    else:
        shape, weights = random_model(args.layers)
    facts = {"device": device.device_kind, "platform": device.platform, "jax": jax.__version__, "numpy": np.__version__, "model": shape.name, "layers": shape.layers,
             "width": shape.width, "vocab": shape.vocab, "adapter_rank": shape.rank, "pool_rows": pool_rows, "peak_tflops": peak, "bandwidth_gb_per_s": bandwidth}
    say(f"{device.device_kind} ({device.platform}), jax {jax.__version__}, numpy {np.__version__}; {shape.name}: {shape.layers} layers, width {shape.width}, vocabulary {shape.vocab}, "
        f"adapter rank {shape.rank}; {pool_rows} rows in the pool; weights after {args.seconds - left():.1f} s")
    report = {"facts": facts, "lines": [], "checks": [], "skipped": [], "failed": []}

    def write():
        if args.out:
            report["facts"]["seconds"] = args.seconds - left()
            pathlib.Path(args.out).write_text(json.dumps(report, indent=1) + "\n")

    benches = {}
    for mode in modes:
        benches[mode] = Bench(shape, weights, mode, pool_rows)
    # First what a step alone needs, then batches from the large on; modes take turns, so that each has its most important lines.
    steps, encodes = list(args.steps), list(args.encodes)
    order = [("encode", n) for n in encodes[:1]] + [("step", n) for n in steps[:1]] + [("encode", n) for n in encodes[1:2]]
    order += [("step", n) for n in steps[1:]] + [("encode", n) for n in encodes[2:]]
    if args.compilers > 1:
        with concurrent.futures.ThreadPoolExecutor(args.compilers) as threads:
            waiting = {threads.submit(benches[mode].compile, kind, batch, benches[mode].padded(kind, batch)): f"{kind} × {batch} {mode}"
                       for kind, batch in order for mode in modes if kind == "step" or batch * PREFIX <= benches[mode].room}
            done, late = concurrent.futures.wait(waiting, max(left() / 2, 0))
            late = [future for future in late if future.cancel()]
        for future, name in waiting.items():
            if not future.cancelled() and future.exception():
                say(f"{name}: not compiled, {type(future.exception()).__name__}: {str(future.exception())[:300]}")
        say(f"{len(waiting) - len(late)} programs compiled, {args.compilers} at a time, after {args.seconds - left():.1f} s")
    reference, seen = None, {}
    say(COLUMNS)
    for kind, batch in order:
        for mode in modes:
            bench, name = benches[mode], f"{kind} × {batch} {mode}"

            def skip(why):
                say(f"{name}: skipped, {why}")
                report["skipped"].append(f"{name}: {why}")
                write()

            if kind == "encode" and batch * PREFIX > bench.room:
                skip(f"{batch * PREFIX} rows need a pool of {2 * batch * PREFIX} (--pool-rows)")
                continue
            smaller = [(n, m) for (k, n, of), m in seen.items() if k == kind and of == mode and n <= batch]
            n, m = max(smaller, key=lambda pair: pair[0]) if smaller else (batch, None)
            a_pass = m["ms_with_host"] / 1e3 * batch / n if m else 0
            times = [s for s, _ in bench.known.values()]
            needed = (0 if (kind, batch) in bench.known or not times else statistics.median(times)) + 5 * a_pass
            if needed > left():
                skip(f"it would need about {needed:.0f} s and {max(left(), 0):.0f} s are left")
                continue
            try:
                if (kind, batch) not in bench.known:
                    bench.compile(kind, batch, bench.padded(kind, batch))
                if kind == "step":
                    bench.fill(batch, args.seconds / 20)
                m = bench.measure(kind, batch, args.seconds / 100)
            except Exception as error:  # out of memory, say: the other lines are still worth having
                say(f"{name}: failed, {type(error).__name__}: {str(error)[:300]}")
                report["failed"].append(f"{name}: {type(error).__name__}: {str(error)[:2000]}")
                write()
                if bench.passes.pool.is_deleted():  # it was given to the pass that failed
                    with contextlib.suppress(Exception):
                        benches[mode] = Bench(shape, weights, mode, pool_rows)
                continue
            seen[kind, batch, mode] = m
            report["lines"].append(m)
            say(line(m, peak, bandwidth))
            write()
            if args.check and kind == "step" and not any(c["mode"] == mode for c in report["checks"]):
                try:
                    reference = bench.reference(weights) if reference is None else reference
                    worst, entropy, firsts = bench.check(reference)
                    say(f"{mode} against numpy in float32: largest difference in a log-probability {worst:.1e}, in an entropy {entropy:.1e}; {firsts} of {ASKED} best ids differ")
                    report["checks"].append({"mode": mode, "logprob": worst, "entropy": entropy, "best_ids_that_differ": firsts, "of": ASKED})
                except Exception as error:
                    say(f"{mode} against numpy: failed, {type(error).__name__}: {str(error)[:300]}")
                    report["checks"].append({"mode": mode, "failed": str(error)[:2000]})
                write()
    memory = device.memory_stats() or {}
    if "peak_bytes_in_use" in memory:
        report["facts"]["peak_bytes"] = memory["peak_bytes_in_use"]
        say(f"at most {memory['peak_bytes_in_use'] / 1e9:.1f} GB of the device's memory in use")
    say(f"{args.seconds - left():.0f} s in all")
    write()
    return report


if __name__ == "__main__":
    main()
