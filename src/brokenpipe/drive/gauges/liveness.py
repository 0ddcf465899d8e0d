"""Checks that all processes of a run are alive. A process that has ended is recorded once, as a doubt.

The experiment goes on: what the other arms show is still worth having, and the failures of an arm whose
target is gone are counted like any other. Only a verdict cannot rest on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from brokenpipe.history.records import RecordedDoubt
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import Writer
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.stack import Stack

LAST_LINES = 3


@dataclass(slots=True)
class LivenessCheck:
    """Checks every target with its workers, Postgres, Toxiproxy and PgBouncer.

    The workers are those that run at the first call: a service may start and end helpers as it likes.
    """

    stack: Stack
    log: Writer
    _reported: set[int] = field(default_factory=set)
    _workers: dict[str, list[psutil.Process]] | None = None

    def __call__(self, phase: str | None) -> None:
        """Record a doubt for each process that has ended since the last call. Raises RecordingError."""
        for code, arm, member in self._members():
            if not member.running and member.pid not in self._reported:
                self._reported.add(member.pid)
                self.log.write(_ended_doubt(code, arm, member, phase))
        if self._workers is None:
            self._workers = {
                name: _child_processes(arm.service.child) for name, arm in self.stack.arms.items()
            }
        for arm_name, workers in self._workers.items():
            self._check_workers(arm_name, workers, phase)

    def _check_workers(self, arm: str, workers: list[psutil.Process], phase: str | None) -> None:
        root = self.stack.arms[arm].service.child
        if root.pid in self._reported:  # its workers ended with it
            return
        for worker in workers:
            if worker.pid not in self._reported and not _is_alive(worker):
                self._reported.add(worker.pid)
                text = f"process {worker.pid} of {root.name} ended {_when(phase)}; {_last_lines_text(root)}"
                self.log.write(RecordedDoubt.of(Code.TARGET_RESTARTED, text, arm=arm))

    def _members(self) -> Iterator[tuple[Code, str | None, Child]]:
        yield Code.POSTGRES_DIED, None, self.stack.postgres.child
        for pgbouncer in self.stack.pgbouncers.values():
            yield Code.PGBOUNCER_DIED, None, pgbouncer.child
        yield Code.TOXIPROXY_DIED, None, self.stack.toxiproxy.child
        for name, arm in self.stack.arms.items():
            yield Code.TARGET_DIED, name, arm.service.child


def _ended_doubt(code: Code, arm: str | None, member: Child, phase: str | None) -> RecordedDoubt:
    text = (
        f"{member.name} ended by itself {_when(phase)}, with {member.exit_text}; {_last_lines_text(member)}"
    )
    # Without a phase: what follows is as doubtful as the phase in which it was noticed.
    return RecordedDoubt.of(code, text, arm=arm)


def _when(phase: str | None) -> str:
    return f"in {phase}" if phase else "before the first phase"


def _last_lines_text(member: Child) -> str:
    last = " | ".join(line.strip() for line in member.last_lines(LAST_LINES) if line.strip())
    return f"its last lines: {last or 'none'}"


def _child_processes(root: Child) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return psutil.Process(root.pid).children(recursive=True)
    return []


def _is_alive(process: psutil.Process) -> bool:
    """Whether it is the same process still, and no zombie."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
