"""Which processes of a run stand still, or have no descriptor left, as the kernel says: they cannot tell it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil

from brokenpipe.drive.gauges.sampler import SampledProcess
from brokenpipe.history.silences import How

JANITOR = "janitor"
CONNECTION_PARTS = frozenset({"toxiproxy", "pgbouncer"})
"""Parts that carry connections, and refuse the next one for want of a descriptor. What a service does is its own."""
PROCESS_SILENCES = frozenset({"stopped", "ended", "no_files"})
"""In which ways a look at a process finds it."""
_STOPPED, _ENDED = frozenset("Tt"), frozenset("ZX")  # as in /proc/PID/stat
_HAS_PROC = Path("/proc/self/stat").exists()  # three times as fast as psutil


@dataclass(frozen=True, slots=True)
class SilenceKey:
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

    parts: Sequence[SampledProcess]
    _members: dict[int, SampledProcess] = field(default_factory=dict)

    def refresh(self) -> None:
        """Look who there is: a family changes while it is at work. Costs more than a look at its members."""
        children: dict[int, list[int]] = {}
        for pid in psutil.pids():
            state = _state(pid)
            if state is not None:
                children.setdefault(state[1], []).append(pid)
        owners = {each.current_pid(): each for each in self.parts}
        self._members = dict(_descendants(os.getpid(), None, children, owners))

    def check(self) -> Iterator[SilenceKey]:
        """Those that stand still now or have no descriptor left, and a janitor that has ended."""
        for pid, part in self._members.items():
            state = _state(pid)
            if state is not None and state[0] in _STOPPED:
                yield SilenceKey(part.role, part.arm, pid, "stopped")
            if part.role in CONNECTION_PARTS and _has_no_files(pid):
                yield SilenceKey(part.role, part.arm, pid, "no_files")
        yield from self._janitor()

    def _janitor(self) -> Iterator[SilenceKey]:
        """Of every other part that ends the roll call tells."""
        for part in self.parts:
            pid = part.current_pid() if part.role == JANITOR else 0
            if pid and ((state := _state(pid)) is None or state[0] in _ENDED):
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


def _state(pid: int) -> tuple[str, int] | None:
    """The state of a process, as a letter, and its parent; None: it is gone."""
    if not _HAS_PROC:
        return _state_by_psutil(pid)
    # A lack of descriptors is not suppressed: nobody has ended because of that.
    with suppress(FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            state, parent = os.read(file, 512).rpartition(b")")[2].split(None, 2)[:2]
        finally:
            os.close(file)
        return state.decode(), int(parent)
    return None


def _has_no_files(pid: int) -> bool:
    """Whether the lowest descriptor that is free lies above the limit of that process. False where nobody can tell."""
    gone = (FileNotFoundError, ProcessLookupError)
    with suppress(*gone, PermissionError, ValueError, AttributeError):  # prlimit is of Linux only
        most, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
        return 0 <= most <= next(number for number in count() if number not in taken)
    return False


_LETTERS = {psutil.STATUS_STOPPED: "T", psutil.STATUS_TRACING_STOP: "t", psutil.STATUS_ZOMBIE: "Z"}


def _state_by_psutil(pid: int) -> tuple[str, int] | None:
    """Where there is no /proc, as on macOS."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return _LETTERS.get(process.status(), "S"), process.ppid()
    return None
