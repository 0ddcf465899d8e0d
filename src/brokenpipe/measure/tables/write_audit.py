"""Write audit: compares the answers to writes with what the database holds.

                    answered     yes            no         not at all
    database holds it
    never                        lost           correct    correct
    once                         correct        unacknowledged
    more than once               doubled        doubled, unacknowledged

A client identifies a write by its key. Requests with the same key are one write, asked for more than once. What the
database held before the first request is subtracted. Of an experiment that was resumed, all this is about its last
part: the database of the others is no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.write_counts import WriteAudit, WriteCounts, WriteDiscrepancy
from brokenpipe.plan.expectations import Expectation, Metric
from brokenpipe.plan.scenario import Scenario

MAX_EXAMPLES = 5  # of each kind and arm: enough to look up in logs

_WRITES = """
CREATE TABLE writes AS
WITH asked AS (
    SELECT arm, key, min(t) AS t, arg_min(id, t) AS id, arg_min(name, t) AS name,
           CASE WHEN bool_or(t_end IS NOT NULL AND failure IS NULL) THEN 'acknowledged'
                WHEN bool_or(t_end IS NULL OR failure IN ('transport', 'timeout')) THEN 'unanswered'
                ELSE 'refused' END AS told
    FROM requests WHERE key IS NOT NULL AND t >= (SELECT coalesce(max(t), 0) FROM resumptions) GROUP BY arm, key
),
held AS (
    SELECT arm, coalesce(key, '(no key)') AS key,
           greatest(sum(CASE edge WHEN 'end' THEN count ELSE -count END), 0) AS count
    FROM entries GROUP BY ALL
),
placed AS (
    SELECT a.*, CASE WHEN a.t < c.t1 AND c.counts THEN c.phase ELSE '' END AS phase
    FROM asked a ASOF LEFT JOIN episode_list c ON a.t >= c.t0
)
SELECT arm, key, coalesce(phase, '') AS phase, coalesce(name, '') AS name, coalesce(id, '') AS id,
       coalesce(told, 'never') AS told, coalesce(count, 0)::BIGINT AS count
FROM placed FULL JOIN held USING (arm, key)
WHERE told IS NOT NULL OR count > 0
"""

_COUNTS = """
SELECT arm, phase, count(*) FILTER (told = 'acknowledged'), count(*) FILTER (told = 'refused'),
       count(*) FILTER (told = 'unanswered'), count(*) FILTER (told = 'acknowledged' AND count = 0),
       count(*) FILTER (told IN ('refused', 'unanswered') AND count > 0), count(*) FILTER (count > 1)
FROM writes WHERE told != 'never' GROUP BY ALL ORDER BY ALL
"""

_EXAMPLES = """
WITH wrong AS (
    SELECT *, CASE WHEN told = 'never' THEN 'never asked for' WHEN count > 1 THEN 'doubled'
                   WHEN told = 'acknowledged' AND count = 0 THEN 'lost'
                   WHEN told != 'acknowledged' AND count > 0 THEN 'unacknowledged' END AS what
    FROM writes
)
SELECT arm, what, phase, key, name, id, count FROM wrong WHERE what IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY arm, what ORDER BY phase = '', id, key) <= ?
ORDER BY arm, what, phase = '', id, key
"""


def audit_writes(history: History, arms: Sequence[str]) -> dict[str, WriteAudit]:
    """Audit the writes of each arm; empty if the target has no ledger."""
    if not history.one("SELECT count(*) FROM balances")[0]:
        return {}
    history.sql(_WRITES)
    counted: dict[str, dict[str, WriteCounts]] = defaultdict(dict)
    for arm, phase, *counts in history.rows(_COUNTS):
        counted[arm][phase] = WriteCounts(*counts)
    never: dict[str, int] = dict(
        history.rows("SELECT arm, count(*) FROM writes WHERE told = 'never' GROUP BY ALL")
    )
    examples: dict[str, list[WriteDiscrepancy]] = defaultdict(list)
    for arm, *entry in history.rows(_EXAMPLES, (MAX_EXAMPLES,)):
        examples[arm].append(WriteDiscrepancy(*entry))
    unread = {arm: _unread(history, arm) for arm in arms}
    books = {
        arm: WriteAudit(arm, unread[arm], counted[arm], never.get(arm, 0), tuple(examples[arm]))
        for arm in arms
    }
    return {arm: _unless_incomparable(each) for arm, each in books.items()}


def _unread(history: History, arm: str) -> str:
    """Why the database of this arm could not be read at the beginning or the end; empty if it was."""
    readings: dict[str, str | None] = dict(
        history.rows("SELECT edge, error FROM balances WHERE arm = ?", (arm,))
    )
    for edge, when in (("begin", "before the first request"), ("end", "after the last phase")):
        if edge not in readings:
            return f"it was not read {when}: the experiment ended before"
        if readings[edge]:
            return f"it could not be read {when}: {readings[edge]}"
    return ""


def _unless_incomparable(books: WriteAudit) -> WriteAudit:
    """The audit, or none if the keys of the ledger and of the clients do not match at all."""
    if books.unread:
        return _not_known(books, books.unread)
    total = books.total
    if not total.asked:
        return _not_known(books, "no request carried the header Idempotency-Key, so nothing can be compared")
    foreign = next((each.key for each in books.examples if each.what == "never asked for"), None)
    if total.acknowledged and total.lost == total.acknowledged and foreign is not None:
        mine = next(each.key for each in books.examples if each.what == "lost")
        return _not_known(
            books,
            f"not one acknowledged key is in it, but {books.never_asked_for} that no request carried: "
            f"clients sent keys such as {mine}, `ledger` in target.toml gives keys such as {foreign}",
        )
    return books


def _not_known(books: WriteAudit, why: str) -> WriteAudit:
    return replace(books, unread=why, by_phase={}, never_asked_for=0, examples=())


def with_write_counts(
    cells: Mapping[ArmPhase, ArmPhaseStats], books: Mapping[str, WriteAudit]
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add the write counts to each arm and phase, where they are known."""
    return {
        (arm, phase): replace(cell, writes=books[arm].by_phase.get(phase) if arm in books else None)
        for (arm, phase), cell in cells.items()
    }


def default_expectations(
    scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats]
) -> Iterator[Expectation]:
    """Expectations that no acknowledged write is lost, where one is lost and the scenario does not mention it.

    No scenario has to state this: it is what an acknowledgement promises.
    """
    said = {
        (arm, each.phase)
        for each in scenario.expect
        if each.metric is Metric.LOST
        for arm in scenario.arms_of(each)
    }
    for (arm, phase), cell in cells.items():
        if cell.writes and cell.writes.lost and (arm, phase) not in said:
            yield Expectation(arm=arm, phase=phase, metric=Metric.LOST, equals=0)


def may_lose(scenario: Scenario, arm: str) -> bool:
    """Whether the scenario allows that an acknowledged write of this arm is lost, in any phase."""
    return any(
        each.metric is Metric.LOST and each.bound not in {("equals", 0.0), ("at_most", 0.0)}
        for each in scenario.expect
        if arm in scenario.arms_of(each)
    )


def ledger_warnings(scenario: Scenario, books: Mapping[str, WriteAudit]) -> Iterator[ValidityWarning]:
    """Warn of audits that are not known, and of losses between phases."""
    for arm, each in books.items():
        between = each.by_phase.get("", WriteCounts())
        if each.unread:
            text = f"the ledger of {arm} is not known: {each.unread}"
            yield ValidityWarning.of(Code.LEDGER_UNKNOWN, text, arm=arm)
        elif between.lost and may_lose(scenario, arm):
            text = (
                f"{between.lost} acknowledged writes of {arm} that were asked for between phases are missing"
            )
            yield ValidityWarning.of(Code.LOST_BETWEEN_PHASES, text, arm=arm)
