"""What is wrong with what came of a run."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.sabotage.cell import Cell
from tests.sabotage.play import Outcome

# How busy the machine is while the table is made: these say nothing of what was done, and may hide a wrong verdict.
AMBIENT = frozenset({"machine_saturated", "machine_throttled"})
UNKNOWN, NOT_STARTED = 3, 4


class Wrong(StrEnum):
    """What must not come of anything that is done to the instrument."""

    PASS = "wrong pass"
    ACCUSATION = "wrong accusation"
    UNNAMED = "not named"
    HANG = "hang"
    LEFT = "left behind"
    TRACEBACK = "traceback"
    EXIT = "exit code"


@dataclass(frozen=True)
class Plan:
    """How long an undisturbed run takes, and from its first phase on."""

    wall_s: float
    played_s: float

    def beyond_s(self, outcome: Outcome) -> float:
        """How much longer it took."""
        if outcome.played_s is not None:
            return outcome.played_s - self.played_s
        return outcome.wall_s - self.wall_s


def wrongs(cells: Sequence[Cell], outcome: Outcome, plan: Plan, allowed_s: float) -> list[Wrong]:
    """All that is wrong with it. `allowed_s`: how long beyond the plan it may have taken."""
    late = outcome.exit_code is None or plan.beyond_s(outcome) > allowed_s
    return [wrong for wrong, found in _looks(cells, outcome, late) if found]


def _looks(cells: Sequence[Cell], outcome: Outcome, late: bool) -> Iterator[tuple[Wrong, bool]]:
    early = outcome.verdict is None or outcome.exit_code not in {0, 1, UNKNOWN}
    ends, passes = any(cell.ends for cell in cells), all(cell.passes for cell in cells)
    named = all(cell.codes & outcome.codes or cell.passes for cell in cells)
    undoubted = not early and not outcome.codes - AMBIENT
    yield (
        Wrong.ACCUSATION,
        outcome.verdict == "fail" or outcome.exit_code == 2 or (undoubted and outcome.violated),
    )
    yield Wrong.PASS, undoubted and not outcome.violated and not passes
    yield Wrong.UNNAMED, not early and not undoubted and not named
    yield Wrong.EXIT, early and not (ends and outcome.exit_code in {UNKNOWN, NOT_STARTED, -signal.SIGKILL})
    yield Wrong.HANG, late
    yield Wrong.LEFT, bool(outcome.left)
    yield Wrong.TRACEBACK, "Traceback" in outcome.said
