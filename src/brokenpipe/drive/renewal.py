"""The wait for arms whose connections the harness has renewed: until each has answered a request again.

    renewed ─▶ ✗ ✗ ─▶ ✗ ─▶ ✓   back, if LEAST_WAIT_S are over

Until then nothing counts: how a service takes a renewal is no result.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from brokenpipe.history.records import RecordedDoubt
from brokenpipe.history.validity_codes import Code
from brokenpipe.load.messages import Count

LEAST_WAIT_S = 1.2  # until the pools have met their dead connections
RENEWAL_TIMEOUT_S = 20.0  # psycopg_pool waits 0, 1, 2, 4 and 8 s between connections that it finds dead

NOTHING = Count(0, 0, 0)


def each_arm_answered(requests: int, before: Mapping[str, Count], now: Mapping[str, Count]) -> bool:
    """Whether each arm has had so many successful requests between two counts. False if nothing was counted yet."""
    return bool(now) and all(
        count.succeeded - before.get(arm, NOTHING).succeeded >= requests for arm, count in now.items()
    )


@dataclass(slots=True)
class RenewalWait:
    """Arms that have not answered since their connections were renewed. `before`: the counts of each at that moment."""

    arms: Collection[str]
    since: float  # time.monotonic()
    before: Mapping[str, Count]

    def missing(self, now: float, counts: Mapping[str, Count]) -> tuple[str, ...]:
        """The arms that have not answered yet, given the counts of now."""
        if now - self.since >= LEAST_WAIT_S:
            self.arms = [arm for arm in self.arms if not self._answered(arm, counts)]
        return tuple(self.arms)

    def _answered(self, arm: str, counts: Mapping[str, Count]) -> bool:
        """Whether it has had a successful request since."""
        return counts.get(arm, NOTHING).succeeded > self.before.get(arm, NOTHING).succeeded

    def timed_out(self, now: float) -> bool:
        """Whether the wait has taken too long."""
        return now - self.since >= RENEWAL_TIMEOUT_S


def not_back_warning(arm: str, phase: str) -> RecordedDoubt:
    """The doubt about an arm that has not come back."""
    waited = f"{arm} answered no request for {RENEWAL_TIMEOUT_S:g} s"
    text = f"{waited} after the harness had renewed its connections before {phase}"
    return RecordedDoubt.of(Code.NOT_BACK_AFTER_RENEWAL, text, arm=arm)
