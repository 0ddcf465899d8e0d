"""Every request with its outcome, in the episode in which it started: the table the rest is counted from."""

from __future__ import annotations

from brokenpipe.history.reader import History
from brokenpipe.history.resume import GAP_NS

TENTH_NS = 100_000_000

# Which episodes reach into a tenth of a second. Joining ten million times with their episodes by equal tenths takes a
# third of what the comparison of times alone takes.
_TENTHS = """
CREATE TABLE tenths AS
SELECT unnest(range(t0 // {tenth}, (t1 - 1) // {tenth} + 1)) AS tenth, t0 AS begins, t1 AS ends,
       CASE WHEN counts THEN phase END AS phase, n AS episode
FROM episode_list
"""

# The episode, of lines `x` with a time. `phase` is NULL for what does not count.
_WITH_EPISODE = """
SELECT x.*, c.phase, c.episode
FROM ({lines}) x LEFT JOIN tenths c ON x.{time} // {tenth} = c.tenth AND x.{time} >= c.begins AND x.{time} < c.ends
"""

# Other requests than plain successes.
# A request without an end was either never answered within its time limit, which is a failure, or cut off by
# the end of the run, which says nothing: those are removed once the end is known.
_OTHERS = """
CREATE TABLE other_outcomes AS
SELECT arm, name, id, id_hash, t, t_end, ms, coalesce(status, 0) AS status,
       CASE WHEN t_end IS NULL THEN 'timeout' ELSE failure END AS failure,
       CASE WHEN t_end IS NULL THEN 'never answered' ELSE error END AS error
FROM other_requests
"""

_LAST_END = "CREATE TABLE last_end AS SELECT coalesce(max(t_end), 0) AS t FROM requests"

# The last line of the log tells how long a request without an end could have waited; before a resumption, what was
# under way was cut off as well.
_CUT_OFF = """
DELETE FROM other_outcomes o WHERE t_end IS NULL AND (t >= -{limit_ns} + greatest(
    (SELECT t FROM last_end),
    (SELECT max(t) FROM started),
    (SELECT max(coalesce(t, t0 + (ms * 1e6)::BIGINT)) FROM ended),
    0
) OR EXISTS (FROM resumptions r WHERE o.t < r.t AND o.t >= r.t - {gap_ns} - {limit_ns}))
"""

# An episode in which the arms take turns is played again from its first turn if it was cut off between two: that of
# the last part stands. Equal numbers within one part are different episodes all the same: a timeline that was played
# twice by hand began at 0 twice, before versions that go on counting.
_EPISODES = """
CREATE TABLE episode_list AS
WITH parts AS (
    SELECT e.*, (SELECT count(*) FROM resumptions r WHERE r.t <= e.t0) AS part,
           max(n) OVER (PARTITION BY phase) + 1 AS many
    FROM episodes e
)
SELECT * EXCLUDE (part, many)
    REPLACE (n + many * (row_number() OVER (PARTITION BY phase, n, arm, counts ORDER BY t0) - 1) AS n)
FROM (FROM parts QUALIFY part = max(part) OVER (PARTITION BY phase, n, arm, counts)) ORDER BY t0
"""

# Plain successes stay where they were read: to store ten million rows again would cost more than all questions.
# Of an open load, latency counts from when a request was due. A latency has seven digits: percentiles of
# four bytes take a tenth of the time.
_ALL_OUTCOMES = """
CREATE VIEW outcomes_everywhere AS
SELECT arm, name, id, id_hash, t, t_end, {ms}::FLOAT AS ms, {late_ms} AS late_ms, status, failure, error
FROM (
    SELECT arm, name, NULL::VARCHAR AS id, id_hash, t0 AS t, t0 + (ms * 1e6)::BIGINT AS t_end, ms,
           coalesce(status, 0) AS status, NULL::VARCHAR AS failure, NULL::VARCHAR AS error
    FROM plain_ends
    UNION ALL FROM other_outcomes
) {late}
"""
_LATE = "LEFT JOIN (SELECT arm, hash(id) AS id_hash, ms AS late_ms FROM late) USING (arm, id_hash)"

# `p50` and `p95` are of successful requests.
_BY_EPISODE = """
CREATE TABLE by_episode AS
SELECT arm, phase, episode, requests, successes, waited_ms, quantiles[1] AS p50, quantiles[2] AS p95 FROM (
    SELECT arm, phase, episode, count(*) AS requests, count(*) FILTER (failure IS NULL) AS successes,
           sum(ms::DOUBLE) AS waited_ms,
           quantile_cont(ms, [0.5, 0.95]) FILTER (failure IS NULL) AS quantiles
    FROM outcomes WHERE phase IS NOT NULL GROUP BY ALL
)
"""


def create_request_tables(history: History, *, limit_s: float) -> None:
    """Make `outcomes`, `testimony` and `closed`, whose `phase` is NULL for what does not count, and `by_episode`."""
    history.sql(_EPISODES)
    history.sql(_TENTHS.format(tenth=TENTH_NS))
    history.sql(_OTHERS)
    history.sql(_LAST_END)
    history.sql(_CUT_OFF.format(limit_ns=int(limit_s * 1e9), gap_ns=GAP_NS))
    history.sql(_all_outcomes_view(history))
    history.sql(f"CREATE VIEW outcomes AS {select_with_episode('FROM outcomes_everywhere', 't')}")
    history.sql(_BY_EPISODE)
    # What the witness saw, likewise by the request's start.
    history.sql(f"CREATE VIEW testimony AS {select_with_episode('FROM testimonies', 't0')}")
    history.sql(f"CREATE TABLE closed AS {select_with_episode('FROM closes', 't')}")


def _all_outcomes_view(history: History) -> str:
    """The view of all outcomes. Delays are joined for an open load only: it is slow with ten million requests."""
    if history.one("SELECT count(*) FROM late")[0]:
        return _ALL_OUTCOMES.format(ms="(ms + coalesce(late_ms, 0))", late_ms="late_ms", late=_LATE)
    return _ALL_OUTCOMES.format(ms="ms", late_ms="NULL::DOUBLE", late="")


def select_with_episode(lines: str, time: str) -> str:
    """A query that adds the `phase` and the number of the `episode` in which a time lies."""
    return _WITH_EPISODE.format(lines=lines, time=time, tenth=TENTH_NS)
