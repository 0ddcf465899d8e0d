"""Warnings about database sessions that no fault ended: Postgres crashed, or another program ended them."""

from __future__ import annotations

from collections.abc import Iterator

from brokenpipe.formatting import plural
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning

# The postmaster is the same and its helpers are new: it ended everything and began anew. Whatever we do to a server
# stops its postmaster, so that no act of the nemesis looks like this.
_CRASHES = """
SELECT before, t FROM (
    SELECT t, helpers_us, postmaster_us, lag(t) OVER w AS before, lag(helpers_us) OVER w AS helpers_before,
           lag(postmaster_us) OVER w AS postmaster_before
    FROM server_starts WINDOW w AS (ORDER BY t)
) WHERE postmaster_us = postmaster_before AND helpers_us > helpers_before AND t >= ? ORDER BY t
"""

# A backend in the middle of something hears of it a moment later. Statistics that begin anew count from zero.
_LATE_NS = 2_000_000_000
_KILLED = """
SELECT arm, sum(more)::BIGINT FROM (
    SELECT arm, t, lag(t) OVER w AS before, killed - lag(killed) OVER w AS more
    FROM postgres_gauges WHERE killed IS NOT NULL WINDOW w AS (PARTITION BY arm ORDER BY t)
) g WHERE more > 0 AND t >= ? AND NOT EXISTS (
    FROM acts a JOIN fault_kinds k ON k.name = a.fault
    WHERE a.t0 <= g.t AND a.t1 >= g.before - ? AND k.ends_sessions AND (k.stops_server OR a.arm = g.arm)
) GROUP BY arm ORDER BY arm
"""


def ended_sessions_warnings(history: History, begin: int) -> tuple[ValidityWarning, ...]:
    """From the first phase's begin on."""
    return (*_crashed(history, begin), *_terminated(history, begin))


def _crashed(history: History, begin: int) -> Iterator[ValidityWarning]:
    crashes = history.rows(_CRASHES, (begin,))
    if not crashes:
        return
    since_s, until_s = ((t - begin) / 1e9 for t in crashes[0])
    again = f", and {plural(len(crashes) - 1, 'time')} more" if len(crashes) > 1 else ""
    yield ValidityWarning.of(
        Code.POSTGRES_CRASHED,
        "Postgres ended every session of every arm and began anew, "
        f"between {max(0.0, since_s):.1f} and {until_s:.1f} s after the first phase began{again}: "
        "its postmaster is the same, its other processes are new",
    )


def _terminated(history: History, begin: int) -> Iterator[ValidityWarning]:
    for arm, count in history.rows(_KILLED, (begin, _LATE_NS)):
        text = (
            f"{plural(count, 'session')} of {arm} ended by an administrator's order, and not by the nemesis"
        )
        yield ValidityWarning.of(Code.SESSIONS_TERMINATED, text, arm=arm)
