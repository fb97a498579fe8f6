"""The server as a process: KServe, HTTP with binary tensors and gRPC, over a small random model."""
import concurrent.futures
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from conftest import FAMILIES, random_folder

from lacuna_serving import contract, infill_contract

INPUTS = contract.INPUTS | infill_contract.INPUTS
DTYPES = {"UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64, "FP32": np.float32}


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    folder = random_folder(tmp_path_factory.mktemp("served") / "tiny", **FAMILIES["llama with adapter"])
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    process = subprocess.Popen([sys.executable, "-m", "lacuna_serving.server", "--bundle", folder, "--warm_jobs", "--pool_rows", "512",
                                "--http_port", str(ports[0]), "--grpc_port", str(ports[1])], cwd=Path(__file__).parents[1])
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/v2/models/tiny/ready").close()
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    yield ports
    process.terminate()
    process.wait(30)


def tensors(ids, handle=None):
    n = len(ids)
    values = {name: [] for name in contract.INPUTS} | {
        "kind": [1], "row_counts": [n], "ids": ids, "positions": range(n), "context_counts": [0], "sees_counts": [0] * n, "asked_counts": [n],
        "asked_rows": range(n), "score_ids": [0] * n, "set_index": [0], "set_counts": [2], "set_ids": [3, 4], "wants_logits": [0],
        "keep_counts": [1 if handle else 0], "keep_handles": [handle] if handle else [], "keep_spans": [[0, n]] if handle else []}
    return {name: np.array(list(value), DTYPES[contract.INPUTS[name][0]]).reshape(contract.INPUTS[name][1]) for name, value in values.items()}


def request_of(port, inputs, outputs, model="tiny"):
    head = json.dumps({"parameters": {"session": "s", "binary_data_output": True}, "outputs": [{"name": n, "parameters": {"binary_data": True}} for n in outputs],
                       "inputs": [{"name": n, "datatype": INPUTS[n][0], "shape": v.shape, "parameters": {"binary_data_size": v.nbytes}}
                                  for n, v in inputs.items()]}).encode()
    return urllib.request.Request(f"http://127.0.0.1:{port}/v2/models/{model}/infer", head + b"".join(v.tobytes() for v in inputs.values()),
                                     {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"})


def ask(port, inputs, outputs, model="tiny"):
    with urllib.request.urlopen(request_of(port, inputs, outputs, model)) as answer:
        body, length = answer.read(), int(answer.headers["Inference-Header-Content-Length"])
    found, at = {}, length
    for tensor in json.loads(body[:length])["outputs"]:
        size = tensor["parameters"]["binary_data_size"]
        raw = body[at:at + size]
        found[tensor["name"]] = raw if tensor["datatype"] == "BYTES" else np.frombuffer(raw, DTYPES[tensor["datatype"]]).reshape(tensor["shape"])
        at += size
    return found


def test_answers_over_http_and_says_what_it_is(ports):
    nothing = {name: value[:0] for name, value in tensors([1]).items()}
    facts = json.loads(ask(ports[0], nothing, ["facts"])["facts"][4:])
    assert facts["contract"] == contract.STEP and facts["vocab"] == 97
    answer = ask(ports[0], tensors([5, 6, 7], 1), ["missing", "top_ids", "top_logprobs", "entropy", "logits"])
    assert answer["top_ids"].shape == (3, 8) and answer["missing"].size == 0 and answer["logits"].size == 0
    gone = tensors([8]) | {"context_counts": np.array([1], np.int32), "context_handles": np.array([9]), "context_spans": np.array([[1, 0]], np.int32)}
    assert ask(ports[0], gone, ["missing", "top_ids"])["missing"].tolist() == [9]


def test_refuses_with_a_reason(ports):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(ports[0], tensors([500]), ["top_ids"])
    assert refusal.value.code == 400 and "token ids are 0 to 97" in refusal.value.read().decode()


def gap(spans=((7, 5),), **change):
    """Gaps of seven ids before and five after a span of nine masks."""
    mask = 97
    ids = [id for before, after in spans for id in [*range(1, 1 + before), *[mask] * 9, *range(20, 20 + after)]]
    n = len(spans)
    values = {"infill_counts": [before + 9 + after for before, after in spans], "infill_ids": ids, "infill_known": [2] * n, "infill_slots": [[9, 9]] * n,
              "infill_end_counts": [2] * n, "infill_end_ids": [96, 10] * n, "infill_threshold": [0.4] * n, "infill_floor": [0.0] * n,
              "infill_hint_counts": [1] + [0] * (n - 1), "infill_hint_ids": [5], "infill_hint_shares": [0.4], "infill_seed": [7] * n}
    return {name: np.array(value, DTYPES[INPUTS[name][0]]).reshape(INPUTS[name][1]) for name, value in (values | change).items()}


def test_says_what_it_offers(ports):
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/v2/models/tiny") as answer:
        said = json.loads(answer.read())
    for part, tensors in (("inputs", INPUTS), ("outputs", contract.OUTPUTS | infill_contract.OUTPUTS)):
        assert {one["name"]: (one["datatype"], one["shape"]) for one in said[part]} == {n: (kind, dims) for n, (kind, dims) in tensors.items()}


def test_fills_gaps_whole(ports):
    two = ask(ports[0], gap(((7, 5), (70, 3))), infill_contract.OUTPUTS)
    assert two["infill_written"].tolist()[0] <= 9 and two["infill_tokens"].size == two["infill_written"].sum()
    rows = two["infill_written"].sum() + (two["infill_finish"] == 0).sum()
    assert two["infill_top_ids"].shape == two["infill_top_logprobs"].shape == (rows, 8) and two["infill_end_logprobs"].shape == (rows,)
    assert two["infill_partials"].size == two["infill_steps"].sum() and two["infill_partials"][-1] == two["infill_written"][-1]
    one = ask(ports[0], gap(), ["infill_tokens", "infill_top_logprobs"])
    assert [*one] == ["infill_tokens", "infill_top_logprobs"]  # only what was asked for
    assert one["infill_tokens"].tolist() == two["infill_tokens"].tolist()[:two["infill_written"][0]]


def test_reads_ahead_what_a_gap_will_need(ports):
    read = ask(ports[0], gap(infill_slots=[[0, 0]]), infill_contract.OUTPUTS)
    assert read["infill_written"].tolist() == [0] and read["infill_top_ids"].shape == (0, 8) and read["infill_tokens"].size == read["infill_partials"].size == 0


@pytest.mark.parametrize("change, said", [
    (dict(infill_ids=[1] * 21), "wanted one span of the mask id 97 in gap 0, found 0"),
    (dict(infill_ids=[1, 97, 1] * 7), "found 7 of it in several places; send a gap of its own for each span"),
    (dict(infill_ids=[1] * 3), "infill_ids: wanted 21 more, as its counts say, found 3"),
    (dict(infill_end_ids=[96] * 4), "infill_end_ids: 2 belong to no gap"),
    (dict(infill_known=[0]), "infill_known: wanted 1 to the 7 ids before the span, found 0"),
    (dict(infill_slots=[[50, 9]]), "at most 23, found 50"),
    (dict(infill_threshold=[2.0]), "infill_threshold: wanted a probability, 0 to 1, found 2.0"),
    (dict(infill_hint_shares=[-1.0]), "infill_hint_shares: wanted a probability, 0 to 1, found -1.0"),
    (dict(infill_seed=[]), "infill_seed: wanted 1, one for each of infill_counts, found 0"),
])
def test_refuses_a_gap_with_what_was_wanted_and_found(ports, change, said):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(ports[0], gap(**change), ["infill_tokens"])
    assert refusal.value.code == 400 and said in json.loads(refusal.value.read())["error"]


def test_refuses_a_gap_of_which_a_tensor_is_missing(ports):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(ports[0], {name: values for name, values in gap().items() if name != "infill_floor"}, ["infill_tokens"])
    assert refusal.value.code == 400 and "infill_floor: missing; wanted all of infill_counts" in refusal.value.read().decode()


def told(port):
    """Values of /metrics by name."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_computes_nothing_for_who_hung_up_before_their_pass(ports):
    before = told(ports[0])
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        slow = threads.submit(ask, ports[0], tensors(list(range(40))), ["entropy"])  # a new size: a second of compiling
        time.sleep(0.3)
        request = request_of(ports[0], tensors([5, 6, 7]), ["entropy"])
        with socket.create_connection(("127.0.0.1", ports[0])) as gone:
            headers = {**dict(request.header_items()), "Host": "here", "Content-Length": str(len(request.data))}
            lines = [f"POST {request.selector} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers.items()]
            gone.sendall("\r\n".join([*lines, "", ""]).encode() + request.data)
            time.sleep(0.2)
            assert told(ports[0])["lacuna_waiting_requests"] == 1
        assert slow.result()["entropy"].shape == (40,)
    assert ask(ports[0], tensors([5, 6, 7]), ["entropy"])["entropy"].shape == (3,)
    after = told(ports[0])
    count = lambda name: after[name] - before.get(name, 0)
    assert count('lacuna_requests_total{outcome="left"}') == 1
    assert count('lacuna_requests_total{outcome="answered"}') == count("lacuna_pass_jobs_count") == 2
    assert after["lacuna_kept_rows"] > 0 == after["lacuna_dropped_rows"]


def test_answers_over_grpc_as_over_http(ports):
    inputs = tensors([5, 6, 7])
    assert np.allclose(over_grpc(ports, inputs, "top_logprobs", np.float32).reshape(-1, 8), ask(ports[0], inputs, ["top_logprobs"])["top_logprobs"], atol=1e-5)
    assert over_grpc(ports, gap(), "infill_tokens", np.int32).tolist() == ask(ports[0], gap(), ["infill_tokens"])["infill_tokens"].tolist()


def over_grpc(ports, inputs, output, dtype):
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as stubs

    request = pb.ModelInferRequest(model_name="tiny", inputs=[
        pb.ModelInferRequest.InferInputTensor(name=n, datatype=INPUTS[n][0], shape=v.shape) for n, v in inputs.items()],
        raw_input_contents=[v.tobytes() for v in inputs.values()])
    request.parameters["session"].string_param = "g"
    with grpc.insecure_channel(f"127.0.0.1:{ports[1]}") as channel:
        answer = stubs.GRPCInferenceServiceStub(channel).ModelInfer(request)
    at = [found.name for found in answer.outputs].index(output)
    contents = answer.outputs[at].contents
    return np.frombuffer(answer.raw_output_contents[at], dtype) if answer.raw_output_contents else np.array(contents.fp32_contents or contents.int_contents, dtype)
