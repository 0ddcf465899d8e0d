"""Progress of an experiment: the value that the runner passes to the terminal.

Imports nothing, so that the driving side can use it without knowing how it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class ArmProgress:
    """One arm so far: requests started, ended and failed since the start, and failed in the last seconds."""

    arm: str
    started: int
    ended: int
    failed: int
    failed_lately: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of an experiment. Empty texts and zeros: not there yet."""

    message: str = ""  # what is being done outside of phases, e.g. "starting Postgres"
    phase: str = ""
    fault: str = ""
    episode: int = 0  # 1..episodes; 0 before the first
    episodes: int = 0
    elapsed_s: float = 0.0
    total_s: float = 0.0
    arms: tuple[ArmProgress, ...] = ()


class ProgressDisplay(Protocol):
    """Shows progress while it is open. Any number of `show` a second; what is the same is shown once."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, progress: Progress) -> None:
        """Take the newest state; must return at once."""
        ...
