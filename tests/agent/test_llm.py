"""The simulated language model: how long it takes depends on the request id and on nothing else."""

from __future__ import annotations

import secrets
import time

import pytest


@pytest.fixture
def two_agents(shared_agents):
    """Two services that differ, as two arms do."""
    return [shared_agents["asyncpg"], shared_agents["psycopg"]]


def _llm_ms(agent, request_id=None):
    headers = {} if request_id is None else {"X-Request-ID": request_id}
    return agent.post("/chat", {"conversation_id": 1, "message": "hello"}, headers=headers).json()["llm_ms"]


def test_the_same_request_takes_the_same_time_in_every_service(two_agents):
    """Arms are compared request by request: the delay must not differ between them."""
    plain, other = two_agents
    ids = [secrets.token_hex(4) for _ in range(5)]
    delays = [_llm_ms(plain, i) for i in ids]
    assert [_llm_ms(other, i) for i in ids] == delays
    assert len(set(delays)) == len(ids)


def test_a_request_without_an_id_takes_a_random_time(two_agents):
    """Without X-Request-ID each request draws its own delay."""
    plain, _ = two_agents
    assert len({_llm_ms(plain) for _ in range(3)}) == 3


def test_the_delay_is_spread_around_its_mean_and_really_taken(two_agents):
    """Around 40 ms, the default, every delay lies in 20 to 60 ms, and no request is faster than its own."""
    plain, _ = two_agents
    for n in range(10):
        began = time.monotonic()
        delay_ms = _llm_ms(plain, f"request {n}")
        assert 20 <= delay_ms <= 60
        assert (time.monotonic() - began) * 1000 >= delay_ms


def test_a_stream_spreads_its_chunks_over_the_delay(shared_agents):
    """The first of five chunks comes after a fifth of the delay, the last one at its end."""
    slow = shared_agents["slow asyncpg"]
    delay_s = _llm_ms(slow, "request 1") / 1000
    assert delay_s > 0.3, "choose a request id with a longer delay"
    began = time.monotonic()
    with slow.get(
        "/chat/stream?message=hello", headers={"X-Request-ID": "request 1"}, stream=True
    ) as response:
        lines = response.iter_lines(chunk_size=1)
        arrivals = [time.monotonic() - began for line in lines if line == b"event: chunk"]
    assert len(arrivals) == 5
    # Between one fifth and two: the rest is for the way there and back.
    assert 0.2 * delay_s <= arrivals[0] < 0.4 * delay_s
    assert arrivals[-1] >= delay_s
