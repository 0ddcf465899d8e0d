"""Binned time series for the charts of the report, all on one axis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from brokenpipe.history.reader import History
from brokenpipe.measure.model.findings import PhaseFinding
from brokenpipe.measure.model.series import Series, Timelines
from brokenpipe.measure.time_series.renewals import renewed_connections
from brokenpipe.plan.phases import Pattern
from brokenpipe.plan.scenario import Scenario

MOST_BINS = 1200  # an hour and a 4k screen need no more; keeps the report small
FINEST_S = 0.5


def experiment_begin(history: History) -> int:
    """The time of the experiment's first record: zero of every `_s` in the findings."""
    (begin,) = history.one("SELECT coalesce(min(t), 0) FROM clocks WHERE writer = 'experiment'")
    return int(begin)


def experiment_end(history: History) -> int:
    """The time of the last record of the experiment."""
    query = """
        SELECT coalesce(max(t), 0) FROM (
            SELECT max(t) AS t FROM finishes UNION ALL SELECT max(t) FROM phase_edges
            UNION ALL SELECT max(t1) FROM episodes UNION ALL SELECT t FROM last_end
            UNION ALL SELECT max(t) FROM clocks)"""
    return int(history.one(query)[0])


def chart_series(history: History, arms: Sequence[str]) -> Timelines:
    """Every chart's series, by arm."""
    begin, end = experiment_begin(history), experiment_end(history)
    bin_s = max(FINEST_S, (end - begin) / 1e9 / MOST_BINS)
    requests = f"""
        SELECT arm, {_bin("t", begin, bin_s)} AS at,
               avg((failure IS NOT NULL)::INT) AS failed,
               quantile_cont(ms, 0.95) FILTER (failure IS NULL) AS p95, count(*) / {bin_s} AS per_s
        FROM outcomes_everywhere GROUP BY ALL ORDER BY ALL"""
    pools = f"""
        SELECT witness_arm, {_bin("t", begin, bin_s)} AS at, max(out) AS out, min(idle) AS idle
        FROM pools GROUP BY ALL ORDER BY ALL"""
    postgres = f"""
        SELECT arm, {_bin("t", begin, bin_s)} AS at, max(connections) AS connections
        FROM postgres_gauges GROUP BY ALL ORDER BY ALL"""
    failed, p95, per_s = _series(history, requests, arms, 3)
    out, idle = _series(history, pools, arms, 2)
    (connections,) = _series(history, postgres, arms, 1)
    return Timelines(
        failed_share=failed,
        p95_ms=p95,
        requests_per_s=per_s,
        pool_out=out,
        pool_idle=idle,
        postgres_connections=connections,
    )


def _bin(column: str, begin: int, bin_s: float) -> str:
    """The middle of the bin, in seconds since the begin."""
    return f"(floor(({column} - {begin}) / 1e9 / {bin_s}) + 0.5) * {bin_s}"


def _series(
    history: History, query: str, arms: Sequence[str], width: int
) -> tuple[Mapping[str, Series], ...]:
    """One mapping from arm to series for each column behind arm and time."""
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for arm, *values in history.rows(query):
        rows[arm].append(tuple(values))
    return tuple(
        {
            arm: Series(tuple(row[0] for row in rows[arm]), tuple(row[column] for row in rows[arm]))
            for arm in arms
            if rows[arm]
        }
        for column in range(1, width + 1)
    )


def phase_findings(history: History, scenario: Scenario) -> tuple[PhaseFinding, ...]:
    """The phases that began, with the times of their strikes."""
    begin, end = experiment_begin(history), experiment_end(history)
    stretches: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, t0, t1 in history.rows("SELECT name, t0, t1 FROM stretches ORDER BY t0"):
        stretches[name].append(((t0 - begin) / 1e9, ((end if t1 is None else t1) - begin) / 1e9))
    struck = defaultdict(list)
    for name, t0, t1, strike in history.rows(
        "SELECT phase, t0, t1, strike FROM episode_list WHERE counts ORDER BY t0"
    ):
        struck[name].append((t0, t1, strike))
    anew = renewed_connections(history)
    found = []
    for phase in scenario.phases:
        if phase.name not in stretches:
            continue
        played = stretches[phase.name]
        bursts = phase.pattern is Pattern.BURSTS
        momentary = phase.fault is not None and phase.fault.momentary
        episodes = struck[phase.name]
        found.append(
            PhaseFinding(
                name=phase.name,
                fault=str(phase.fault) if phase.fault else "",
                start_s=played[0][0],
                end_s=played[-1][1],
                strikes_s=tuple((s - begin) / 1e9 for _, _, s in episodes if momentary and s is not None),
                burst_s=tuple(
                    ((s - begin) / 1e9, (t1 - begin) / 1e9)
                    for _, t1, s in episodes
                    if bursts and s is not None
                ),
                stretches_s=tuple(played) if len(played) > 1 else (),
                renewed=anew.get(phase.name, {}),
            )
        )
    return tuple(found)
