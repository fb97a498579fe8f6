"""What the server tells of its work, in the Prometheus text that KServe serves at `/metrics`. Counts and times only."""
from prometheus_client import Counter, Gauge, Histogram

PASS_JOBS = Histogram("lacuna_pass_jobs", "Jobs in a pass: how full the batch is", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))
PASS_SECONDS = Histogram("lacuna_pass_seconds", "Seconds of a pass, padding and transfers included", buckets=(.001, .003, .01, .03, .1, .3, 1, 3, 10, 30))
CANVAS_GAPS = Histogram("lacuna_canvas_gaps", "Gaps of which a canvas is filled together", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))
CANVAS_SECONDS = Histogram("lacuna_canvas_seconds", "Seconds of a canvas: its passes, and before them the text it needs that is not kept", buckets=(.001, .003, .01, .03, .1, .3, 1, 3, 10, 30))
REQUESTS = Counter("lacuna_requests", "Requests for passes and for whole gaps: answered, missing (rows that are not here), failed, too_late (computed, nobody there), left (hung up before)", ["outcome"])
WAITING = Gauge("lacuna_waiting_requests", "Requests that wait for a pass or a canvas, or are in one")
ROWS_KEPT = Gauge("lacuna_kept_rows", "Rows of context that are kept")
ROWS_DROPPED = Gauge("lacuna_dropped_rows", "Rows that were dropped to make room, since the start")


def watch(step):
    """Reads the gauges from the server whenever somebody asks for them."""
    WAITING.set_function(lambda: len(step.waiting) + len(step.gaps))
    ROWS_KEPT.set_function(lambda: step.passes.rows_kept)
    ROWS_DROPPED.set_function(lambda: step.passes.rows_dropped)


def count(done, outcome):
    """A request whose pass is over. done: its future, outcome: what it is told."""
    if done.cancelled():
        REQUESTS.labels("too_late").inc()
    elif isinstance(outcome, Exception):
        REQUESTS.labels("failed").inc()
    else:
        REQUESTS.labels("missing" if outcome.get("missing") else "answered").inc()
