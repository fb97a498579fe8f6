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

from lacuna_serving import contract

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
                       "inputs": [{"name": n, "datatype": contract.INPUTS[n][0], "shape": v.shape, "parameters": {"binary_data_size": v.nbytes}}
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
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as stubs

    inputs = tensors([5, 6, 7])
    request = pb.ModelInferRequest(model_name="tiny", inputs=[
        pb.ModelInferRequest.InferInputTensor(name=n, datatype=contract.INPUTS[n][0], shape=v.shape) for n, v in inputs.items()],
        raw_input_contents=[v.tobytes() for v in inputs.values()])
    request.parameters["session"].string_param = "g"
    with grpc.insecure_channel(f"127.0.0.1:{ports[1]}") as channel:
        answer = stubs.GRPCInferenceServiceStub(channel).ModelInfer(request)
    at = [output.name for output in answer.outputs].index("top_logprobs")
    raw = answer.raw_output_contents[at] if answer.raw_output_contents else np.array(answer.outputs[at].contents.fp32_contents, np.float32).tobytes()
    over_http = ask(ports[0], inputs, ["top_logprobs"])["top_logprobs"]
    assert np.allclose(np.frombuffer(raw, np.float32).reshape(-1, 8), over_http, atol=1e-5)
