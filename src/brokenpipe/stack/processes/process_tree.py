"""A process with all that it has started, as one: made to stand still, to go on, or to end at once.

The parent stands still first: from then on no child is added, and none is told of what happens to the others.
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
    """Have them all stand still: who they are. Raises StackError if one does not."""

    def still() -> list[psutil.Process] | None:
        family = with_descendants(root)
        going = [each for each in family if _status(each) not in _STOPPED]
        _for_each(psutil.Process.suspend, going)
        return None if going else family

    family = poll(still, timeout_s=_EFFECT_TIMEOUT_S, every_s=0.001)
    if family is None:
        thaw(root)
        raise StackError(
            f"process {root}: not all processes of it stand still {_EFFECT_TIMEOUT_S:g} s after they were told to",
            remedy="See what they wait for: ps -eo pid,ppid,stat,wchan,cmd.",
        )
    return family


def thaw(root: int) -> None:
    """Have them all go on."""
    _for_each(psutil.Process.resume, with_descendants(root))


def kill(root: int) -> None:
    """End them all, and return when they are gone: frozen first, so that no child learns of its parent's end."""
    family = freeze(root)
    kill_all(family)


def members(root: int) -> list[psutil.Process]:
    """A process with all that it has started; of one that has ended, nobody: its children have other parents."""
    return with_descendants(root)


def resume(family: Iterable[psutil.Process]) -> None:
    """Have those go on that stand still: such a one hears no signal but the one that ends it at once."""
    _for_each(psutil.Process.resume, family)


def kill_all(family: Sequence[psutil.Process]) -> None:
    """End those that are still there, and return when they are gone."""
    left = [each for each in family if _status(each) not in _ENDED]
    _for_each(psutil.Process.kill, left)
    poll(lambda: all(_status(each) in _ENDED for each in left) or None, timeout_s=_EFFECT_TIMEOUT_S)


def survivors(family: Sequence[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Those that are still there after a while in which they might have ended by themselves."""

    def left() -> list[psutil.Process]:
        return [each for each in family if _status(each) not in _ENDED]

    poll(lambda: None if left() else True, timeout_s=patience_s)
    return left()


def with_descendants(root: int) -> list[psutil.Process]:
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
