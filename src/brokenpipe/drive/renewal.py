"""Whether an arm is back since the harness ended its connections: for a while, more was answered than failed.

    renewed ─▶ ✗ ✗ ─▶ ✓ ─▶ ✗ ─▶ ✓ ✓ ✓   back
    ├── CALM_S ──┤├───── CALM_S ─────┤

Until then nothing counts: what a service makes of that end is no result. Some services fail now and then of themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from brokenpipe.history.doubts import Code
from brokenpipe.history.records import Doubt
from brokenpipe.load.messages import Count

CALM_S = 1.2
RENEWAL_S = 20.0  # psycopg_pool waits 0, 1, 2, 4 and 8 s between connections that it finds dead


@dataclass(slots=True)
class Return:
    """The arms that are still to come back. Times are time.monotonic() seconds."""

    arms: Collection[str]
    since: float
    _looked: dict[str, tuple[float, Count]] = field(default_factory=dict)
    """By arm: since when it is looked at, and the counts of that moment."""

    def missing(self, now: float, counts: Mapping[str, Count]) -> tuple[str, ...]:
        """Look. Those that are not back yet; none once the time is up."""
        for arm in self.arms:
            count = counts.get(arm, Count(0, 0, 0))
            since, before = self._looked.setdefault(arm, (now, count))
            if now - since < CALM_S:
                continue
            failed = count.failed - before.failed
            if count.ended - before.ended > 2 * failed:
                self.arms = tuple(other for other in self.arms if other != arm)
            elif count.ended > before.ended:
                self._looked[arm] = (now, count)
        return tuple(self.arms)

    def late(self, now: float) -> bool:
        """Whether nobody waits any longer."""
        return now - self.since >= RENEWAL_S


def not_back(arm: str, phase: str) -> Doubt:
    """The doubt about an arm that has not come back."""
    text = (
        f"within {RENEWAL_S:g} s after the harness had renewed its connections before {phase}, {arm} never answered "
        f"more requests than it failed, for {CALM_S:g} s"
    )
    return Doubt.of(Code.NOT_BACK_AFTER_RENEWAL, text, arm=arm)
