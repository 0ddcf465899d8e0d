"""Self-test of commit_cut: a transaction through a scratch proxy, compared with what the database holds.

    psycopg ──▶ scratch proxy with the fault ──▶ Postgres ◀── psycopg

The echo server of the other self-tests has no transactions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing

import psycopg
from psycopg import sql

from brokenpipe.faults import CommitCut, Fault, ProxyControl
from brokenpipe.history.records import SelfTest
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer

COMMITTING = "committing"
CONNECT_TIMEOUT_S = 2
EXPECTED = {
    "reply": "committed, the client hears nothing; the next commit passes",
    "commit": "not committed, the client hears nothing; the next commit passes",
}


def self_test_commits(
    faults: Iterable[Fault],
    server: ToxiproxyServer,
    postgres: Postgres,
    *,
    wire_of: Callable[[Proxy], ProxyControl] = lambda proxy: proxy,
) -> list[SelfTest]:
    """Test each different commit_cut among the faults. Raises ProxyError when the server refuses."""
    cuts = [fault for fault in dict.fromkeys(faults) if isinstance(fault, CommitCut)]
    return [_test_commit(fault, server, postgres, wire_of) for fault in cuts]


def _test_commit(
    fault: CommitCut, server: ToxiproxyServer, postgres: Postgres, wire_of: Callable[[Proxy], ProxyControl]
) -> SelfTest:
    try:
        return _cut_and_count(fault, server, postgres, wire_of)
    except psycopg.Error as error:
        seen = f"nothing: {' '.join(str(error).split())}"
        return _result_of(fault, seen, 0.0)


def _cut_and_count(
    fault: CommitCut, server: ToxiproxyServer, postgres: Postgres, wire_of: Callable[[Proxy], ProxyControl]
) -> SelfTest:
    table = sql.Identifier(f"commit_probe_{time.monotonic_ns()}")
    with (
        server.scratch_proxy((postgres.host, postgres.port), rst_on_close=fault.armed) as proxy,
        psycopg.connect(postgres.dsn(), autocommit=True) as direct,
    ):
        direct.execute(sql.SQL("CREATE TABLE {} (n int)").format(table))
        through = postgres.dsn(host=proxy.host, port=proxy.port)
        try:
            before = time.monotonic()
            heard = _insert(through, table, lambda: fault.inject(wire_of(proxy)))
            after_ms = 1e3 * (time.monotonic() - before)
            there = _count(direct, table) == 1
            passed = _insert(through, table, lambda: None)
        finally:
            direct.execute(sql.SQL("DROP TABLE {}").format(table))
    seen = (
        f"{'' if there else 'not '}committed, the client hears {'of it' if heard else 'nothing'}; "
        f"the next commit {'passes' if passed else 'is cut, too'}"
    )
    return _result_of(fault, seen, after_ms)


def _result_of(fault: CommitCut, seen: str, after_ms: float) -> SelfTest:
    expected = EXPECTED[fault.lost]
    return SelfTest(
        time.monotonic_ns(),
        fault.name,
        COMMITTING,
        expected,
        seen,
        after_ms,
        seen == expected,
        fault.parameters,
    )


def _insert(dsn: str, table: sql.Identifier, before_commit: Callable[[], None]) -> bool:
    """Write one row in a transaction. Returns whether the client saw the commit acknowledged."""
    try:
        with closing(psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S)) as connection:
            connection.execute(sql.SQL("INSERT INTO {} VALUES (1)").format(table))
            before_commit()
            connection.commit()
    except psycopg.OperationalError:
        return False
    return True


def _count(direct: psycopg.Connection[tuple[int]], table: sql.Identifier) -> int:
    row = direct.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    return row[0] if row else 0
