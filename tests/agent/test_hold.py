"""What a chat does with its connection while the language model thinks: keep it, or give it back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from brokenpipe.stack.processes.ports import poll

# Between two statements of one transaction a backend is idle in transaction as well, but for a millisecond or
# two; the shortest call to the slow services' language model takes 150 ms.
HELD = "state = 'idle in transaction' AND clock_timestamp() - state_change > interval '50 ms'"

CHAT = ("POST", "/chat")
STREAM = ("GET", "/chat/stream?conversation_id=1&message=hello")


def _holds(agent, method, path):
    """Whether any backend was idle in a transaction for long while one request was being answered."""
    with ThreadPoolExecutor(1) as user:
        if method == "GET":
            answer = user.submit(agent.get, path)
        else:
            answer = user.submit(agent.post, path, {"conversation_id": 1, "message": "hello"})
        seen = False
        while not answer.done():
            seen = seen or bool(agent.backends(HELD))
            time.sleep(0.01)
        assert answer.result().status_code == 200
    return seen


@pytest.mark.parametrize("method_and_path", [CHAT, STREAM])
@pytest.mark.parametrize(
    ("service", "held"), [("slow asyncpg", True), ("slow psycopg2", True), ("slow query", False)]
)
def test_the_setting_decides_whether_the_connection_is_held(shared_agents, service, held, method_and_path):
    """A backend is idle in transaction during the LLM call with AGENT_HOLD=session, with query none is."""
    assert _holds(shared_agents[service], *method_and_path) is held


@pytest.mark.parametrize("service", ["slow asyncpg", "slow psycopg", "slow psycopg2"])
def test_a_request_may_ask_otherwise(shared_agents, service):
    """The query parameter `hold` wins over the setting, on every driver."""
    assert _holds(shared_agents[service], "POST", "/chat?hold=session")
    assert not _holds(shared_agents[service], "POST", "/chat?hold=query")


def test_and_it_may_ask_for_more(shared_agents):
    """Where connections are given back by default, one request can hold its own."""
    assert _holds(shared_agents["slow query"], "POST", "/chat?hold=session")


def test_a_held_connection_keeps_others_out_of_a_pool_of_one(start_agent):
    """While a chat holds the only connection, a read fails after DB_POOL_TIMEOUT: a plain 500.

    /healthz and /pool take no connection and answer all the while.
    """
    with (
        start_agent(AGENT_LLM_MS="800", DB_POOL_SIZE="1", DB_POOL_TIMEOUT="0.1") as agent,
        ThreadPoolExecutor(1) as user,
    ):
        answer = user.submit(agent.post, "/chat", {"conversation_id": 1, "message": "hello"})
        assert poll(lambda: agent.pool()["checked_out"] or None, timeout_s=5) == 1, "nothing was checked out"
        assert agent.get("/conversations/1").status_code == 500
        assert agent.get("/healthz").json() == {"status": "ok"}
        assert not answer.done(), "the chat ended too early for this test to say anything"
        assert answer.result().status_code == 200
        assert agent.get("/conversations/1").status_code == 200
        assert "sqlalchemy.exc.TimeoutError" in agent.process.log_path.read_text()


def test_more_requests_wait_than_a_thread_pool_has_threads(start_agent):
    """Threads are not what runs out: with 60 reads waiting for the only connection the chat that holds it ends.

    With AnyIO's 40 threads the readers would have them all, and the chat none to go on with.
    """
    readers = 60
    with (
        start_agent(
            DB_DRIVER="psycopg2", AGENT_LLM_MS="800", DB_POOL_SIZE="1", DB_POOL_TIMEOUT="15"
        ) as agent,
        ThreadPoolExecutor(readers + 1) as users,
    ):
        answer = users.submit(agent.post, "/chat", {"conversation_id": 1, "message": "hello"})
        assert poll(lambda: agent.pool()["checked_out"] or None, timeout_s=5) == 1, "nothing was checked out"
        reads = [users.submit(agent.get, "/conversations/1") for _ in range(readers)]
        assert answer.result().status_code == 200
        assert [read.result().status_code for read in reads] == [200] * readers
