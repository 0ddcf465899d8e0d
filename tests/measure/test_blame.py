"""What a fault that is only there, and ends no connection, is blamed for: as much as it makes, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.measure.attribution_cases import CANCELLED, EXHAUSTED, PORT, fails, of, opened
from tests.measure.recorded import Recorded, link
from tests.unit.plans import scenario

from brokenpipe.measure.model.attribution import Relation
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings


@pytest.mark.parametrize(("ms", "tie"), [(25, Relation.UNATTRIBUTED), (100, Relation.SECONDARY)])
def test_who_makes_others_wait_for_longer_than_a_latency_takes_is_not_slow_because_of_it(
    tmp_path: Path, ms: int, tie: Relation
) -> None:
    """A statement begun just before the wait was over, and still under way half a second later: its own affair."""
    slow = {"name": "slow", "fault": {"name": "latency", "ms": ms}, "seconds": 4}
    with Recorded(tmp_path / "run", scenario(slow)) as run:
        run.phase("slow", [(0, 2, None), (2, 4, None)])
        run.act("plain", "inject", "latency", 0, "slow")
        run.requests("plain", [9])
        run.finish()
        opened(run, 0.1, PORT + 9)
        stall = {"act": "statement", "since": run.at(3.1), "port": PORT + 1, "id": "User-77"}
        run.witness("plain", k="stall", t=run.at(3.65), **stall)
        fails(run, 3.12, EXHAUSTED, "checkout", port=None, handed=None)
        (one,) = of(run)
    assert one.relation is tie


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Recorded]:
    """Answers that come 20 ms late (0 to 4 s), then a limit of 300 ms on statements (4 to 8 s)."""
    limit = {"name": "server_setting", "setting": "statement_timeout", "after_ms": 300}
    phases = (
        {"name": "late", "fault": {"name": "latency", "ms": 20}, "seconds": 4},
        {"name": "limit", "fault": limit, "seconds": 4},
    )
    with Recorded(tmp_path / "limited", scenario(*phases)) as recorded:
        recorded.phase("late", [(0, 2, None), (2, 4, None)])
        recorded.phase("limit", [(4, 6, None), (6, 8, None)])
        recorded.act("plain", "inject", "latency", -0.5, "late")
        recorded.act("plain", "heal", "latency", 3.9, "limit")
        recorded.act("plain", "inject", "server_setting", 3.95, "limit")
        recorded.requests("plain", [9])
        recorded.finish()
        yield recorded


@pytest.mark.parametrize(("took_s", "tie"), [(0.1, Relation.DIRECT), (0.9, Relation.UNATTRIBUTED)])
def test_a_latency_is_blamed_for_as_much_as_it_makes(limited: Recorded, took_s: float, tie: Relation) -> None:
    """A time limit of 100 ms may have been exceeded because of it, one of 900 ms was not."""
    gave_up = [link("builtins.TimeoutError")]
    opened(limited, 0.1)
    fails(limited, 1.0, gave_up, began=limited.at(1.03 - took_s))
    assert [one.relation for one in of(limited)] == [tie]


def test_a_latency_does_not_fill_a_pool_by_being_there(limited: Recorded) -> None:
    """Nobody hangs in the database for long: whoever holds the connections does something else with them."""
    opened(limited, 0.1)
    fails(limited, 1.0, EXHAUSTED, "checkout", port=None, handed=None)
    assert [one.relation for one in of(limited)] == [Relation.UNATTRIBUTED]


@pytest.mark.parametrize(("took_s", "tie"), [(0.3, Relation.DIRECT), (0.1, Relation.UNATTRIBUTED)])
def test_a_statement_limit_cancels_what_takes_that_long(
    limited: Recorded, took_s: float, tie: Relation
) -> None:
    """What was cancelled after a third of it was cancelled by somebody else, such as a limit of the service's own."""
    opened(limited, 0.1)
    fails(limited, 5.0, CANCELLED, began=limited.at(5.03 - took_s))
    assert [one.relation for one in of(limited)] == [tie]


def test_a_setting_is_blamed_for_what_it_does_only(limited: Recorded) -> None:
    """While statements are limited, a write that a read-only database refuses is somebody else's affair."""
    fails(limited, 5.0, [link("psycopg.errors.ReadOnlySqlTransaction", sqlstate="25006")])
    opened(limited, 4.5)
    limited.proxy("link_ended", 5.02, arm="plain", port=PORT, ender="server")
    assert [one.relation for one in of(limited)] == [Relation.UNATTRIBUTED]


@pytest.mark.parametrize(("ended_at", "tie"), [(2.3, Relation.DIRECT), (3.0, Relation.UNATTRIBUTED)])
def test_a_session_keeps_a_limit_until_its_next_statement(
    tmp_path: Path, ended_at: float, tie: Relation
) -> None:
    """Begun under a limit of 300 ms that is lifted before it is over: it ends by it, up to 300 ms after that."""
    limit = {"name": "server_setting", "setting": "idle_in_transaction_session_timeout", "after_ms": 300}
    with Recorded(tmp_path / "run", scenario({"name": "limit", "fault": limit, "seconds": 2})) as run:
        run.phase("limit", [(0, 2, None)])
        run.act("plain", "inject", "server_setting", 0.0, "limit")
        run.act("plain", "heal", "server_setting", 2.1, "limit")
        run.requests("plain", [9])
        run.finish()
        opened(run, 0.1)
        run.proxy("link_ended", ended_at, arm="plain", port=PORT, ender="server")
        said = {"where": "statement", "port": PORT, "dead_at_checkout": False, "dead": True, "statement": 1}
        times = {"t": run.at(3.42), "began": run.at(3.41), "handed": run.at(1.95)}
        gone = [link("psycopg.errors.IdleInTransactionSessionTimeout", sqlstate="25P03", invalidated=True)]
        run.request("plain", 1.9, 1530, errors=[{**said, **times, "transaction": 1, "chain": gone}])
        (one,) = of(run)
    assert one.relation is tie


@pytest.mark.parametrize(("at", "tie"), [(1.1, Relation.DIRECT), (1.8, Relation.UNATTRIBUTED)])
def test_a_pooler_remembers_a_server_that_it_did_not_reach(tmp_path: Path, at: float, tie: Relation) -> None:
    """For server_login_retry seconds PgBouncer tells its clients of a restart that is over, and not for longer."""
    phase = {"name": "restart", "fault": {"name": "server_restart"}, "episodes": 1, "every_s": 4}
    pooled = scenario(phase).model_copy(
        update={"pgbouncer": PgBouncerSettings(pool_mode="transaction", server_login_retry=0.5)}
    )
    with Recorded(tmp_path / "run", pooled) as run:
        run.phase("restart", [(0, 4, 0.5)])
        run.act("plain", "inject", "server_restart", 0.5, "restart", 0)
        run.requests("plain", [9])
        run.finish()
        opened(run, 0.1)
        fails(
            run,
            at,
            [link("psycopg.errors.ProtocolViolation", "server login has been failing", sqlstate="08P01")],
        )
        (one,) = of(run)
    assert one.relation is tie


@pytest.mark.parametrize(
    ("ended_at", "tie"),
    [
        (1.025, Relation.DIRECT),
        (1.015, Relation.UNATTRIBUTED),  # before it had asked anything: nobody told it to
    ],
)
def test_who_hangs_up_on_the_servers_farewell_was_ended_by_it(
    tmp_path: Path, ended_at: float, tie: Relation
) -> None:
    """Under TLS a client that is told of its end closes first: the proxy sees the client go, not the server."""
    phase = {"name": "kill", "fault": {"name": "backend_kill"}, "episodes": 1, "every_s": 2}
    with Recorded(tmp_path / "run", scenario(phase)) as run:
        run.phase("kill", [(0, 2, 1.0)])
        run.act("plain", "inject", "backend_kill", 1.0, "kill", 0)
        run.requests("plain", [9])
        run.finish()
        opened(run, 0.5)
        run.proxy("link_ended", ended_at, arm="plain", port=PORT, ender="client")
        fails(run, 1.0, [link("psycopg2.OperationalError", "SSL connection has been closed unexpectedly")])
        (one,) = of(run)
    assert one.relation is tie
