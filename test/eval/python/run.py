"""Runs one program of a benchmark, inside the sandbox, and says what came of it. Knows nothing of models.

One JSON object on stdin, one on stdout:
    {"kind": "program", "source", "seconds"}                        passed when it runs to its end
    {"kind": "compare", "candidate", "problem", "groups", "seconds"}
                                     passed, by group of inputs: outputs equal to the reference's; `problem` is JSON itself
    → {"verdict": "passed" | "failed" | "timeout" | "broken", "detail", "groups": {group: bool}}
"broken" is said of a reference that fails. The program runs in a child: what it prints goes nowhere, and the verdict comes
through a pipe that it is not told of, so that `sys.exit(0)` or `os._exit(0)` is no way to pass.
"""

import json
import math
import os
import resource
import select
import signal
import sys
import time

PATIENCE = 5
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def main():
    job = json.load(sys.stdin)
    # What counts is the program's own time on a processor; one that sleeps, or a busy machine, has this many times as much.
    deadline = time.monotonic() + job["seconds"] * PATIENCE
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        work(job, writing)
    os.close(writing)
    said = read_line(reading, child, deadline)
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if said is None:
        answer = {"verdict": "timeout", "detail": f"no end in {job['seconds']} s", "groups": {}}
    elif said == b"":
        answer = {"verdict": "failed", "detail": "it ended without coming to its end", "groups": {}}
    else:
        answer = json.loads(said)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    # With this process, the first of its namespace, all that the program may have left behind ends too.
    os._exit(0)


def work(job, writing):
    """Never returns. What the program forks may come back here too, and is not asked."""
    worker = os.getpid()
    most = math.ceil(job["seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        answer = run_program(job) if job["kind"] == "program" else compare(job)
        if os.getpid() == worker:
            os.write(writing, json.dumps(answer).encode() + b"\n")
    finally:
        os._exit(0)


def run_program(job):
    try:
        exec(compile(job["source"], "<program>", "exec"), {"__name__": "program"})
    except BaseException as error:
        return {"verdict": "failed", "detail": told(error), "groups": {}}
    return {"verdict": "passed", "detail": "", "groups": {}}


def compare(job):
    from compare import compare_outputs

    return compare_outputs(job)


def told(error):
    return f"{type(error).__name__}: {error}"[:300]


def read_line(reading, child, deadline):
    """The child's answer; nothing when it ended without one; None when its time is over. Its children may hold the pipe."""
    said, ended, status = b"", False, 0
    while not said.endswith(b"\n"):
        if time.monotonic() > deadline:
            return None
        if select.select([reading], [], [], 0 if ended else 0.02)[0]:
            part = os.read(reading, 65536)
            said += part
            if part:
                continue
            if not ended:
                ended, status = True, os.waitpid(child, 0)[1]
        if ended:
            return None if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU else b""
        gone, status = os.waitpid(child, os.WNOHANG)
        ended = gone == child
    return said



main()
