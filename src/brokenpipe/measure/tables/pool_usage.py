"""Queries of the pool usage of each arm and phase.

Waits below a millisecond are counted, not listed, and are 0 here: percentiles are found by rank among those listed, so
that a history of ten million requests is never held in memory.
"""

from __future__ import annotations

from collections import defaultdict

from brokenpipe.history.reader import History
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.tables.requests import select_with_episode

TOGETHER_NS = 300_000_000  # each process has a gauge of its own every 250 ms

_TALLIED = f"CREATE TEMP TABLE tallied AS {select_with_episode('FROM tallies', 't0')}"

# One line for each wait of a request with a line of its own, one for each listed wait of the others.
_WAITS = """
CREATE TEMP TABLE waits AS
SELECT witness_arm AS arm, phase, episode, c.wait_ms AS ms, false AS gave_up
FROM (SELECT witness_arm, phase, episode, unnest(checkouts) AS c FROM testimony WHERE phase IS NOT NULL)
UNION ALL
SELECT witness_arm, phase, episode, unnest(waits_ms), false FROM tallied WHERE phase IS NOT NULL
UNION ALL
SELECT witness_arm, phase, episode, (e.t - e.began) / 1e6, true FROM (
    SELECT witness_arm, phase, episode,
           unnest(from_json(errors, '[{"where": "VARCHAR", "t": "BIGINT", "began": "BIGINT"}]')) AS e
    FROM testimony WHERE phase IS NOT NULL
) WHERE e."where" = 'checkout' AND e.began IS NOT NULL
"""

# How many there were: the listed ones, and those of the sums that were too short to be listed.
_COUNTS = """
CREATE TEMP TABLE wait_counts AS
SELECT arm, phase, episode, sum(n)::BIGINT AS n, sum(short)::BIGINT AS short, sum(gave_up)::BIGINT AS gave_up FROM (
    SELECT arm, phase, episode, count(*) AS n, 0 AS short, count(*) FILTER (gave_up) AS gave_up FROM waits GROUP BY ALL
    UNION ALL
    SELECT witness_arm, phase, episode, sum(checkouts - len(waits_ms)), sum(checkouts - len(waits_ms)), 0
    FROM tallied WHERE phase IS NOT NULL GROUP BY ALL
) GROUP BY ALL
"""

# The wait of a rank: ceil(share × n), below the short ones 0.
_BY_EPISODE = """
SELECT c.arm, c.phase, c.episode, coalesce(max(r.ms) FILTER (r.rank = ceil(0.95 * c.n) - c.short), 0)
FROM wait_counts c LEFT JOIN (
    SELECT *, row_number() OVER (PARTITION BY arm, phase, episode ORDER BY ms) AS rank FROM waits
) r USING (arm, phase, episode)
WHERE c.n > 0 GROUP BY c.arm, c.phase, c.episode ORDER BY c.episode
"""
_WHOLE = """
WITH c AS (
    SELECT arm, phase, sum(n) AS n, sum(short) AS short, sum(gave_up) AS gave_up FROM wait_counts GROUP BY ALL
)
SELECT c.arm, c.phase, c.n::BIGINT, c.gave_up::BIGINT,
       coalesce(max(r.ms) FILTER (r.rank = ceil(0.5 * c.n) - c.short), 0),
       coalesce(max(r.ms) FILTER (r.rank = ceil(0.95 * c.n) - c.short), 0),
       coalesce(max(r.ms) FILTER (r.rank = ceil(0.99 * c.n) - c.short), 0)
FROM c LEFT JOIN (
    SELECT *, row_number() OVER (PARTITION BY arm, phase ORDER BY ms) AS rank FROM waits
) r USING (arm, phase)
WHERE c.n > 0 GROUP BY c.arm, c.phase, c.n, c.gave_up
"""

# What was held, and what of it within the time that counts: a request that hangs holds its connection long after the
# last episode. Of sums nothing is older than a second, and nothing is cut off. `run_end`: of the episodes that follow
# one another without a gap.
_HELD = """
WITH edges AS (
    SELECT *, t0 - lag(t1) OVER (PARTITION BY phase, arm ORDER BY t0) > 0 AS apart FROM episode_list WHERE counts
), runs AS (
    SELECT *, count(*) FILTER (apart) OVER (PARTITION BY phase, arm ORDER BY t0) AS run FROM edges
), ends AS (
    SELECT phase, n, arm, max(t1) OVER (PARTITION BY phase, arm, run) AS run_end FROM runs
), listed AS (
    SELECT witness_arm AS arm, phase, episode, unnest(checkouts) AS c FROM testimony WHERE phase IS NOT NULL
), holds AS (
    SELECT l.arm, l.phase, l.c.held_ms AS held_ms,
           greatest(0, least(l.c.held_ms, coalesce((e.run_end - l.c.t) / 1e6, l.c.held_ms))) AS counted_ms
    FROM listed l LEFT JOIN ends e ON e.phase = l.phase AND e.n = l.episode AND (e.arm IS NULL OR e.arm = l.arm)
    WHERE l.c.held_ms IS NOT NULL
    UNION ALL
    SELECT witness_arm, phase, held_ms, held_ms FROM tallied WHERE phase IS NOT NULL
)
SELECT arm, phase, coalesce(sum(held_ms), 0), coalesce(sum(counted_ms), 0) FROM holds GROUP BY ALL
"""

# How long a connection was out, of all that are known to have come back: also of requests that were never answered.
_HOLD = """
SELECT arm, phase, sum(ms) / sum(n) FROM (
    SELECT witness_arm AS arm, phase, c.held_ms AS ms, 1 AS n
    FROM (SELECT witness_arm, phase, unnest(checkouts) AS c FROM testimony) WHERE c.held_ms IS NOT NULL
    UNION ALL
    SELECT witness_arm, phase, held_ms, checkouts FROM tallied WHERE checkouts > 0 AND held_ms IS NOT NULL
) WHERE phase IS NOT NULL GROUP BY ALL
"""

# What several processes have in use at once: at each gauge of one of them, the last of each of the others.
_POOLS = f"""
WITH gauged AS (
    SELECT witness_arm AS arm, phase, coalesce(pid, 0) AS pid, t, size, most, timeout_s, out
    FROM ({select_with_episode("FROM pools", "t")}) WHERE phase IS NOT NULL
), processes AS (
    SELECT arm, phase, pid, max(size) AS size, max(most) AS most, bool_and(most IS NOT NULL) AS limited,
           max(timeout_s) AS timeout_s, max(out) AS out
    FROM gauged GROUP BY ALL
), several AS (
    SELECT g.* FROM gauged g WHERE (SELECT count(*) FROM processes p WHERE p.arm = g.arm AND p.phase = g.phase) > 1
), beside AS (
    SELECT s.arm, s.phase, s.t, s.pid AS seen, o.pid, max(o.out) AS out
    FROM several s JOIN several o
      ON s.arm = o.arm AND s.phase = o.phase AND o.t <= s.t AND o.t > s.t - {TOGETHER_NS} GROUP BY ALL
), together AS (
    SELECT arm, phase, max(out)::BIGINT AS out FROM (
        SELECT arm, phase, t, seen, sum(out) AS out FROM beside GROUP BY ALL
    ) GROUP BY ALL
)
SELECT p.arm, p.phase, count(*), sum(p.size)::BIGINT, CASE WHEN bool_and(p.limited) THEN sum(p.most)::BIGINT END,
       max(p.timeout_s), coalesce(max(t.out), max(p.out))::BIGINT
FROM processes p LEFT JOIN together t USING (arm, phase) GROUP BY p.arm, p.phase
ORDER BY p.arm, p.phase
"""
_CONNECTIONS = f"""
SELECT arm, phase, max(connections)
FROM ({select_with_episode("FROM postgres_gauges", "t")}) WHERE phase IS NOT NULL GROUP BY ALL
"""
# Of histories that were recorded before waits were told.
_WITHOUT_WAITS = "SELECT DISTINCT witness_arm FROM tallies WHERE waits_ms IS NULL"
_SECONDS = "SELECT phase, arm, sum(t1 - t0) / 1e9 FROM episode_list WHERE counts GROUP BY ALL"


def pool_usage(history: History) -> dict[ArmPhase, PoolUsage]:
    """By arm and phase; absent where no witness recorded a pool and its waits."""
    for table in (_TALLIED, _WAITS, _COUNTS):
        history.sql(table)
    by_episode: dict[ArmPhase, list[float]] = defaultdict(list)
    for arm, phase, _, ms in history.rows(_BY_EPISODE):
        by_episode[arm, phase].append(ms)
    held = {(arm, phase): both for arm, phase, *both in history.rows(_HELD)}
    hold = {(arm, phase): ms for arm, phase, ms in history.rows(_HOLD)}
    waits = {(arm, phase): rest for arm, phase, *rest in history.rows(_WHOLE)}
    connections = {(arm, phase): most for arm, phase, most in history.rows(_CONNECTIONS)}
    lasted: dict[tuple[str, str | None], float] = {
        (phase, arm): seconds for phase, arm, seconds in history.rows(_SECONDS)
    }
    untold = {arm for (arm,) in history.rows(_WITHOUT_WAITS)}
    found = {}
    for arm, phase, processes, size, most, timeout_s, peak_out in history.rows(_POOLS):
        place = (arm, phase)
        if place not in waits or arm in untold:
            continue
        checkouts, gave_up, p50, p95, p99 = waits[place]
        held_ms, counted_ms = held.get(place, (0.0, 0.0))
        found[place] = PoolUsage(
            processes=processes,
            size=size,
            most=most,
            timeout_s=timeout_s,
            checkouts=checkouts,
            gave_up=gave_up,
            wait_p50_ms=p50,
            wait_p95_ms=p95,
            wait_p99_ms=p99,
            episode_p95_ms=tuple(by_episode[place]),
            held_ms=held_ms,
            counted_ms=counted_ms,
            seconds=lasted.get((phase, arm), lasted.get((phase, None), 0.0)),
            peak_out=peak_out,
            peak_connections=connections.get(place),
            hold_ms=hold.get(place),
        )
    return found
