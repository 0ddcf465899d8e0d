"""Sessions that grow with requests: a service that opens connections and keeps them, without a pool that ends it.

sessions at Postgres     a pool        ▁▃▅▅▅▅▅▅▅▅▅▅     levels off at its maximum, or at the requests under way
no limit      ▁▂▃▄▅▆▇█…        one more every ten requests, up to the server's limit
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from brokenpipe.measure.model.arm_phase import ArmPhase

FEWEST_REQUESTS = 50
FEWEST_LOOKS = 8  # two in each quarter of the phase, at a look each second
LEAST_STEP = 2  # sessions, from each quarter to the next
LEAST_EVENNESS = 0.5  # each step, of the mean step: what fills up takes ever smaller ones
LEAST_EXCESS = 2.0  # sessions at the end, for each request that was ever under way at once
LEAST_GROWTH = 12  # sessions in all: two users of a service with six processes may open as many and keep them


@dataclass(frozen=True, slots=True)
class SessionGrowth:
    """Sessions of one arm in one phase without a fault: the most in each quarter of it.

    `at_once`: requests of the arm that could be under way at the same time, in each of its `processes` (those with a
    pool that is known; else 1). `most`: what its pools may open; None: not known, or no limit. `looks` at Postgres.
    """

    quarters: tuple[int, int, int, int]
    looks: int
    requests: int
    at_once: float
    processes: int
    most: int | None

    @property
    def grows(self) -> bool | None:
        """Whether sessions grow with requests. None: too short, or too few, to tell."""
        if self.looks < FEWEST_LOOKS or self.requests < FEWEST_REQUESTS:
            return None
        first, _, third, last = self.quarters
        if last <= third or last <= self.at_once:
            return False
        if self.most is not None and last <= self.most:
            return None
        steps = [b - a for a, b in zip(self.quarters, self.quarters[1:], strict=False)]
        least = max(LEAST_STEP, LEAST_EVENNESS * (last - first) / len(steps))
        much = last - first >= LEAST_GROWTH and last > LEAST_EXCESS * self.at_once * self.processes
        return True if much and min(steps) >= least else None


def growing_session_texts(
    found: Mapping[ArmPhase, SessionGrowth], max_connections: int | None
) -> Iterator[str]:
    """A sentence for each arm whose sessions grow, about the first phase in which they do."""
    said: set[str] = set()
    for (arm, phase), growth in found.items():
        if growth.grows and arm not in said:
            said.add(arm)
            yield _text(arm, phase, growth, max_connections)


def _text(arm: str, phase: str, growth: SessionGrowth, max_connections: int | None) -> str:
    first, *_, last = growth.quarters
    every = growth.requests * 0.75 / (last - first)
    limit = "the server's limit" if max_connections is None else f"the server's limit of {max_connections}"
    above = f" Its pools may open {growth.most}." if growth.most is not None and last > growth.most else ""
    return (
        f"Sessions of {arm} at Postgres grow with its requests and did not level off: at most "
        f"{', '.join(map(str, growth.quarters))} in the quarters of {phase}, about one more every {every:.0f} "
        f"requests, while no more than {growth.at_once:.0f} requests were under way at once.{above} "
        f"A longer run ends at {limit}."
    )
