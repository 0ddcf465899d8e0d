"""Who must be there for as long as an experiment lasts. One that has ended is a doubt, written down once.

The experiment goes on: what the other arms show is still worth having, and the failures of an arm whose
target is gone are counted like any other. Only a verdict cannot rest on them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from brokenpipe.history.records import Doubt
from brokenpipe.history.writer import Writer
from brokenpipe.stack.local import Stack
from brokenpipe.stack.process import Child

LAST_LINES = 3


@dataclass(slots=True)
class RollCall:
    """Calls every target and Postgres; of Toxiproxy the nemesis knows by its answers."""

    stack: Stack
    log: Writer
    _missed: set[int] = field(default_factory=set)

    def __call__(self, phase: str | None) -> None:
        """Write a doubt for each that has ended since the last call. Raises RecordingError."""
        for code, arm, member in self._members():
            if not member.running and member.pid not in self._missed:
                self._missed.add(member.pid)
                self.log.write(_doubt(code, arm, member, phase))

    def _members(self) -> Iterator[tuple[str, str | None, Child]]:
        yield "postgres_died", None, self.stack.postgres.child
        for name, arm in self.stack.arms.items():
            yield "target_died", name, arm.service.child


def _doubt(code: str, arm: str | None, member: Child, phase: str | None) -> Doubt:
    last = " | ".join(line.strip() for line in member.last_lines(LAST_LINES) if line.strip())
    when = f"in {phase}" if phase else "before the first phase"
    return Doubt(
        t=time.monotonic_ns(),
        code=code,
        text=f"{member.name} ended by itself {when}, with {member.exit_text}; its last lines: {last or 'none'}",
        remedy=f"Find out why in logs/{member.log_path.name}; what failed after that is no fault of a setting.",
        unknown=True,
        phase=None,  # what comes after it is as doubtful as the phase in which it was noticed
        arm=arm,
    )
