"""Which of the waiting requests share the next pass."""
import asyncio
from types import SimpleNamespace

import pytest

from lacuna_serving.server import Step


@pytest.fixture
def step():
    """Two jobs a pass on each of two shards; session "a" is on 0, all others on 1."""
    return Step("tiny", SimpleNamespace(batches=(1, 2), ROWS=(16, 32, 64), shard_of=lambda session: 0 if session == "a" else 1))


def wait(step, loop, *requests):
    """requests: (session, rows of each job). Returns what tells of their answers."""
    for session, rows in requests:
        jobs = [SimpleNamespace(ids=[0] * count) for count in rows]
        step.waiting.append((session, jobs, [], loop.create_future()))
    return [request[-1] for request in step.waiting]


def rows(batch):
    return [(session, [len(job.ids) for job in jobs]) for session, jobs, *_ in batch]


def test_a_shard_takes_what_it_has_room_for_in_order(step):
    loop = asyncio.new_event_loop()
    wait(step, loop, ("a", [5]), ("b", [6]), ("a", [7]), ("a", [8]), ("b", [9]))
    assert rows(step._next()) == [("a", [5]), ("b", [6]), ("a", [7])]
    assert rows(step._next()) == [("a", [8]), ("b", [9])]
    assert step._next() == [] == step.waiting


def test_a_request_with_more_jobs_than_there_is_room_for_goes_alone(step):
    loop = asyncio.new_event_loop()
    wait(step, loop, ("a", [1, 2, 3]), ("a", [4]))
    assert rows(step._next()) == [("a", [1, 2, 3])]
    assert rows(step._next()) == [("a", [4])]


def test_canvases_and_pieces_of_text_take_turns(step):
    loop = asyncio.new_event_loop()
    wait(step, loop, ("a", [64]), ("a", [9]), ("a", [64]), ("b", [2, 17]), ("a", [16]), ("a", [3]))
    assert rows(step._next()) == [("a", [64]), ("a", [64]), ("b", [2, 17])]
    wait(step, loop, ("b", [40]))
    assert rows(step._next()) == [("a", [9]), ("a", [16])]
    assert rows(step._next()) == [("b", [40])]
    assert rows(step._next()) == [("a", [3])]
    assert step._next() == []


def test_who_hung_up_is_left_out(step):
    loop = asyncio.new_event_loop()
    first, second, _ = wait(step, loop, ("a", [64]), ("a", [9]), ("a", [8]))
    first.cancel(), second.cancel()
    assert rows(step._next()) == [("a", [8])]
    assert step.waiting == []
