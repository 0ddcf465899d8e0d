"""Waits in front of the pool: a lock or a limit in the service lets few requests through, and the pool is never full.

8 requests ──▶ lock ──▶ pool of 10: 1 connection is out, 9 are idle, nobody waits for one
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from brokenpipe.formatting import milliseconds, percent
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.model.request_time import TimeBreakdown

NOBODY_WAITED_MS = 1.0  # a pool with a connection to spare takes 0.02 ms
DOMINANT_SHARE = 0.5  # of the time of requests: more is spent outside of pool and database than in them
AS_MANY_AGAIN = 2.0  # requests under way for each connection that is out
BUSY_SHARE = 0.75  # of the most that were ever out: that many are out nearly always, as behind a limit
SHORTEST_S = 4.0  # so that connections out were counted sixteen times at least


@dataclass(frozen=True, slots=True)
class WaitsElsewhere:
    """What shows that a pool was not what requests waited for, of one arm and phase."""

    use: PoolUsage
    time: TimeBreakdown
    under_way: float  # requests, on average

    @property
    def is_limited(self) -> bool:
        """Whether so few connections are out as if something let no more requests through at a time."""
        return (
            self.under_way >= AS_MANY_AGAIN * max(1, self.use.peak_out)
            and self.use.mean_out >= BUSY_SHARE * self.use.peak_out > 0
            and (self.use.most is None or self.use.peak_out < self.use.most)
            and self.use.seconds >= SHORTEST_S
        )


def waits_elsewhere(findings: Findings, place: ArmPhase) -> WaitsElsewhere | None:
    """None where requests wait for the pool, where most of their time is the database's, or where it is not known."""
    use, time = findings.pools.get(place), findings.times.get(place)
    cell: ArmPhaseStats | None = findings.cells.get(place)
    under_way = cell.mean_under_way if cell else None
    if use is None or time is None or under_way is None:
        return None
    nobody_waited = not use.gave_up and use.wait_p95_ms < NOBODY_WAITED_MS
    crowded = under_way >= use.peak_out + 1
    if not (nobody_waited and crowded and time.outside_share >= DOMINANT_SHARE):
        return None
    return WaitsElsewhere(use, time, under_way)


def time_outside_text(time: TimeBreakdown) -> str:
    """Say how much of a request's time passed outside of pool and database."""
    outside_ms = time.elsewhere_ms + (time.loop_ms or 0.0)
    said = (
        f"{percent(time.outside_share)} of a request's time ({milliseconds(outside_ms)} of "
        f"{milliseconds(time.total_ms)}) passed outside of the pool and its connections"
    )
    if time.loop_ms is not None and time.loop_ms >= 0.1 * time.total_ms:
        said += (
            f", {milliseconds(time.loop_ms)} of it at least while the service's own event loop stood still"
        )
    return said


def limited_arm_texts(findings: Findings) -> Iterator[str]:
    """Of each arm that works behind a lock or a limit, a sentence for the first phase without a fault."""
    calm = [phase.name for phase in findings.phases if not phase.fault][:1]
    for place in ((arm, phase) for phase in calm for arm in findings.arms):
        found = waits_elsewhere(findings, place)
        if found is None or not found.is_limited:
            continue
        use = found.use
        room = "" if use.most is None else f" of {use.most}"
        yield (
            f"Requests of {place[0]} wait in front of their pool, not for it: never more than {use.peak_out}{room} "
            f"connections {'was' if use.peak_out == 1 else 'were'} out while {found.under_way:.1f} requests were under "
            f"way on average, nobody waited for a connection, and {time_outside_text(found.time)}. So few get through "
            "at a time, as behind a lock or a limit in the service; a larger pool changes nothing."
        )
