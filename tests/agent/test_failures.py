"""What users of the service see when its connections die, and what the pool's settings change about it."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from brokenpipe.stack.processes.ports import LOOPBACK, poll

CONNECTIONS = 3
DRIVERS = pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "psycopg2"])
NEWEST_BACKEND = """
    SELECT pid, extract(epoch FROM backend_start)::float8 FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY backend_start DESC LIMIT 1
"""


def _after_a_kill(agent):
    """Kill every idle connection and read twice for each; returns the statuses and what was logged."""
    agent.warm(CONNECTIONS)
    logged = len(agent.process.log_path.read_text())
    reads = 2 * agent.kill_backends()
    statuses = [agent.get("/conversations/1").status_code for _ in range(reads)]
    return statuses, agent.process.log_path.read_text()[logged:]


@DRIVERS
def test_without_pre_ping_a_dead_connection_is_one_500(shared_agents, driver):
    """One request fails, with its traceback in the log; its error makes the pool replace the others."""
    statuses, logged = _after_a_kill(shared_agents[driver])
    assert statuses == [500] + [200] * (len(statuses) - 1)
    assert "Traceback" in logged


@DRIVERS
def test_with_pre_ping_nobody_sees_it(shared_agents, driver):
    """Every dead connection is found and replaced at its checkout."""
    statuses, logged = _after_a_kill(shared_agents[f"pre-ping {driver}"])
    assert statuses == [200] * len(statuses)
    assert logged == ""


def test_recycle_counts_fractions_of_a_second(start_agent):
    """DB_POOL_RECYCLE=0.4 keeps a younger connection and replaces an older one at its checkout."""
    recycle_s = 0.4
    with start_agent(DB_POOL_RECYCLE=str(recycle_s), DB_POOL_SIZE="1") as agent:

        def backend():
            """The server process that has just served a request, and when it began."""
            assert agent.get("/conversations/1").status_code == 200
            return agent.query(NEWEST_BACKEND)[0]

        def next_after(pid):
            found = poll(lambda: b if (b := backend())[0] != pid else None, timeout_s=5)
            assert found is not None, "the connection was never replaced"
            return found

        pid, began = next_after(backend()[0])
        _, replaced = next_after(pid)
        # It lived as long as was set, and not for a whole number of seconds: neither 0 nor 1.
        assert recycle_s <= replaced - began < 0.9


def test_a_command_timeout_gives_up_on_a_statement(start_agent):
    """DB_COMMAND_TIMEOUT=0.3: a write that waits for a lock is a 500 after 0.3 s, and a TimeoutError in the log."""
    with (
        start_agent(DB_COMMAND_TIMEOUT="0.3") as agent,
        psycopg.connect(agent.server.dsn(agent.database)) as other,
    ):
        other.execute("LOCK TABLE memories")
        began = time.monotonic()
        assert agent.post("/memories", {"key": "k", "text": "likes tea"}).status_code == 500
        assert time.monotonic() - began >= 0.3
        logged = agent.process.log_path.read_text
        # The traceback is printed after the answer was sent.
        assert poll(lambda: "TimeoutError" in logged() or None, timeout_s=5), logged()


def test_a_connect_timeout_gives_up_on_a_server_that_does_not_answer(fail_to_start):
    """DB_CONNECT_TIMEOUT=2: every driver's first connect to a silent server fails after 2 s, and the start with it."""

    def ends_after_s(driver):
        began = time.monotonic()
        code, _ = fail_to_start({"DATABASE_URL": url, "DB_DRIVER": driver, "DB_CONNECT_TIMEOUT": "2"})
        assert code == 3
        return time.monotonic() - began

    with socket.create_server((LOOPBACK, 0)) as silent, ThreadPoolExecutor(3) as starters:
        url = f"postgresql://a:b@{LOOPBACK}:{silent.getsockname()[1]}/nothing"
        took_s = list(starters.map(ends_after_s, ["asyncpg", "psycopg", "psycopg2"]))
    assert min(took_s) >= 2
