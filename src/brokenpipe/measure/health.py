"""How the instrument itself was: how busy, how late, and whether its faults landed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from brokenpipe.history.reader import History
from brokenpipe.history.tables import EVERY_FILE
from brokenpipe.measure.findings import ContractProbe, Health, Load
from brokenpipe.measure.memory import memory
from brokenpipe.measure.timelines import begin_of

_BUSY = """
WITH g AS (
    SELECT role, arm, t, cpu_s, rss_bytes,
           (cpu_s - lag(cpu_s) OVER w) / nullif((t - lag(t) OVER w) / 1e9, 0) AS cores
    FROM process_gauges WHERE t BETWEEN ? AND ? WINDOW w AS (PARTITION BY role, arm ORDER BY t)
)
SELECT role, arm, (max(cpu_s) - min(cpu_s)) / nullif((max(t) - min(t)) / 1e9, 0), max(cores), max(rss_bytes)
FROM g GROUP BY ALL ORDER BY role, arm
"""


def health(history: History, *, cores: int, arms: Sequence[str]) -> Health:
    """From the first phase's begin to the last one's end, so that starting up does not count."""
    begin, end = history.one("SELECT coalesce(min(t), 0), coalesce(max(t), 0) FROM phase_edges")
    busy, peak, stolen = history.one(
        "SELECT avg(busy), max(busy), avg(stolen) FROM machine_gauges WHERE t BETWEEN ? AND ?", (begin, end)
    )
    (lag,) = history.one("SELECT max(ms) FROM lags WHERE t BETWEEN ? AND ?", (begin, end))
    landings, landed, after = history.one(
        "SELECT count(*), count(*) FILTER (landed), "
        "median(after_ms) FILTER (landed AND expected LIKE '%after injection') FROM landings"
    )
    return Health(
        processes=tuple(
            Load(role, arm, mean or 0.0, top or 0.0, rss)
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
        memory=memory(history, arms, begin_of(history)),
        requests=history.one("SELECT count(*) FROM outcomes_everywhere")[0],
        history_bytes=sum(path.stat().st_size for path in history.folder.glob(EVERY_FILE)),
    )


def certificate(history: History) -> tuple[ContractProbe, ...]:
    """What raw sockets saw of each fault before the experiment."""
    rows = history.rows(
        "SELECT fault, situation, expected, seen, after_ms, held FROM probes ORDER BY t, fault, situation"
    )
    return tuple(ContractProbe(*row) for row in rows)


def missed_landings(
    history: History, arms: Iterable[str], phases: Iterable[str]
) -> dict[tuple[str, str], tuple[int, int]]:
    """For each arm and phase with a fault: how many strikes no socket saw, of how many.

    A strike that nobody watched was not seen either: every counted episode is one.
    """
    seen = {
        (arm, phase): (landed, total)
        for arm, phase, landed, total in history.rows(
            "SELECT arm, phase, count(*) FILTER (landed), count(*) FROM landings GROUP BY ALL"
        )
    }
    struck: dict[str, int] = dict(
        history.rows("SELECT phase, count(DISTINCT n) FROM episodes WHERE counts GROUP BY ALL")
    )
    counts = {}
    for arm, phase in product(arms, phases):
        landed, watched = seen.get((arm, phase), (0, 0))
        total = max(watched, struck.get(phase, 0))
        counts[arm, phase] = (total - landed, total)
    return counts
