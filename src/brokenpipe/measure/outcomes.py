"""Every request with its outcome, in the episode in which it started: the table the rest is counted from."""

from __future__ import annotations

from brokenpipe.history.reader import History

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
_PLACED = """
SELECT x.*, c.phase, c.episode
FROM ({lines}) x LEFT JOIN tenths c ON x.{time} // {tenth} = c.tenth AND x.{time} >= c.begins AND x.{time} < c.ends
"""

# The last line of the log tells how long a request without an end could have waited.
_CUT_OFF = """
DELETE FROM outcomes WHERE t_end IS NULL AND t >= -{limit_ns} + greatest(
    (SELECT max(t_end) FROM outcomes),
    (SELECT max(t) FROM started),
    (SELECT max(coalesce(t, t0 + (ms * 1e6)::BIGINT)) FROM ended),
    0
)
"""

# An id leads to the witness's testimony or to a late beginning, so only those are kept of which there is one, or
# should be.
# A request without an end was either never answered within its time limit, which is a failure, or cut off by
# the end of the run, which says nothing: those are removed once the end is known.
# Of an open load, latency counts from when a request was due.
_OUTCOMES = """
SELECT arm, name, t, t_end,
       CASE WHEN t_end IS NULL OR failure IS NOT NULL OR id IN (SELECT id FROM testimonies UNION SELECT id FROM late)
            THEN id END AS id,
       {ms}::FLOAT AS ms, coalesce(status, 0) AS status,
       CASE WHEN t_end IS NULL THEN 'timeout' ELSE failure END AS failure,
       CASE WHEN t_end IS NULL THEN 'never answered' ELSE error END AS error
FROM {requests}
"""


def tabulate(history: History, *, limit_s: float) -> None:
    """Make the tables `outcomes`, `testimony` and `closed`, whose `phase` is NULL for what does not count."""
    history.sql("CREATE TABLE episode_list AS SELECT * FROM episodes ORDER BY t0")
    history.sql(_TENTHS.format(tenth=TENTH_NS))
    history.sql(f"CREATE TABLE outcomes AS {placed(_outcomes(history), 't')}")
    history.sql(_CUT_OFF.format(limit_ns=int(limit_s * 1e9)))
    # What the witness saw, likewise by the request's start.
    history.sql(f"CREATE VIEW testimony AS {placed('FROM testimonies', 't0')}")
    history.sql(f"CREATE TABLE closed AS {placed('FROM closes', 't')}")


def _outcomes(history: History) -> str:
    """Only an open load has anything to join, and ten million requests need not try."""
    late = history.one("SELECT count(*) FROM late")[0]
    return _OUTCOMES.format(
        ms="(ms + coalesce(late_ms, 0))" if late else "ms",
        requests="requests LEFT JOIN (SELECT arm, id, ms AS late_ms FROM late) USING (arm, id)"
        if late
        else "requests",
    )


def placed(lines: str, time: str) -> str:
    """A query for these lines with the `phase` and the number of the `episode` in which their time lies."""
    return _PLACED.format(lines=lines, time=time, tenth=TENTH_NS)
