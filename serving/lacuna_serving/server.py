"""The contracts *step* and *infill* on KServe's Python model server, HTTP and gRPC. Requests that arrive while a pass, or a canvas,
is computed share the next one.

    python -m lacuna_serving.server --bundle models/lacuna-135m --data 4 --model 2 --http_port 8080
"""
import argparse
import asyncio
import collections
import concurrent.futures
import logging
import os
import time

import kserve
import numpy as np
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import InferOutput, InferResponse

from . import contract, infill_contract, metrics
from .hangup import CancelsWhoHungUp


class Step(kserve.Model):
    """`infills`: who fills gaps whole, where the model writes from the left; without, that contract is not offered."""

    def __init__(self, name, passes, infills=None):
        super().__init__(name)
        self.passes, self.infills = passes, infills
        self.most_jobs = max(passes.batches, default=64)  # of one pass on a shard, unless one request has more
        self.thread = concurrent.futures.ThreadPoolExecutor(1)
        self.waiting, self.running, self.was_large = [], None, False
        self.gaps = []  # requests of the other contract: (gaps, future)
        metrics.watch(self)

    def load(self):
        seconds = self.passes.warm() + (self.infills.warm() if self.infills else 0)
        shapes = len(self.passes.compiled) + (len(self.infills.compiled) if self.infills else 0)
        logging.getLogger("lacuna").info("warm after %.1f s: %d shapes", seconds, shapes)
        self.ready = True
        return True

    def get_input_types(self):
        return self._types(contract.INPUTS, infill_contract.INPUTS)

    def get_output_types(self):
        return self._types(contract.OUTPUTS, infill_contract.OUTPUTS)

    def _types(self, step, infill):
        tensors = step | (infill if self.infills else {})
        return [{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in tensors.items()]

    async def predict(self, payload, headers=None, response_headers=None):
        session = (payload.parameters or {}).get("session", "")
        session = session if isinstance(session, str) else session.string_param
        found = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
        tensors = await (self._infill(session, found) if infill_contract.asks(found) else self._step(session, found))
        wanted = {output.name for output in payload.request_outputs or []}
        outputs = []
        for name, values in tensors.items():
            if wanted and name not in wanted:
                continue
            output = InferOutput(name, list(values.shape), (contract.OUTPUTS | infill_contract.OUTPUTS)[name][0])
            output.set_data_from_numpy(values, binary_data=True)
            outputs.append(output)
        return InferResponse(payload.id or "", self.name, outputs, use_binary_outputs=True, requested_outputs=payload.request_outputs)

    async def _step(self, session, found):
        try:
            jobs, release = contract.read(session, found)
            for job in jobs:
                self.passes.check(job)
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        if not jobs:
            return contract.write(self.passes.shape, [], [], with_facts=contract.facts(self.passes.shape))
        done = asyncio.get_running_loop().create_future()
        self.waiting.append((session, jobs, release, done))
        return contract.write(self.passes.shape, jobs, **await self._in_turn(done))

    async def _infill(self, session, found):
        try:
            if not self.infills:
                raise ValueError(f"infill: wanted a model that writes from the left (drafting), {self.name} is none; ask for steps")
            gaps = infill_contract.read(session, found, self.passes.shape.mask_id)
            for gap in gaps:
                self.infills.check(gap)
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        done = asyncio.get_running_loop().create_future()
        self.gaps.append((gaps, done))
        return infill_contract.write(await self._in_turn(done))

    async def _in_turn(self, done):
        if self.running is None:
            self.running = asyncio.ensure_future(self._work())
        return await done

    async def _work(self):
        """A pass and a canvas, in turns, while somebody waits. Whoever hung up is left out."""
        try:
            while self.waiting or self.gaps:
                await self._canvas()
                batch = self._next()
                if batch:
                    await asyncio.get_running_loop().run_in_executor(self.thread, self._pass, batch)
                    for *_, done, outcome in [(*r[:3], r[3], self.outcomes.pop(id(r[3]))) for r in batch]:
                        metrics.count(done, outcome)
                        if not done.cancelled():
                            done.set_exception(outcome) if isinstance(outcome, Exception) else done.set_result(outcome)
        finally:
            self.running = None

    async def _canvas(self):
        """One canvas of each gap for which there is room; those of which more is to be written wait for the next. What is only read ahead
        goes on, piece after piece, while nobody waits for a canvas."""
        counts, batch = collections.Counter(), []
        there = [(gaps, done) for gaps, done in self.gaps if not done.cancelled()]
        metrics.REQUESTS.labels("left").inc(len(self.gaps) - len(there))
        self.gaps = there
        open_gaps = [gap for gaps, _ in self.gaps for gap in gaps if gap.finish is None]
        for gap in [gap for gap in open_gaps if gap.slots[0]] or open_gaps:
            shard = self.passes.shard_of(gap.session)
            if counts[shard] < self.most_jobs:
                counts[shard] += 1
                batch.append(gap)
        if batch:
            await asyncio.get_running_loop().run_in_executor(self.thread, self._advance, batch)
        for gaps, done in self.gaps:
            failed = next((gap.error for gap in gaps if gap.error), None)
            if done.cancelled() or not (failed or all(gap.finish is not None for gap in gaps)):
                continue
            metrics.count(done, failed or {})
            if failed:
                done.set_exception(InvalidInput(str(failed)) if isinstance(failed, ValueError) else failed)
            else:
                done.set_result(gaps)
        self.gaps = [(gaps, done) for gaps, done in self.gaps if not done.done() or done.cancelled()]

    def _advance(self, batch):
        began = time.perf_counter()
        try:
            self.infills.advance(batch)
            gaps, seconds = (metrics.CANVAS_GAPS, metrics.CANVAS_SECONDS) if batch[0].slots[0] else (metrics.PASS_JOBS, metrics.PASS_SECONDS)
            gaps.observe(len(batch))
            seconds.observe(time.perf_counter() - began)
        except Exception as error:
            for gap in batch:
                gap.error = gap.error or error

    def _next(self):
        """Requests of the next pass, in their order, as far as their jobs have room on their shards. A pass is padded to its largest job,
        so small ones (canvases) and large ones (pieces of text) take turns where both wait."""
        there = [request for request in self.waiting if not request[-1].cancelled()]
        metrics.REQUESTS.labels("left").inc(len(self.waiting) - len(there))
        small, large = [], []
        for request in there:
            (large if any(len(job.ids) > self.passes.ROWS[0] for job in request[1]) else small).append(request)
        self.was_large = bool(large) and not (small and self.was_large)
        batch, counts = [], collections.Counter()
        for request in large if self.was_large else small:
            shard, jobs = self.passes.shard_of(request[0]), len(request[1])
            if batch and counts[shard] + jobs > self.most_jobs:
                break
            batch.append(request)
            counts[shard] += jobs
        taken = {id(request) for request in batch}
        self.waiting = [request for request in there if id(request) not in taken]
        return batch

    outcomes = {}

    def _pass(self, batch):
        """Where a pass fails each request gets one of its own, since the fault may be another's."""
        try:
            self._together(batch)
        except Exception as error:
            if len(batch) == 1:
                self.outcomes[id(batch[0][-1])] = InvalidInput(str(error)) if isinstance(error, ValueError) else error
                return
            for request in batch:
                self._pass([request])

    def _together(self, batch):
        for session, _, release, _ in batch:
            self.passes.release(session, release)
        ready = []
        for _, jobs, _, done in batch:
            missing = self.passes.missing(jobs)
            if missing:
                self.outcomes[id(done)] = {"results": [], "missing": missing}
            else:
                ready.append((jobs, done))
        if not ready:
            return
        began = time.perf_counter()
        results = self.passes.run([job for jobs, _ in ready for job in jobs])
        metrics.PASS_JOBS.observe(len(results))
        metrics.PASS_SECONDS.observe(time.perf_counter() - began)
        for jobs, done in ready:
            self.outcomes[id(done)] = {"results": [results.pop(0) for _ in jobs]}


def main():
    import jax
    import jax.numpy as jnp

    from .bundle import load
    from .infill import Infills
    from .passes import Passes

    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--bundle", required=True, help="a model bundle or a Hugging Face folder")
    parser.add_argument("--data", type=int, default=1, help="devices that share the batch")
    parser.add_argument("--model", type=int, default=1, help="devices that share the weights")
    parser.add_argument("--pool_rows", type=int, default=16384, help="rows of context kept on each data shard")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--warm_jobs", type=int, nargs="*", default=[1, 4, 16],
                        help="what the jobs of a pass are padded to, on each data shard: all of it is compiled before the server is ready. With none, powers of two, when first needed")
    parser.add_argument("--ahead", type=int, default=5, help="rows that look ahead when a gap is filled whole, and guesses that stand in a pass")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    jax.config.update("jax_default_matmul_precision", "highest" if args.dtype == "float32" else "default")
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    shape, weights = load(args.bundle)
    passes = Passes(shape, weights, args.data, args.model, args.pool_rows, jnp.dtype(args.dtype), args.warm_jobs)
    infills = Infills(passes, args.ahead) if shape.distance else None
    model = Step(args.model_name if args.model_name != "model" else shape.name, passes, infills)
    model.load()
    kserve.model_server.app.add_middleware(CancelsWhoHungUp)
    kserve.ModelServer(workers=1).start([model])


if __name__ == "__main__":
    main()
