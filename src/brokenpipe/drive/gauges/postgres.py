"""Samples of Postgres, read past every proxy: connections of each arm, transactions, and free connection slots."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
import psycopg

from brokenpipe.history.records import ConnectionSlots, PostgresGauge, Record, ServerStart

_BACKENDS = """
SELECT datname, pid, client_port, state, state_change
FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = ANY(%s)
"""
_COUNTS = (
    "SELECT datname, xact_commit + xact_rollback, {killed} FROM pg_stat_database WHERE datname = ANY(%s)"
)
_COUNTS_KILLED = 140_000  # the version from which on Postgres does
_SLOTS = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true), '0')::int
"""

# Helpers live as long as the postmaster, unless a process of the server crashes: then it starts all of them anew.
_STARTS = """
SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
       (extract(epoch FROM min(backend_start)) * 1000000)::bigint
FROM pg_stat_activity WHERE backend_type = 'checkpointer'
"""

Backend = tuple[str, int, int, str | None, object]  # as _BACKENDS has them
ConnectionKey = tuple[int, int]  # a backend's pid and its client's port: together they name one connection


@dataclass(frozen=True, slots=True)
class _ActivitySnapshot:
    """Backends at one moment: when each last changed its state, and which are not reached through Toxiproxy.

    Where a PgBouncer stands between, it is PgBouncer's connections that lead to them.
    """

    changed: Mapping[ConnectionKey, object]
    bypassing: frozenset[ConnectionKey]

    @classmethod
    def at(cls, backends: list[Backend], of_proxy: frozenset[int]) -> _ActivitySnapshot:
        changed = {(pid, port): change for _, pid, port, _, change in backends}
        return cls(changed, frozenset(place for place in changed if place[1] not in of_proxy))

    def active_since(self, before: _ActivitySnapshot) -> frozenset[ConnectionKey]:
        """Connections that are new or have done something since."""
        return frozenset(
            place for place, change in self.changed.items() if before.changed.get(place) != change
        )

    def direct_since(self, before: _ActivitySnapshot) -> frozenset[ConnectionKey]:
        """Connections that bypass Toxiproxy and are in use.

        Seen in two snapshots in a row, and active in between: a connection may open or end during a snapshot, and a
        backend whose client was cut off in the middle of a long statement lingers.
        """
        return self.bypassing & before.bypassing & self.active_since(before)


class PostgresSampler:
    """Samples one server. A server that does not answer leaves a gap and nothing else.

    `arms` gives the arm of each database; `proxy_pids` are of Toxiproxy, or of the PgBouncers
    behind it; they are asked at every gauge, for Toxiproxy may be restarted.
    """

    def __init__(self, dsn: str, arms: Mapping[str, str]) -> None:
        self._dsn = dsn
        self._arms = arms
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._before = _ActivitySnapshot({}, frozenset())

    def samples(
        self, proxy_pids: Sequence[int], bypasses: Mapping[str, int | None] | None = None
    ) -> list[Record]:
        """One for each arm, and one for the whole server. `bypasses`: as a stack's, if it can tell."""
        try:
            return list(self._sample(proxy_pids, bypasses))
        except psycopg.Error:
            self.close()
            return []

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sample(
        self, proxy_pids: Sequence[int], bypasses: Mapping[str, int | None] | None
    ) -> Iterator[Record]:
        if self._connection is None:
            self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=2)
        of_proxy = _local_ports(proxy_pids)
        backends: list[Backend] = self._connection.execute(_BACKENDS, (list(self._arms),)).fetchall()  # type: ignore[assignment]
        of_proxy |= _local_ports(proxy_pids)
        counts = self._counts(self._connection)
        used, allowed = self._connection.execute(_SLOTS).fetchone() or (0, 0)
        postmaster, helpers = self._connection.execute(_STARTS).fetchone() or (None, None)
        now = time.monotonic_ns()
        before, snapshot = self._before, _ActivitySnapshot.at(backends, of_proxy)
        self._before = snapshot
        worked, direct = snapshot.active_since(before), snapshot.direct_since(before)
        for database, arm in self._arms.items():
            mine = frozenset((pid, port) for name, pid, port, _, _ in backends if name == database)
            seen = len(mine & direct) if of_proxy else None
            states = [state or "" for name, _, _, state, _ in backends if name == database]
            yield PostgresGauge(
                t=now,
                arm=arm,
                connections=len(mine),
                active=states.count("active"),
                idle=states.count("idle"),
                idle_in_transaction=sum(state.startswith("idle in transaction") for state in states),
                transactions=counts.get(database, (None, None))[0],
                worked=len(mine & worked),
                direct=seen if bypasses is None else bypasses.get(arm),
                killed=counts.get(database, (None, None))[1],
            )
        yield ConnectionSlots(now, used, allowed)  # type: ignore[arg-type]
        if helpers is not None:
            yield ServerStart(now, postmaster, helpers)  # type: ignore[arg-type]

    def _counts(
        self, connection: psycopg.Connection[tuple[object, ...]]
    ) -> dict[object, tuple[int | None, int | None]]:
        """Transactions, and sessions that were killed, of each database since the statistics began."""
        killed = "sessions_killed" if connection.info.server_version >= _COUNTS_KILLED else "NULL"
        rows = connection.execute(_COUNTS.format(killed=killed), (list(self._arms),)).fetchall()
        return {name: (transactions, ended) for name, transactions, ended in rows}  # type: ignore[misc]


def _local_ports(pids: Sequence[int]) -> frozenset[int]:
    """The ports on our side of every connection that these processes have; empty if one may not be asked."""
    with suppress(psutil.Error):
        connections = (each for pid in pids for each in psutil.Process(pid).net_connections("tcp"))
        return frozenset(each.laddr.port for each in connections if each.laddr)
    return frozenset()
