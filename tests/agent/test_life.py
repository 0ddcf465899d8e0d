"""From start to end: several workers, one connection for each request, SIGTERM in mid-stream."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from brokenpipe.stack.processes.ports import poll

LOCK_KEY = 0x6167656E74  # as in agent/schema.py
WAITING = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# Loaded by the interpreter at its start when its folder is on PYTHONPATH: a line for each event of a pool.
WITNESS = """
import os
from sqlalchemy import event
from sqlalchemy.pool import Pool

for name in ("connect", "checkout", "close"):
    def write(*_, name=name):
        with open(os.environ["POOL_EVENTS"], "a") as file:
            file.write(name + chr(10))
    event.listen(Pool, name, write)
"""
SAID = {"conversation_id": 1, "message": "hello"}


@pytest.fixture
def pool_events(tmp_path):
    """The environment that makes a service write down what its pool does, and the count of an event so far."""
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    path = tmp_path / "events"
    environment = {"PYTHONPATH": str(tmp_path), "POOL_EVENTS": str(path)}
    return environment, lambda name: path.read_text().splitlines().count(name)


def test_workers_that_start_together_make_one_schema(server, start_agent):
    """Each worker waits for its turn at an empty database; it is seeded once, 50 conversations of 4 messages."""
    server.create_database("together")

    def rows_after_start():
        with start_agent("together", WEB_CONCURRENCY="2") as agent:
            log = agent.process.log_path
            assert poll(lambda: log.read_text().count("startup complete") == 2 or None, timeout_s=60)
            conversations = agent.query("SELECT count(*), min(id), max(id) FROM conversations")
            return conversations + agent.query("SELECT count(*) FROM messages")

    with psycopg.connect(server.dsn("together"), autocommit=True) as first, ThreadPoolExecutor(1) as aside:
        first.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        rows = aside.submit(rows_after_start)
        try:
            waiting = poll(lambda: first.execute(WAITING).fetchone() == (2,) or None, timeout_s=60)
            assert waiting, "the workers did not wait for each other"
            assert first.execute("SELECT to_regclass('conversations')").fetchone() == (None,)
        finally:
            first.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])
        assert rows.result() == [(50, 1, 50), (200,)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "psycopg2"])
def test_each_request_borrows_as_many_connections_as_it_says(start_agent, pool_events, driver):
    """One for a request, two for a chat that gives it back meanwhile, none to ask how the service is."""
    environment, count = pool_events
    with start_agent(DB_DRIVER=driver, **environment) as agent:

        def borrowed(ask):
            before = count("checkout")
            assert ask().ok
            return count("checkout") - before

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


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg2"])
def test_sigterm_in_mid_stream_still_disposes_of_the_engine(start_agent, pool_events, driver):
    """The service waits 2 s for open streams, cuts them, and closes the connections that are in its pool."""
    environment, count = pool_events
    with start_agent(DB_DRIVER=driver, AGENT_LLM_MS="60000", **environment) as agent:
        assert agent.get("/conversations/1").ok
        with agent.get("/chat/stream?conversation_id=1&message=hello", stream=True):
            assert agent.get("/conversations/1").ok  # on a second connection: the stream has the first
            began = time.monotonic()
            agent.process.popen.send_signal(signal.SIGTERM)
            agent.process.popen.wait(10)
            assert time.monotonic() - began < 4
        assert "Application shutdown complete" in agent.process.log_path.read_text()
        # The stream's own connection comes back too late for that, or not at all: the socket ends with the process.
        # One more was the schema's own, at the start.
        assert (count("connect"), count("close") >= 1) == (3, True)
        assert poll(lambda: agent.backends() == [] or None, timeout_s=2), "a backend outlived the service"
