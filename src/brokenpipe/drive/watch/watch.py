"""The watch: checks every part of a run from outside, and records which stands still or does not answer.

    4 times a second   the state of every process that the run owns, by the kernel's word
    once a second      a new connection to Postgres, and to each PgBouncer, past every proxy
    always             how late its own loop woke: then the harness itself stood still

A process that stands still cannot report it: the loop that would measure its own lateness stands still, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from brokenpipe.drive.gauges.sampler import SampledProcess
from brokenpipe.drive.watch.new_connection import AnswerCheck, pgbouncer_answers, postgres_answers
from brokenpipe.drive.watch.process_states import JANITOR, PROCESS_SILENCES, ProcessStates, SilenceKey
from brokenpipe.errors import RecordingError
from brokenpipe.history.silences import SilenceEdge, WatchedPart, WatchTick
from brokenpipe.history.writer import Writer, open_writer
from brokenpipe.shortages import ignoring_lack_of_files
from brokenpipe.stack.stack import Stack

CHECK_EVERY_S = 0.25
REFRESH_EVERY = 8  # checks: processes start and end less often than they change state
RECORD_EVERY = 4  # looks
ASK_EVERY_S = 1.0
LATE_NS = 1_000_000_000  # as late as makes Locust starved
JOIN_S = 3.0  # for a thread to end: one that asks has so much patience
SHARED = frozenset({"load", "postgres", "pgbouncer", "toxiproxy"})
"""Parts without which no arm goes on."""


class SilenceMonitor(Protocol):
    """Knows what is silent now, and records loops that woke late."""

    def silent_for_s(self, parts: Collection[str] | None = None) -> float:
        """How long the longest silence of these parts has lasted by now; 0: none is silent."""

    def record_late(self, since: int, until: int) -> None:
        """Record that a loop of the harness did nothing in between. Raises RecordingError."""


class NoSilenceMonitor:
    """A monitor that sees nothing."""

    def silent_for_s(self, parts: Collection[str] | None = None) -> float:  # noqa: ARG002
        return 0.0

    def record_late(self, since: int, until: int) -> None:
        pass


class Watch:
    """What is silent now. Made by `watching`; safe to share between threads."""

    def __init__(self, log: Writer) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._silent: dict[SilenceKey, int] = {}
        self._late_until = 0

    def silent_for_s(self, parts: Collection[str] | None = None) -> float:
        """As in SilenceMonitor. None: any part but the janitor, which nothing waits for."""
        with self._lock:
            concerned = (
                t
                for key, t in self._silent.items()
                if key.how != "no_files"  # it still serves its open connections
                and (key.part != JANITOR if parts is None else key.part in parts)
            )
            since = min(concerned, default=None)
        return 0.0 if since is None else (time.monotonic_ns() - since) / 1e9

    def record(self, key: SilenceKey, since: int, *, silent: bool) -> None:
        """Note whether a part is silent, as seen at `since`; record it if that changes. Raises RecordingError."""
        with self._lock:
            if silent == (key in self._silent):
                return
            if silent:
                self._silent[key] = since
            else:
                del self._silent[key]
        edge = "begin" if silent else "end"
        self._log.write(SilenceEdge(since, edge, key.part, key.arm, key.pid, key.how))  # type: ignore[arg-type]

    def record_states(self, stopped: Collection[SilenceKey], t: int) -> None:
        """Note the processes that stand still at `t`; all others do not. Raises RecordingError."""
        with self._lock:
            before = [key for key in self._silent if key.how in PROCESS_SILENCES]
        for key in before:
            self.record(key, t, silent=key in stopped)
        for key in stopped:
            self.record(key, t, silent=True)

    def record_late(self, since: int, until: int) -> None:
        """As in SilenceMonitor. Loops that stood still together are recorded once."""
        with self._lock:
            if since < self._late_until:
                return
            self._late_until = until
        for t, edge in ((since, "begin"), (until, "end")):
            self._log.write(SilenceEdge(t, edge, "harness", None, None, "late"))  # type: ignore[arg-type]


@dataclass(slots=True)
class _ProcessChecks:
    """Checks the processes, and how late it does so."""

    watch: Watch
    states: ProcessStates
    log: Writer
    _checks: int = 0
    _previous_ns: int = field(default_factory=time.monotonic_ns)

    def check(self) -> None:
        now = time.monotonic_ns()
        if now - self._previous_ns > CHECK_EVERY_S * 1e9 + LATE_NS:
            self.watch.record_late(self._previous_ns, now)
        if self._checks % REFRESH_EVERY == 0:
            self.states.refresh()
        if self._checks % RECORD_EVERY == 0:
            self.log.write(WatchTick(now))
        self._checks += 1
        self.watch.record_states(frozenset(self.states.check()), now)
        self._previous_ns = now


@dataclass(slots=True)
class _ServerCheck:
    """Asks one server for a new connection."""

    watch: Watch
    part: str
    answers: AnswerCheck

    def check(self) -> None:
        key, before = SilenceKey(self.part, None, None, "no_answer"), time.monotonic_ns()
        answered = self.answers()
        if answered is not None:
            self.watch.record(key, time.monotonic_ns() if answered else before, silent=not answered)


def _repeat(check: Callable[[], None], every_s: float, over: threading.Event) -> None:
    # A full disk ends the experiment through the other writers; here it only ends the watch.
    with suppress(RecordingError):
        while not over.wait(every_s):
            with ignoring_lack_of_files():
                check()


@contextmanager
def watching(parts: Sequence[SampledProcess], stack: Stack, path: Path) -> Iterator[Watch]:
    """Check these parts and the stack's servers for as long as the block lasts. Raises RecordingError."""
    with open_writer(path, "watch") as log:
        watch, over = Watch(log), threading.Event()
        for part in parts:
            log.write(WatchedPart(time.monotonic_ns(), part.role, part.arm))
        checks: list[tuple[Callable[[], None], float]] = [
            (_ProcessChecks(watch, ProcessStates(parts), log).check, CHECK_EVERY_S),
            (_ServerCheck(watch, "postgres", partial(postgres_answers, stack.postgres)).check, ASK_EVERY_S),
        ]
        for name, pgbouncer in stack.pgbouncers.items():
            answers = partial(pgbouncer_answers, pgbouncer)
            checks.append((_ServerCheck(watch, name, answers).check, ASK_EVERY_S))
        threads = [
            threading.Thread(target=_repeat, args=(check, every_s, over), name="watch", daemon=True)
            for check, every_s in checks
        ]
        for thread in threads:
            thread.start()
        try:
            yield watch
        finally:
            over.set()
            for thread in threads:
                thread.join(JOIN_S)
