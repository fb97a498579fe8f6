"""Both contracts on Triton's Python backend, over the same passes: one request after the other, `LACUNA_BUNDLE` is the model."""
import json
import os
import sys
from pathlib import Path

import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parents[3]))
from lacuna_serving import contract, infill_contract
from lacuna_serving.bundle import load
from lacuna_serving.infill import Infills
from lacuna_serving.passes import Passes

KINDS = {"UINT8": "TYPE_UINT8", "INT32": "TYPE_INT32", "INT64": "TYPE_INT64", "FP32": "TYPE_FP32", "BYTES": "TYPE_STRING"}


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        """A request has the tensors of one contract, so that each is optional."""
        config.set_max_batch_size(0)
        for add, tensors in ((config.add_input, contract.INPUTS | infill_contract.INPUTS), (config.add_output, contract.OUTPUTS | infill_contract.OUTPUTS)):
            for name, (kind, dims) in tensors.items():
                add({"name": name, "data_type": KINDS[kind], "dims": dims} | ({"optional": True} if add == config.add_input else {}))
        return config

    def initialize(self, args):
        shape, weights = load(os.environ["LACUNA_BUNDLE"])
        if not shape.distance:
            raise ValueError(f"{shape.name}: wanted a model that writes from the left (drafting); others are served by lacuna_serving.server")
        batches = [int(jobs) for jobs in os.environ.get("LACUNA_WARM_JOBS", "1").split()]
        self.passes = Passes(shape, weights, pool_rows=int(os.environ.get("LACUNA_POOL_ROWS", "16384")), batches=batches)
        self.infills = Infills(self.passes)
        self.passes.warm()
        self.infills.warm()

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        try:
            session = json.loads(request.parameters() or "{}").get("session", "")
            found = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            tensors = (self._infill if infill_contract.asks(found) else self._step)(session, found)
        except ValueError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        wanted = request.requested_output_names()
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, values) for name, values in tensors.items() if name in wanted])

    def _step(self, session, found):
        shape = self.passes.shape
        jobs, release = contract.read(session, found)
        for job in jobs:
            self.passes.check(job)
        if not jobs:
            return contract.write(shape, [], [], with_facts=contract.facts(shape))
        self.passes.release(session, release)
        missing = self.passes.missing(jobs)
        return contract.write(shape, jobs, [] if missing else self.passes.run(jobs), missing)

    def _infill(self, session, found):
        gaps = infill_contract.read(session, found, self.passes.shape.mask_id)
        for gap in gaps:
            self.infills.check(gap)
        while any(gap.finish is None for gap in gaps):
            self.infills.advance([gap for gap in gaps if gap.finish is None])
            failed = next((gap.error for gap in gaps if gap.error), None)
            if failed:
                raise failed
        return infill_contract.write(gaps)
