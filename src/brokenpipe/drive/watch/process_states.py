"""States of the processes of a run, read from the kernel: stopped, ended, or without a free descriptor."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from brokenpipe.drive.gauges.process_table import parents, state_of
from brokenpipe.drive.gauges.sampler import SampledProcess
from brokenpipe.history.silences import SilenceKind

JANITOR = "janitor"
CONNECTION_PARTS = frozenset({"toxiproxy", "pgbouncer"})
"""Parts that carry connections, and refuse the next one if they have no descriptor left."""
PROCESS_SILENCES = frozenset({"stopped", "ended", "no_files"})
"""Silences that are seen in the state of a process."""
_STOPPED, _ENDED = frozenset("Tt"), frozenset("ZX")  # as in /proc/PID/stat


@dataclass(frozen=True, slots=True)
class SilenceKey:
    """A part that is silent, and how."""

    part: str
    arm: str | None
    pid: int | None
    how: SilenceKind


@dataclass(slots=True)
class ProcessStates:
    """Checks the processes of these parts with all their descendants, as far as they are below this process.

    Processes in containers are not: the engine reports them. Nor is the harness, which cannot see itself stopped.
    """

    parts: Sequence[SampledProcess]
    _members: dict[int, SampledProcess] = field(default_factory=dict)

    def refresh(self) -> None:
        """List the processes anew: parts start and end some. Costs more than `check`."""
        children: dict[int, list[int]] = {}
        for pid, parent in parents():
            children.setdefault(parent, []).append(pid)
        owners = {part.current_pid(): part for part in self.parts}
        self._members = dict(_descendants(os.getpid(), None, children, owners))

    def check(self) -> Iterator[SilenceKey]:
        """Processes that are stopped now or have no descriptor left, and a janitor that has ended."""
        for pid, part in self._members.items():
            state = state_of(pid)
            if state is not None and state[0] in _STOPPED:
                yield SilenceKey(part.role, part.arm, pid, "stopped")
            if part.role.partition(" ")[0] in CONNECTION_PARTS and _has_no_files(pid):
                yield SilenceKey(part.role, part.arm, pid, "no_files")
        yield from self._janitor()

    def _janitor(self) -> Iterator[SilenceKey]:
        """A janitor that has ended. LivenessCheck reports every other part."""
        for part in self.parts:
            pid = part.current_pid() if part.role == JANITOR else 0
            if pid and ((state := state_of(pid)) is None or state[0] in _ENDED):
                yield SilenceKey(part.role, part.arm, pid, "ended")


def _descendants(
    root: int, owner: SampledProcess | None, children: dict[int, list[int]], owners: dict[int, SampledProcess]
) -> Iterator[tuple[int, SampledProcess]]:
    """Every process below one, with the part that it belongs to: the nearest above it, or itself."""
    for pid in children.get(root, ()):
        part = owners.get(pid, owner)
        if part is not None:
            yield pid, part
        yield from _descendants(pid, part, children, owners)


def _has_no_files(pid: int) -> bool:
    """Whether the lowest free descriptor lies above the limit of that process. False where that is not known."""
    gone = (FileNotFoundError, ProcessLookupError)
    with suppress(*gone, PermissionError, ValueError, AttributeError):  # prlimit is of Linux only
        most, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
        return 0 <= most <= next(number for number in count() if number not in taken)
    return False
