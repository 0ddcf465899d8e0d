"""Samples every process, the machine, Postgres and Toxiproxy once a second, in threads."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from brokenpipe.drive.gauges.machine import MachineSampler, read_clocks
from brokenpipe.drive.gauges.postgres import PostgresSampler
from brokenpipe.drive.gauges.process_table import parents
from brokenpipe.errors import ProxyError, ProxyHung, RecordingError
from brokenpipe.history.records import ProcessGauge, RecordedDoubt
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import Writer
from brokenpipe.shortages import ignoring_lack_of_files
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.stack import Stack

EVERY_S = 1.0
JOIN_S = 2.0  # for a thread to end: one that waits for a hanging server does not


@dataclass(frozen=True, slots=True)
class SampledProcess:
    """A process to sample, together with all its children. `current_pid`: Toxiproxy and Postgres may be restarted."""

    role: str  # as in ProcessGauge
    arm: str | None
    current_pid: Callable[[], int]


@contextmanager
def sampling(
    watched: Sequence[SampledProcess],
    databases: Mapping[str, str],
    stack: Stack,
    log: Writer,
    doubts: Writer,
) -> Iterator[None]:
    """Sample and record for as long as the block lasts.

    `databases` gives each arm's database; Postgres is asked past every proxy. If it does not answer, the samples have
    a gap; if Toxiproxy does not answer, a doubt is recorded.
    """
    stop = threading.Event()
    database = PostgresSampler(stack.postgres.dsn(), {database: arm for arm, database in databases.items()})
    probe = _ProcessSampler(watched, log)
    threads = [
        threading.Thread(target=target, args=(*arguments, stop), name=name, daemon=True)
        for name, target, arguments in (
            ("probe", probe.run, ()),
            ("probe of postgres", _sample_postgres, (database, stack, log)),
            ("pulse", _check_toxiproxy, (stack.toxiproxy, doubts)),
        )
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_S)


class _ProcessSampler:
    def __init__(self, watched: Sequence[SampledProcess], log: Writer) -> None:
        self._watched = watched
        self._log = log
        self._machine = MachineSampler()

    def run(self, stop: threading.Event) -> None:
        # A full disk ends the experiment through the other writers; here it only ends the gauges.
        with suppress(RecordingError):
            while not stop.wait(EVERY_S):
                self._log.write(read_clocks())
                with ignoring_lack_of_files():
                    if gauge := self._machine.sample():
                        self._log.write(gauge)
                    self._sample_processes()

    def _sample_processes(self) -> None:
        children = defaultdict(list)
        for pid, parent in parents():
            children[parent].append(pid)
        pids = [each.current_pid() for each in self._watched]
        now = time.monotonic_ns()
        for each, pid in zip(self._watched, pids, strict=True):
            members = list(_with_descendants(pid, children, set(pids)))
            usages = [_usage(member, pid) for member in members]
            cpu_s, rss_bytes = sum(usage.cpu_s for usage in usages), sum(usage.rss_bytes for usage in usages)
            if rss_bytes:
                private_bytes = _private_bytes(usages) if each.role == "postgres" else None
                self._log.write(ProcessGauge(now, each.role, each.arm, cpu_s, rss_bytes, private_bytes))


def _sample_postgres(database: PostgresSampler, stack: Stack, log: Writer, stop: threading.Event) -> None:
    """Sample Postgres in a thread of its own: a server that stands still delays no other samples.

    It is asked once more at the end, for what happened since the last sample.
    """
    over = False
    with suppress(RecordingError):
        while not over:
            over = stop.wait(EVERY_S)
            with ignoring_lack_of_files():
                bypasses = stack.count_bypasses() if stack.count_bypasses else None
                for record in database.samples(stack.postgres_client_pids, bypasses):
                    log.write(record)
    database.close()


def _check_toxiproxy(server: ToxiproxyServer, doubts: Writer, stop: threading.Event) -> None:
    """Ask Toxiproxy for one proxy after the other. A silence is recorded once, as a doubt, until it answers again."""
    silent, turn = False, 0
    with suppress(RecordingError):
        while not stop.wait(EVERY_S):
            turn += 1
            try:
                server.check_answer(turn)
            except ProxyHung as hung:
                if not silent:
                    doubts.write(RecordedDoubt.of(Code.PROXY_HUNG, hung.message))
                silent = True
            except ProxyError:  # it is being restarted, or has ended: both are recorded elsewhere
                pass
            else:
                silent = False


class _Usage(NamedTuple):
    cpu_s: float
    rss_bytes: int
    # Of those, what files and shared memory have in it. None where the system does not say.
    shared_bytes: int | None


def _usage(pid: int, root: int) -> _Usage:
    """Processor time and memory of one process; zeros if it has just ended."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        times, memory = process.cpu_times(), process.memory_info()
        # What the root's ended children used, the kernel has added to the root; those of a backend are its own.
        ended = times.children_user + times.children_system if pid == root else 0.0
        return _Usage(times.user + times.system + ended, memory.rss, getattr(memory, "shared", None))
    return _Usage(0.0, 0, 0)


def _private_bytes(usages: Sequence[_Usage]) -> int | None:
    """Memory of processes together without what they share; None where the system does not say."""
    private = [usage.rss_bytes - usage.shared_bytes for usage in usages if usage.shared_bytes is not None]
    return sum(private) if len(private) == len(usages) else None


def _with_descendants(root: int, children: Mapping[int, Sequence[int]], roots: set[int]) -> Iterator[int]:
    """A process and those below it, but not those that are gauged on their own."""
    yield root
    for child in children.get(root, ()):
        if child not in roots:
            yield from _with_descendants(child, children, roots)
