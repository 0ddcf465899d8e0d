"""Pauses, resumes and kills a process together with all processes that it has started.

The parent is paused first: from then on no child is added, and no child is notified of the end of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import psutil

from brokenpipe.errors import StackError
from brokenpipe.stack.processes.ports import poll

_EFFECT_TIMEOUT_S = 5.0  # a process stops when it leaves the kernel, so one that waits for a disk stops later
_ENDED = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})
_STOPPED = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}) | _ENDED


def freeze(root: int) -> list[psutil.Process]:
    """Pause them all, and return them. Raises StackError if one goes on."""

    def paused() -> list[psutil.Process] | None:
        processes = with_descendants(root)
        running = [each for each in processes if _status(each) not in _STOPPED]
        _for_each(psutil.Process.suspend, running)
        return None if running else processes

    processes = poll(paused, timeout_s=_EFFECT_TIMEOUT_S, every_s=0.001)
    if processes is None:
        thaw(root)
        raise StackError(
            f"process {root}: not all of its processes are stopped {_EFFECT_TIMEOUT_S:g} s after SIGSTOP",
            remedy="See what they wait for: ps -eo pid,ppid,stat,wchan,cmd.",
        )
    return processes


def thaw(root: int) -> None:
    """Resume them all."""
    _for_each(psutil.Process.resume, with_descendants(root))


def kill(root: int) -> None:
    """End them all, and return when they are gone: frozen first, so that no child learns of its parent's end."""
    processes = freeze(root)
    kill_all(processes)


def resume(processes: Iterable[psutil.Process]) -> None:
    """Resume those that are stopped: a stopped process handles no signal but SIGKILL."""
    _for_each(psutil.Process.resume, processes)


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """End those that are still there, and return when they are gone."""
    remaining = [each for each in processes if _status(each) not in _ENDED]
    _for_each(psutil.Process.kill, remaining)
    poll(lambda: all(_status(each) in _ENDED for each in remaining) or None, timeout_s=_EFFECT_TIMEOUT_S)


def survivors(processes: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Processes that have not ended by themselves within `timeout_s`."""

    def remaining() -> list[psutil.Process]:
        return [each for each in processes if _status(each) not in _ENDED]

    poll(lambda: None if remaining() else True, timeout_s=timeout_s)
    return remaining()


def with_descendants(root: int) -> list[psutil.Process]:
    """A process with all that it has started; empty if it has ended: its children have other parents then."""
    with suppress(psutil.Error):
        parent = psutil.Process(root)
        return [parent, *parent.children(recursive=True)]
    return []


def _for_each(do: Callable[[psutil.Process], None], processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):  # it has just ended
            do(process)


def _status(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return str(process.status())
    return psutil.STATUS_DEAD
