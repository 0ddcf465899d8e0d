"""Which processes of a run stand still, by what the kernel says of each: a process that does cannot tell it itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from brokenpipe.drive.probe import Watched
from brokenpipe.history.silences import How

JANITOR = "janitor"
_STANDS = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP})
_GONE = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})


@dataclass(frozen=True, slots=True)
class Key:
    """What is silent, and in which way."""

    part: str
    arm: str | None
    pid: int | None
    how: How


@dataclass(slots=True)
class ProcessStates:
    """The processes of these parts with all that they have started, as far as they are below this process.

    Those in containers are not: of them the engine tells. Nor is the harness itself, which cannot see itself stand.
    """

    parts: Sequence[Watched]
    _members: list[tuple[Watched, psutil.Process]] = field(default_factory=list)

    def find(self) -> None:
        """Look who there is: a family changes while it is at work. Costs more than a look at its members."""
        owners = {each.current_pid(): each for each in self.parts}
        members = []
        for process in psutil.Process().children(recursive=True):  # each after its parent
            with suppress(psutil.Error):
                owner = owners.get(process.pid) or owners.get(process.ppid())
                if owner is not None:
                    owners[process.pid] = owner
                    members.append((owner, process))
        self._members = members

    def look(self) -> Iterator[Key]:
        """Those that stand still now, and a janitor that has ended."""
        for part, process in self._members:
            status = _status(process)
            if status in _STANDS:
                yield Key(part.role, part.arm, process.pid, "stopped")
        yield from self._janitor()

    def _janitor(self) -> Iterator[Key]:
        """Of every other part that ends the roll call tells."""
        for part in self.parts:
            if part.role == JANITOR:
                pid = part.current_pid()
                if pid and _has_ended(pid):
                    yield Key(part.role, part.arm, pid, "ended")


def _status(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return str(process.status())
    return psutil.STATUS_DEAD


def _has_ended(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() in _GONE
    return True
