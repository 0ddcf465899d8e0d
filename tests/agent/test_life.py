"""From start to end: several workers, one connection for each request, SIGTERM in mid-stream."""

from __future__ import annotations

import signal
import time

import pytest

from brokenpipe.stack.ports import poll

# Loaded by the interpreter at its start when its folder is on PYTHONPATH: one byte for each checkout.
COUNTER = """
import os
from sqlalchemy import event
from sqlalchemy.pool import Pool

def count(*_):
    with open(os.environ["CHECKOUTS"], "ab") as file:
        file.write(b".")

event.listen(Pool, "checkout", count)
"""
SAID = {"conversation_id": 1, "message": "hello"}


def test_workers_that_start_together_make_one_schema(start_agent):
    """Two workers race for an empty database: it is seeded once, with 50 conversations of 4 messages."""
    with start_agent(WEB_CONCURRENCY="2") as agent:
        started = poll(
            lambda: agent.process.log_path.read_text().count("startup complete") == 2 or None, timeout_s=15
        )
        assert started, "\n".join(agent.process.last_lines())
        assert agent.query("SELECT count(*), min(id), max(id) FROM conversations") == [(50, 1, 50)]
        assert agent.query("SELECT count(*) FROM messages") == [(200,)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_each_request_borrows_as_many_connections_as_it_says(start_agent, tmp_path, driver):
    """One for a request, two for a chat that gives it back meanwhile, none to ask how the service is."""
    (tmp_path / "sitecustomize.py").write_text(COUNTER)
    checkouts = tmp_path / "checkouts"
    with start_agent(DB_DRIVER=driver, CHECKOUTS=str(checkouts), PYTHONPATH=str(tmp_path)) as agent:

        def borrowed(ask):
            before = checkouts.stat().st_size
            assert ask().ok
            return checkouts.stat().st_size - before

        assert {
            "GET /healthz": borrowed(lambda: agent.get("/healthz")),
            "GET /pool": borrowed(lambda: agent.get("/pool")),
            "GET /conversations/{id}": borrowed(lambda: agent.get("/conversations/1")),
            "POST /memories": borrowed(lambda: agent.post("/memories", {"key": "k", "text": "likes tea"})),
            "GET /chat/stream": borrowed(lambda: agent.get("/chat/stream?conversation_id=1&message=hello")),
            "POST /chat": borrowed(lambda: agent.post("/chat", SAID)),
            "POST /chat?hold=query": borrowed(lambda: agent.post("/chat?hold=query", SAID)),
        } == {
            "GET /healthz": 0,
            "GET /pool": 0,
            "GET /conversations/{id}": 1,
            "POST /memories": 1,
            "GET /chat/stream": 1,
            "POST /chat": 1,
            "POST /chat?hold=query": 2,
        }


def test_sigterm_in_mid_stream_still_disposes_of_the_engine(start_agent):
    """The service waits 2 s for open streams, then cuts them and shuts down in order: no backend is left."""
    with start_agent(AGENT_LLM_MS="60000") as agent:
        with agent.get("/chat/stream?conversation_id=1&message=hello", stream=True):
            began = time.monotonic()
            agent.process.popen.send_signal(signal.SIGTERM)
            agent.process.popen.wait(10)
            assert time.monotonic() - began < 4
        assert "Application shutdown complete" in agent.process.log_path.read_text()
        assert agent.backends() == []
