"""Whether an arm is back since the harness ended its connections: it has answered for a while without a failure.

    renewed ─▶ ✗ ✗ ─▶ ✓ ─▶ ✓ ✓ ✓   back
                      ├─ CALM_S ─┤

Until then nothing counts: what a service makes of that end is no result.
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
    _calm: dict[str, tuple[float, Count]] = field(default_factory=dict)
    """By arm: since when nothing has failed, and the counts of that moment."""

    def missing(self, now: float, counts: Mapping[str, Count]) -> tuple[str, ...]:
        """Look. Those that are not back yet; none once the time is up."""
        for arm in self.arms:
            count = counts.get(arm, Count(0, 0, 0))
            since, before = self._calm.setdefault(arm, (now, count))
            if count.failed > before.failed:
                self._calm[arm] = (now, count)
            elif now - since >= CALM_S and count.ended > before.ended:
                self.arms = tuple(other for other in self.arms if other != arm)
        return tuple(self.arms)

    def late(self, now: float) -> bool:
        """Whether nobody waits any longer."""
        return now - self.since >= RENEWAL_S


def not_back(arm: str, phase: str) -> Doubt:
    """The doubt about an arm that has not come back."""
    text = (
        f"{arm} did not answer without failures within {RENEWAL_S:g} s after the harness had renewed its connections "
        f"before {phase}"
    )
    return Doubt.of(Code.NOT_BACK_AFTER_RENEWAL, text, arm=arm)
