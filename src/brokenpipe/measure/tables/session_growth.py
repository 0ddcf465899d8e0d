"""Queries of how the sessions of each arm at Postgres grew in phases without a fault."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping

from brokenpipe.history.reader import History
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.model.session_growth import SessionGrowth
from brokenpipe.measure.tables.requests import select_with_episode

# The most in each quarter of the looks, in the order of time.
_QUARTERS = f"""
SELECT arm, phase, quarter, max(connections), count(*) FROM (
    SELECT arm, phase, connections, ntile(4) OVER (PARTITION BY arm, phase ORDER BY t) AS quarter
    FROM ({select_with_episode("FROM postgres_gauges", "t")}) WHERE phase IS NOT NULL
) GROUP BY ALL ORDER BY arm, phase, quarter
"""
RARELY = 4.0  # standard deviations above the mean of arrivals at random: requests of an open load under way at once


def session_growth(
    history: History,
    cells: Mapping[ArmPhase, ArmPhaseStats],
    pools: Mapping[ArmPhase, PoolUsage],
    calm: Collection[str],
    users: int | None,
) -> dict[ArmPhase, SessionGrowth]:
    """By arm and phase, of the `calm` phases. `users` of each arm; None: an open load.

    Absent where Postgres was looked at less than four times, or was not asked for anything.
    """
    quarters: dict[ArmPhase, list[tuple[int, int]]] = defaultdict(list)
    for arm, phase, _, most, looks in history.rows(_QUARTERS):
        quarters[arm, phase].append((most, looks))
    found = {}
    for place, cell in cells.items():
        at_once = _at_once(cell, users)
        if place[1] not in calm or len(quarters[place]) < 4 or at_once is None:
            continue
        first, second, third, last = (most for most, _ in quarters[place])
        found[place] = SessionGrowth(
            quarters=(first, second, third, last),
            looks=sum(looks for _, looks in quarters[place]),
            requests=cell.requests,
            at_once=at_once,
            processes=pools[place].processes if place in pools else 1,
            most=pools[place].most if place in pools else None,
        )
    return found


def _at_once(cell: ArmPhaseStats, users: int | None) -> float | None:
    """How many requests could be under way at once: a user waits for the answer."""
    if users is not None:
        return float(users)
    mean = cell.mean_under_way
    return None if mean is None else mean + RARELY * math.sqrt(mean)
