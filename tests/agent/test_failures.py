"""What users of the service see when its connections die, and what the pool's settings change about it."""

from __future__ import annotations

import pytest

from brokenpipe.stack.ports import poll

CONNECTIONS = 3
DRIVERS = pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
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
