"""Queries of where the time of requests went."""

from __future__ import annotations

from collections.abc import Collection

from brokenpipe.history.reader import History
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.request_time import TimeBreakdown
from brokenpipe.measure.tables.requests import select_with_episode

# The time of a checkout that failed is in its error alone: the request never had that connection.
_FAILED = "coalesce(list_sum([(e.t - e.began) / 1e6 for e in met if e.\"where\" = '{where}']), 0)"
_CHECKOUTS = "coalesce(list_sum([coalesce(c.{name}, 0) for c in checkouts]), 0)"

# Requests with a line of their own. Parts of one that uses several connections at once may exceed the whole.
_LINES = f"""
WITH met AS (
    SELECT *, from_json(errors, '[{{"where": "VARCHAR", "t": "BIGINT", "began": "BIGINT"}}]') AS met
    FROM testimony WHERE phase IS NOT NULL AND t1 IS NOT NULL
), parts AS (
    SELECT witness_arm AS arm, phase, (t1 - t0) / 1e6 AS total, loop_ms,
           {_CHECKOUTS.format(name="wait_ms")} + {_CHECKOUTS.format(name="backoff_ms")}
           + {_FAILED.format(where="checkout")} AS pool,
           {_CHECKOUTS.format(name="connect_ms")} + {_FAILED.format(where="connect")} AS connect,
           {_CHECKOUTS.format(name="ping_ms")} + {_CHECKOUTS.format(name="failed_ping_ms")}
           + {_FAILED.format(where="ping")} AS ping,
           {_CHECKOUTS.format(name="statements_ms")} AS statements,
           coalesce(len([c for c in checkouts if c.statements_ms IS NULL]), 0) = 0 AS told
    FROM met
), scaled AS (
    SELECT *, least(1, total / nullif(pool + connect + ping + statements, 0)) AS scale FROM parts
)
SELECT arm, phase, 1 AS requests, total, pool * coalesce(scale, 1) AS pool, connect * coalesce(scale, 1) AS connect,
       ping * coalesce(scale, 1) AS ping, statements * coalesce(scale, 1) AS statements,
       CASE WHEN loop_ms IS NOT NULL
            THEN least(loop_ms, total - (pool + connect + ping + statements) * coalesce(scale, 1)) END AS loop, told
FROM scaled
"""
_SUMS = f"""
SELECT witness_arm, phase, requests, request_ms, wait_ms, connect_ms, ping_ms + failed_ping_ms, statements_ms, loop_ms,
       request_ms IS NOT NULL AND statements_ms IS NOT NULL
FROM ({select_with_episode("FROM tallies", "t0")}) WHERE phase IS NOT NULL
"""
_MEANS = f"""
SELECT arm, phase, sum(requests)::BIGINT, sum(total) / sum(requests), sum(pool) / sum(requests),
       sum(connect) / sum(requests), sum(ping) / sum(requests), sum(statements) / sum(requests),
       sum(loop) / sum(requests)
FROM ({_LINES} UNION ALL {_SUMS}) GROUP BY ALL HAVING bool_and(told)
"""


def request_times(history: History, witnessed: Collection[str]) -> dict[ArmPhase, TimeBreakdown]:
    """By arm and phase, of the arms whose requests are followed into their pools.

    Absent where some connection's operations were not seen, as in histories from before they were recorded.
    """
    return {
        (arm, phase): TimeBreakdown(*figures)
        for arm, phase, *figures in history.rows(_MEANS)
        if arm in witnessed
    }
