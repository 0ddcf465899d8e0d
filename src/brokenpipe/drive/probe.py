"""Gauges: once a second, what every process, the machine and Postgres are doing. A thread of its own."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import psutil
import psycopg

from brokenpipe.errors import RecordingError
from brokenpipe.history.records import MachineGauge, PostgresGauge, ProcessGauge
from brokenpipe.history.writer import Writer

EVERY_S = 1.0

Role = Literal["harness", "load", "toxiproxy", "postgres", "target"]

_ACTIVITY = """
SELECT datname, count(*), count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'idle'),
       count(*) FILTER (WHERE state LIKE 'idle in transaction%%')
FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = ANY(%s) GROUP BY datname
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A process to gauge, together with all its children."""

    role: Role
    arm: str | None
    pid: int


@contextmanager
def probing(
    watched: Sequence[Watched], databases: Mapping[str, str], dsn: str, log: Writer
) -> Iterator[None]:
    """Write gauges for as long as the block lasts.

    `databases` gives each arm's database; `dsn` goes straight to Postgres, past every proxy. A database that
    does not answer leaves a gap and nothing else.
    """
    stop = threading.Event()
    probe = _Probe(watched, {database: arm for arm, database in databases.items()}, dsn, log)
    thread = threading.Thread(target=probe.run, args=(stop,), name="probe", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)


class _Probe:
    def __init__(self, watched: Sequence[Watched], arms: Mapping[str, str], dsn: str, log: Writer) -> None:
        self._watched = watched
        self._arms = arms
        self._dsn = dsn
        self._log = log
        self._connection: psycopg.Connection[tuple[str, int, int, int, int]] | None = None
        self._machine = psutil.cpu_times()

    def run(self, stop: threading.Event) -> None:
        # A full disk ends the experiment through the other writers; here it only ends the gauges.
        with suppress(RecordingError):
            while not stop.wait(EVERY_S):
                self._gauge_machine()
                self._gauge_processes()
                self._gauge_postgres()
        if self._connection is not None:
            self._connection.close()

    def _gauge_machine(self) -> None:
        before, self._machine = self._machine, psutil.cpu_times()
        spent = {
            name: now - then for name, now, then in zip(before._fields, self._machine, before, strict=True)
        }
        # Linux counts guest time in user time as well.
        total = sum(spent.values()) - spent.get("guest", 0) - spent.get("guest_nice", 0)
        if total > 0:
            idle = spent["idle"] + spent.get("iowait", 0)
            gauge = MachineGauge(
                t=time.monotonic_ns(), busy=1 - idle / total, stolen=spent.get("steal", 0) / total
            )
            self._log.write(gauge)

    def _gauge_processes(self) -> None:
        children = defaultdict(list)
        for process in psutil.process_iter(["ppid"]):
            children[process.info["ppid"]].append(process.pid)
        roots = {each.pid for each in self._watched}
        now = time.monotonic_ns()
        for each in self._watched:
            usages = [_usage(pid, each.pid) for pid in _with_descendants(each.pid, children, roots)]
            cpu_s, rss_bytes = sum(cpu for cpu, _ in usages), sum(rss for _, rss in usages)
            if rss_bytes:
                self._log.write(ProcessGauge(now, each.role, each.arm, cpu_s, rss_bytes))

    def _gauge_postgres(self) -> None:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=2)
            rows = self._connection.execute(_ACTIVITY, (list(self._arms),)).fetchall()
        except psycopg.Error:
            self._connection = None
            return
        now = time.monotonic_ns()
        for database, total, active, idle, in_transaction in rows:
            gauge = PostgresGauge(now, self._arms[database], total, active, idle, in_transaction)
            self._log.write(gauge)


def _usage(pid: int, root: int) -> tuple[float, int]:
    """Processor seconds and resident bytes of one process; zeros if it has just ended."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        times, rss = process.cpu_times(), process.memory_info().rss
        # What the root's ended children used, the kernel has added to the root; those of a backend are its own.
        ended = times.children_user + times.children_system if pid == root else 0.0
        return times.user + times.system + ended, rss
    return 0.0, 0


def _with_descendants(root: int, children: Mapping[int, Sequence[int]], roots: set[int]) -> Iterator[int]:
    """A process and those below it, but not those that are gauged on their own."""
    yield root
    for child in children.get(root, ()):
        if child not in roots:
            yield from _with_descendants(child, children, roots)
