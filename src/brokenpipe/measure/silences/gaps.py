"""Gaps in records that are written at regular times: the writer stood still, whether or not it was watched.

    lag reports of the load   twice a second
    ticks of a witness        once a second, of each process of a service
    gauges                    once a second: of the machine, of Postgres, and the looks of the watch

Only for runs with a watch: of older histories it is not known which records should be there. A file that is missing
altogether is no gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes.harness import GAUGE_GAP_S, LOAD_GAP_S
from brokenpipe.measure.silences.periods import PlannedSilences, SilentPeriod

GAP = "gap"
GAUGES = "gauges"
MACHINE, LOOKS, POSTGRES = "machine and processes", "the watch", "Postgres"

_WHOLE = "NOT EXISTS (FROM resumptions r WHERE r.t BETWEEN g.before AND g.t)"
# The first and the last edge of a phase count as written.
_GAPS = f"""
WITH edge AS (SELECT min(t) AS first, max(t) AS last FROM phase_edges),
w AS (
    SELECT w.t FROM {{table}} w, edge WHERE t BETWEEN first AND last
    UNION ALL SELECT unnest([first, last]) FROM edge WHERE EXISTS (FROM {{table}})
)
SELECT before, t FROM (SELECT t, lag(t) OVER (ORDER BY t) AS before FROM w) g
WHERE t - before > ? AND {_WHOLE} ORDER BY t
"""
_WITNESS = f"""
WITH edge AS (SELECT min(t) AS first, max(t) AS last FROM phase_edges)
SELECT witness_arm, pid, before, t FROM (
    SELECT witness_arm, pid, t, lag(t) OVER (PARTITION BY witness_arm, pid ORDER BY t) AS before FROM witness_ticks
) g, edge WHERE t - before > ? AND t >= first AND before <= last AND {_WHOLE}
UNION ALL
SELECT witness_arm, NULL, before, last FROM (
    SELECT witness_arm, max(t) AS before FROM witness_ticks GROUP BY witness_arm
), edge WHERE last - before > ?
ORDER BY 3
"""


def find_gaps(
    history: History, watched: Sequence[SilentPeriod], by_plan: PlannedSilences
) -> tuple[SilentPeriod, ...]:
    """The gaps that the watch does not explain. Its own records, `watched`, are more precise."""
    if not history.rows("SELECT 1 FROM watched LIMIT 1"):
        return ()
    found = (*_load(history), *_witnesses(history), *_gauges(history, watched, by_plan))
    return tuple(gap for gap in found if not any(_is_explained(gap, each) for each in watched))


def _is_explained(gap: SilentPeriod, silence: SilentPeriod) -> bool:
    """Whether a watched silence explains the gap. While the harness stands still, it gauges nothing."""
    role, seen = gap.part.partition(" ")[0], silence.part.partition(" ")[0]
    reasons = {GAUGES: {"harness"}, "load": {"load", "worker"}}.get(role, {role})
    return seen in reasons and silence.arm == gap.arm and silence.overlaps(gap.begins, gap.ends)


def _load(history: History) -> Iterator[SilentPeriod]:
    """Gaps of the load. A recorded lag of the same length has a warning of its own."""
    late: dict[int, float] = dict(history.rows("SELECT t, max(ms) FROM lags WHERE ms > 500 GROUP BY t"))
    for before, t in history.rows(_GAPS.format(table="lags"), (round(LOAD_GAP_S * 1e9),)):
        if (t - before) / 1e9 - late.get(t, 0.0) / 1e3 > LOAD_GAP_S / 2:
            yield SilentPeriod("load", None, None, GAP, before, t)


def _witnesses(history: History) -> Iterator[SilentPeriod]:
    """Gaps of the witnesses. A service that has ended has a warning of its own."""
    gone = {arm for (arm,) in history.rows("SELECT DISTINCT arm FROM doubts WHERE code = 'target_died'")}
    least_ns = round(GAUGE_GAP_S * 1e9)
    for arm, pid, before, t in history.rows(_WITNESS, (least_ns, least_ns)):
        if arm not in gone:
            yield SilentPeriod("target", arm, pid, GAP, before, t, over=pid is not None)


def _gauges(
    history: History, seen: Sequence[SilentPeriod], by_plan: PlannedSilences
) -> Iterator[SilentPeriod]:
    """Gaps of the gauges. Postgres is gauged by queries: times in which it does not answer are no gap."""
    hung = [(each.begins, each.ends) for each in seen if each.part == "postgres"]
    for table, what in (("ticks", MACHINE), ("looks", LOOKS), ("slots", POSTGRES)):
        for before, t in history.rows(_GAPS.format(table=table), (round(GAUGE_GAP_S * 1e9),)):
            gap = SilentPeriod(f"{GAUGES} of {what}", None, None, GAP, before, t)
            away = (
                PlannedSilences((*by_plan.windows, *hung)).outside_s(gap)
                if what == POSTGRES
                else gap.lasted_s
            )
            if away > GAUGE_GAP_S:
                yield gap
