"""Time series aligned to the fault (0), so that two runs can be drawn over each other.

In a phase with strikes, each strike is at 0. In a phase without, 0 is its begin, each time that it was played.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokenpipe.history.reader import History
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.series import Series

MOST_BINS = 60
STEPS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)  # so that runs alike have bins alike


@dataclass(frozen=True, slots=True)
class FaultAlignedSeries:
    """Series of one phase of one run, in seconds since its zero, for each arm."""

    struck: int  # number of strikes; 0: zero is the begin of the phase
    failed_share: Mapping[str, Series]  # of requests that started in the bin
    p95_ms: Mapping[str, Series]


_ZEROS = """
CREATE TABLE zeros AS
WITH begun AS (SELECT e.*, (SELECT max(t0) FROM stretches s WHERE s.name = e.phase AND s.t0 <= e.t0) AS begin
               FROM episode_list e WHERE counts),
     struck AS (SELECT phase, count(DISTINCT n) FILTER (strike IS NOT NULL) AS strikes FROM begun GROUP BY phase)
SELECT phase, n AS episode, strikes, min(CASE WHEN strikes > 0 THEN strike ELSE begin END) AS zero
FROM begun JOIN struck USING (phase) GROUP BY ALL
"""


def fault_aligned_series(history: History, findings: Findings) -> dict[str, FaultAlignedSeries]:
    """The aligned series of every phase. `create_request_tables` has made the outcomes."""
    history.sql(_ZEROS)
    struck: dict[str, int] = dict(history.rows("SELECT DISTINCT phase, strikes FROM zeros"))
    return {phase.name: _phase(history, phase.name, struck.get(phase.name, 0)) for phase in findings.phases}


def _phase(history: History, phase: str, struck: int) -> FaultAlignedSeries:
    found: dict[str, list[tuple[float, float, float | None]]] = defaultdict(list)
    step = _step(history, phase)
    for arm, at, failed, p95 in history.rows(
        f"""SELECT arm, (floor((t - zero) / 1e9 / {step}) + 0.5) * {step} AS at,
                   avg((failure IS NOT NULL)::INT), quantile_cont(ms, 0.95) FILTER (failure IS NULL)
            FROM outcomes JOIN zeros USING (phase, episode)
            WHERE phase = ? AND zero IS NOT NULL GROUP BY ALL ORDER BY ALL""",
        (phase,),
    ):
        found[arm].append((at, failed, p95))
    return FaultAlignedSeries(
        struck=struck,
        failed_share={arm: Series(_column(rows, 0), _column(rows, 1)) for arm, rows in found.items()},
        p95_ms={arm: Series(_column(rows, 0), _column(rows, 2)) for arm, rows in found.items()},
    )


def _step(history: History, phase: str) -> float:
    """The finest step with which the longest episode, or the phase, fits into the bins."""
    (span_s,) = history.one(
        """SELECT coalesce((max(t - zero) - min(t - zero)) / 1e9, 0)
           FROM outcomes JOIN zeros USING (phase, episode) WHERE phase = ?""",
        (phase,),
    )
    return next((step for step in STEPS_S if span_s / step <= MOST_BINS), STEPS_S[-1])


def _column(rows: Sequence[tuple[float | None, ...]], column: int) -> tuple[Any, ...]:
    return tuple(row[column] for row in rows)
