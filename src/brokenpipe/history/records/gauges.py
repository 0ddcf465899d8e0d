"""gauges.ndjson: what is sampled while a run goes on: processes, the machine, clocks, Postgres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from brokenpipe.history.records.base import Int32, Record, TimeNs


@dataclass(frozen=True, slots=True)
class ProcessGauge(Record):
    """Processor time (cumulative) and memory of one process with all its children.

    `rss_bytes` counts a page once for each process that has it; `private_bytes` leaves out what is shared with others
    or with a file. Only Postgres has it, whose processes share a cache that fills up by design, and only on Linux.
    """

    KIND: ClassVar[str] = "process"
    TABLE: ClassVar[str] = "process_gauges"
    FILES: ClassVar[str] = "gauges*.ndjson"
    t: TimeNs
    role: str  # harness, load, worker w1, toxiproxy, pgbouncer, postgres or target
    arm: str | None
    cpu_s: float
    rss_bytes: int
    private_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MachineGauge(Record):
    """How busy all cores were since the last gauge, and how much a hypervisor stole, as shares 0..1."""

    KIND: ClassVar[str] = "machine"
    TABLE: ClassVar[str] = "machine_gauges"
    FILES: ClassVar[str] = "gauges*.ndjson"
    t: TimeNs
    busy: float
    stolen: float
    throttled: float | None = None  # share of the quota's periods in which it was used up; None: no quota


@dataclass(frozen=True, slots=True)
class ClockReading(Record):
    """One instant on every clock. `boot_ns` goes on while the machine sleeps; None where there is no such clock."""

    KIND: ClassVar[str] = "tick"
    TABLE: ClassVar[str] = "ticks"
    FILES: ClassVar[str] = "gauges*.ndjson"
    t: TimeNs
    wall_ns: int
    boot_ns: int | None


@dataclass(frozen=True, slots=True)
class PostgresGauge(Record):
    """Client backends of one arm's database, from `pg_stat_activity`, read past the proxy.

    `transactions` is cumulative; Postgres adds to it late, if a session touches no table not before its end.
    `worked`: backends that did something since the last gauge. `direct`: those of them whose client did not come
    through Toxiproxy; None: not known. `killed` is cumulative: sessions that were ended by an administrator's order, as
    pg_terminate_backend gives it; None: Postgres before 14 does not count them, and older histories have none.
    """

    KIND: ClassVar[str] = "postgres"
    TABLE: ClassVar[str] = "postgres_gauges"
    FILES: ClassVar[str] = "gauges*.ndjson"
    t: TimeNs
    arm: str
    connections: Int32
    active: Int32
    idle: Int32
    idle_in_transaction: Int32
    transactions: int | None = None
    worked: Int32 | None = None
    direct: Int32 | None = None
    killed: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectionSlots(Record):
    """Client backends of the whole server, and how many it allows, without those that it reserves."""

    KIND: ClassVar[str] = "slots"
    TABLE: ClassVar[str] = "slots"
    FILES: ClassVar[str] = "gauges*.ndjson"
    t: TimeNs
    used: Int32
    allowed: Int32


@dataclass(frozen=True, slots=True)
class ServerStart(Record):
    """When Postgres began, by its own clock: its postmaster, and the helper processes that this one starts.

    Helpers younger than they were, of the same postmaster: one process of the server crashed or was killed, and the
    postmaster ended all others, every session among them, and began anew.
    """

    KIND: ClassVar[str] = "server_start"
    TABLE: ClassVar[str] = "server_starts"
    FILES: ClassVar[str] = "gauges*.ndjson"
    t: TimeNs
    postmaster_us: int
    helpers_us: int
