"""Health of the test equipment: load, delays, and whether its faults landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from brokenpipe.faults.recorded import parse_parameters
from brokenpipe.history.reader import History
from brokenpipe.history.records import EVERY_FILE, SelfTest
from brokenpipe.history.worker_clocks import WorkerClock, worker_clocks
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.validity import Health, ProcessLoad
from brokenpipe.measure.time_series.charts import experiment_begin
from brokenpipe.measure.validity.memory import memory_by_process

_BUSY = """
WITH g AS (
    SELECT role, arm, t, rss_bytes, lag(t) OVER w AS before, cpu_s - lag(cpu_s) OVER w AS used_s
    FROM process_gauges WHERE t BETWEEN ? AND ? WINDOW w AS (PARTITION BY role, arm ORDER BY t)
), spans AS (
    SELECT role, arm, rss_bytes, used_s, nullif((t - before) / 1e9, 0) AS span_s,
           NOT EXISTS (FROM resumptions r WHERE r.t BETWEEN g.before AND g.t) AS whole
    FROM g
)
SELECT role, arm, sum(used_s) FILTER (whole) / sum(span_s) FILTER (whole), max(used_s / span_s) FILTER (whole),
       max(rss_bytes)
FROM spans GROUP BY ALL ORDER BY role, arm
"""


def health(history: History, *, cores: int, arms: Sequence[str], workers: int) -> Health:
    """From the first phase's begin to the last one's end, so that starting up does not count."""
    begin, end = history.one("SELECT coalesce(min(t), 0), coalesce(max(t), 0) FROM phase_edges")
    busy, peak, stolen = history.one(
        "SELECT avg(busy), max(busy), avg(stolen) FROM machine_gauges WHERE t BETWEEN ? AND ?", (begin, end)
    )
    (lag,) = history.one("SELECT max(ms) FROM lags WHERE t BETWEEN ? AND ?", (begin, end))
    landings, landed, after = history.one(
        "SELECT count(*), count(*) FILTER (landed), "
        "median(after_ms) FILTER (landed AND timed_from = 'injection') FROM landings"
    )
    over_time = memory_by_process(history, arms, experiment_begin(history))
    private = {(one.role, one.arm): one.peak_bytes for one in over_time if one.private}
    return Health(
        processes=tuple(
            ProcessLoad(role, arm, mean or 0.0, top or 0.0, private.get((role, arm)) or rss)
            for role, arm, mean, top, rss in history.rows(_BUSY, (begin, end))
        ),
        cores=cores,
        machine_busy=busy,
        machine_busy_peak=peak,
        machine_stolen=stolen,
        worst_lag_ms=lag,
        median_landing_ms=after,
        landings=landings,
        landed=landed,
        memory=over_time,
        requests=history.one("SELECT count(*) FROM outcomes_everywhere")[0],
        history_bytes=sum(path.stat().st_size for path in history.folder.glob(EVERY_FILE)),
        workers=tuple(_workers(history, workers)),
    )


def _workers(history: History, count: int) -> Iterator[WorkerClock]:
    """Of one process there is nothing to say."""
    clocks = {clock.worker: clock for clock in worker_clocks(history.folder)}
    for name in (f"w{number + 1}" for number in range(count if count > 1 else len(clocks))):
        yield clocks.get(name, WorkerClock(name, 0, None, 0))


def contract_results(history: History) -> tuple[SelfTest, ...]:
    """The self-tests of the faults, from before the experiment. Their `t` counts from its first record."""
    begin = experiment_begin(history)
    # An experiment that was resumed has self-tests for each part; the last of equal lines stands for all.
    rows = history.rows(
        "SELECT parameters, t, fault, situation, expected, seen, after_ms, held FROM probes QUALIFY row_number() "
        "OVER (PARTITION BY fault, parameters, situation, held ORDER BY t DESC) = 1 ORDER BY t, fault, situation"
    )
    return tuple(
        SelfTest(t - begin, fault, situation, expected, seen, after_ms, held, parse_parameters(parameters))
        for parameters, t, fault, situation, expected, seen, after_ms, held in rows
    )


def undetected_strikes(
    history: History, arms: Iterable[str], phases: Iterable[str]
) -> dict[ArmPhase, tuple[int, int]]:
    """For each arm and phase with a fault: how many strikes were not detected, of how many.

    A strike that was not watched was not detected either: every counted episode is one.
    """
    seen = {
        (arm, phase): (landed, total)
        for arm, phase, landed, total in history.rows(
            "SELECT arm, phase, count(*) FILTER (landed), count(*) FROM landings GROUP BY ALL"
        )
    }
    struck: dict[str, int] = dict(
        history.rows("SELECT phase, count(DISTINCT n) FROM episode_list WHERE counts GROUP BY ALL")
    )
    counts = {}
    for arm, phase in product(arms, phases):
        landed, watched = seen.get((arm, phase), (0, 0))
        total = max(watched, struck.get(phase, 0))
        counts[arm, phase] = (total - landed, total)
    return counts
