"""Limits of open files: each connection is one, and a process at its limit opens no more."""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenFileLimits:
    """Limits of one process. `soft` is in force; each process may raise its own up to `hard`. None: no limit."""

    soft: int | None
    hard: int | None

    @property
    def reachable(self) -> int | None:
        """The number that a child of ours can have."""
        return self.hard if can_be_raised() else self.soft


def open_file_limits() -> OpenFileLimits:
    """Limits of this process, with which its children begin."""
    soft, hard = (None if each == resource.RLIM_INFINITY else each for each in _rlimits())
    return OpenFileLimits(soft, hard)


def can_be_raised() -> bool:
    """Whether a child's limit can be raised without our own, which services would begin with as well."""
    return hasattr(resource, "prlimit")


def raise_limit(pid: int) -> None:
    """Let a child of ours have as many as the system allows. One that has ended needs none."""
    _, hard = _rlimits()
    if can_be_raised():
        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))


def _rlimits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)
