"""Warnings about the path to the database: traffic past the proxy or none at all, and exhausted connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from brokenpipe.faults import Fault
from brokenpipe.formatting import percent, plural
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.target import FULL, HARDLY_ANY, NEARLY_FULL
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.validity.ended_sessions import ended_sessions_warnings
from brokenpipe.plan.scenario import Scenario

# A session that is open at a gauge shows by its state whether it did something; one that came and went in between
# by the count of transactions. A stretch of a gauge or two may miss both.
SPAN_S = 3.0
_FEW_REQUESTS = 20

_TRANSACTIONS = """
WITH p AS (FROM stretches), stretch AS (
    SELECT g.arm, p.name, max(g.transactions) - min(g.transactions) AS transactions, sum(g.worked) AS worked,
           max(g.t) - min(g.t) AS span
    FROM postgres_gauges g JOIN p ON g.t BETWEEN p.t0 AND p.t1 WHERE g.worked IS NOT NULL
    GROUP BY g.arm, p.name, p.t0
)
SELECT arm, name, sum(transactions) FROM stretch GROUP BY ALL HAVING sum(worked) = 0 AND sum(span) >= ? ORDER BY ALL
"""


def database_warnings(
    history: History, scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats]
) -> tuple[ValidityWarning, ...]:
    """From the first phase's begin on."""
    (begin,) = history.one("SELECT coalesce(min(t), 0) FROM phase_edges")
    return (
        *_connection_slots(history, begin),
        *ended_sessions_warnings(history, begin),
        *_bypassed_proxy(history, begin),
        *_no_traffic(history, scenario, cells),
    )


def _connection_slots(history: History, begin: int) -> Iterator[ValidityWarning]:
    used, allowed = history.one(
        "SELECT coalesce(max(used), 0), coalesce(min(allowed), 1) FROM slots WHERE t >= ?", (begin,)
    )
    if used >= allowed * NEARLY_FULL:
        code = Code.POSTGRES_FULL if used >= allowed * FULL else Code.POSTGRES_NEARLY_FULL
        text = f"Postgres had {used} connections of the {allowed} that it allows ({percent(used / allowed)})"
        yield ValidityWarning.of(code, text)


def _bypassed_proxy(history: History, begin: int) -> Iterator[ValidityWarning]:
    rows = history.rows(
        "SELECT arm, max(direct) FROM postgres_gauges WHERE t >= ? AND direct > 0 GROUP BY ALL ORDER BY ALL",
        (begin,),
    )
    for arm, direct in rows:
        text = f"up to {direct} connections within a second led to the database of {arm} past its proxy"
        yield ValidityWarning.of(Code.BYPASSES_PROXY, text, arm=arm)


def _no_traffic(
    history: History, scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats]
) -> Iterator[ValidityWarning]:
    """Databases without traffic. A fault that blocks the database explains it, if there was traffic in other phases."""
    asked = _transactions_by_arm_phase(history)
    for arm, phase, transactions in history.rows(_TRANSACTIONS, (int(SPAN_S * 1e9),)):
        cell = cells.get((arm, phase))
        succeeded = cell.requests - cell.failed if cell else 0
        others = sum(count for (other, name), count in asked.items() if other == arm and name != phase)
        if others > 0 and _blocks_database(scenario.phase(phase).fault):
            continue
        if succeeded >= _FEW_REQUESTS and transactions < succeeded * HARDLY_ANY:
            text = (
                f"{plural(succeeded, 'request')} of {arm} succeeded in {phase}, and its database saw "
                f"{plural(transactions, 'transaction')}{_elsewhere_text(others)}"
            )
            yield ValidityWarning.of(Code.NO_DATABASE_TRAFFIC, text, phase=phase, arm=arm)


_SPANS = """
WITH p AS (FROM stretches), stretch AS (
    SELECT g.arm, p.name, max(g.t) - min(g.t) AS span
    FROM p LEFT JOIN postgres_gauges g ON g.t BETWEEN p.t0 AND p.t1 GROUP BY g.arm, p.name, p.t0
)
SELECT name FROM (SELECT arm, name, coalesce(sum(span), 0) AS seen FROM stretch GROUP BY ALL)
GROUP BY name HAVING max(seen) < ?
"""


def phases_too_short_to_check(history: History, cells: Mapping[ArmPhase, ArmPhaseStats]) -> tuple[str, ...]:
    """The phases with requests that were too short to tell whether a database was used.

    None in a history of before databases were looked at.
    """
    if not history.one("SELECT count(*) FROM postgres_gauges")[0]:
        return ()
    short = {name for (name,) in history.rows(_SPANS, (int(SPAN_S * 1e9),))}
    asked = {phase for (_, phase), cell in cells.items() if cell.requests >= _FEW_REQUESTS}
    return tuple(dict.fromkeys(phase for _, phase in cells if phase in short & asked))


_ASKED = """
WITH p AS (FROM stretches)
SELECT arm, name, sum(transactions)::BIGINT FROM (
    SELECT g.arm, p.name, max(g.transactions) - min(g.transactions) AS transactions
    FROM postgres_gauges g JOIN p ON g.t BETWEEN p.t0 AND p.t1 GROUP BY g.arm, p.name, p.t0
) GROUP BY ALL
"""


def _transactions_by_arm_phase(history: History) -> dict[ArmPhase, int]:
    """Transactions of each arm's database in each phase."""
    return {(arm, phase): count or 0 for arm, phase, count in history.rows(_ASKED)}


def _blocks_database(fault: Fault | None) -> bool:
    """Whether a fault blocks the database while it lasts: what is answered then is answered without it."""
    if fault is None or fault.momentary:
        return False
    return fault.silences or fault.contract.fresh.seen == "refused"


def _elsewhere_text(transactions: int) -> str:
    """A remark that the database was used in other phases."""
    if not transactions:
        return ""
    return f"; in the other phases it saw {plural(transactions, 'transaction')}, so that something stopped asking it"
