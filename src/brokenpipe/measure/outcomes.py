"""Every request with its outcome, in the episode in which it started: the table the rest is counted from."""

from __future__ import annotations

from brokenpipe.history.reader import History

# A request without an end was either never answered within its time limit, which is a failure, or cut off by
# the end of the run, which says nothing. The last line of the log tells how long it could have waited.
_OUTCOMES = """
CREATE TABLE outcomes AS
WITH last AS (SELECT max(t) AS t FROM (SELECT max(t) AS t FROM starts UNION ALL SELECT max(t) FROM ends)),
joined AS (
    SELECT s.arm, s.id, s.name, s.t, e.t AS t_end, e.ms, coalesce(e.status, 0) AS status,
           CASE WHEN e.t IS NULL THEN 'timeout' ELSE e.failure END AS failure,
           CASE WHEN e.t IS NULL THEN 'never answered' ELSE e.error END AS error
    FROM starts s LEFT JOIN ends e ON s.arm = e.arm AND s.id = e.id CROSS JOIN last
    WHERE e.t IS NOT NULL OR last.t - s.t > {limit_ns}
)
SELECT j.*, CASE WHEN j.t < c.t1 AND c.counts THEN c.phase END AS phase, c.n AS episode
FROM joined j ASOF LEFT JOIN episode_list c ON j.t >= c.t0
"""

# What the witness saw, likewise by the request's start.
_TESTIMONY = """
CREATE TABLE {table} AS
SELECT w.*, CASE WHEN w.{time} < c.t1 AND c.counts THEN c.phase END AS phase, c.n AS episode
FROM {source} w ASOF LEFT JOIN episode_list c ON w.{time} >= c.t0
"""


def tabulate(history: History, *, limit_s: float) -> None:
    """Make the tables `outcomes`, `testimony` and `closed`, whose `phase` is NULL for what does not count."""
    history.sql("CREATE TABLE episode_list AS SELECT * FROM episodes ORDER BY t0")
    history.sql(_OUTCOMES.format(limit_ns=int(limit_s * 1e9)))
    history.sql(_TESTIMONY.format(table="testimony", source="testimonies", time="t0"))
    history.sql(_TESTIMONY.format(table="closed", source="closes", time="t"))
