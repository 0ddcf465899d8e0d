"""Swallowed errors: the client gets a success although the database had failed the request.

    seen by the witness   a statement, commit or connect failed in the course of the request
    answer to the client  200

That is fine if the service compensated for it: its work was done again on a connection handed out later, or went on
on the same one. What is left was swallowed, and no failure rate knows of it. A failed pre-ping is no error of the
request, and a failed roll-back undoes what the end of the connection has undone anyway. Where the service did answer
with a failure, or not at all, and its client has a success all the same, the client asked twice: HTTP libraries send a
GET again whose kept connection was closed before an answer. What a service met after it had answered counts: a commit
that it had promised. What it met after its client had disconnected does not.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from brokenpipe.error_class import ErrorClass
from brokenpipe.formatting import plural
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.failures.error_classes import ChainedException, chain_of, classify
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.findings import SwallowedErrors
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.plan.expectations import Metric
from brokenpipe.plan.scenario import Scenario

_HARMLESS = frozenset({"ping", "rollback"})

_QUERY = """
WITH met AS (
    SELECT witness_arm AS arm, id, hash(id) AS id_hash, errors, checkouts, left_t FROM testimonies
    WHERE errors::VARCHAR NOT IN ('[]', 'null')
    AND coalesce(status, 500) < 500
    AND (witness_arm, id) NOT IN (SELECT (arm, id) FROM other_outcomes WHERE failure IS NOT NULL)
)
SELECT arm, phase, met.id, name, status, errors, checkouts, left_t
FROM outcomes JOIN met USING (arm, id_hash) WHERE failure IS NULL AND phase IS NOT NULL ORDER BY t
"""


@dataclass(frozen=True, slots=True)
class _SwallowedCase:
    """A request that was answered as a success in spite of an error."""

    arm: str
    phase: str
    id: str
    name: str
    status: int
    where: str
    error_class: ErrorClass
    chain: tuple[ChainedException, ...]


def swallowed_errors(history: History) -> tuple[SwallowedErrors, ...]:
    """Swallowed errors by cause, the most frequent first, each with one real example."""
    grouped: dict[tuple[str, str], list[_SwallowedCase]] = defaultdict(list)
    for case in _cases(history):
        grouped[case.error_class.value, case.where].append(case)
    return tuple(_group(cases) for cases in sorted(grouped.values(), key=lambda cases: -len(cases)))


def _group(cases: Sequence[_SwallowedCase]) -> SwallowedErrors:
    example = cases[0]
    return SwallowedErrors(
        error_class=example.error_class.value,
        where=example.where,
        count_by_place=dict(Counter((case.arm, case.phase) for case in cases)),
        example_arm=example.arm,
        example_request=example.name,
        example_id=example.id,
        example_status=example.status,
        chain=example.chain,
    )


def _cases(history: History) -> Iterator[_SwallowedCase]:
    for arm, phase, request_id, name, status, errors, checkouts, left in history.stream(_QUERY):
        met = [error for error in json.loads(errors) if left is None or error["t"] < left]
        root = _swallowed_error(met, checkouts or ())
        if root is None:
            continue
        chain = chain_of(root["chain"])
        error_class = classify(chain)
        # A unique key that was there already is an answer of the database, and often what was asked for.
        if error_class is not ErrorClass.APPLICATION:
            yield _SwallowedCase(arm, phase, request_id, name, status, root["where"], error_class, chain)


def _swallowed_error(
    errors: Sequence[Mapping[str, Any]], checkouts: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The last harmful error, if no later work compensated for it."""
    hurt = [error for error in errors if error["where"] not in _HARMLESS]
    if not hurt or any(_compensates(checkout, hurt[-1]) for checkout in checkouts):
        return None
    return hurt[-1]


def _compensates(checkout: Mapping[str, Any], error: Mapping[str, Any]) -> bool:
    """Whether work was done on this connection after the error."""
    if checkout["t"] is None or not checkout["statements"]:
        return False
    if checkout["t"] > error["t"]:
        return True
    went_on = error["statement"] is not None and checkout["statements"] > error["statement"]
    return went_on and checkout["port"] == error["port"]


def with_swallowed_counts(
    cells: Mapping[ArmPhase, ArmPhaseStats], groups: Sequence[SwallowedErrors], witnessed: frozenset[str]
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add the count of swallowed errors to each arm and phase, where a witness could see them."""
    counts: Counter[ArmPhase] = Counter()
    for group in groups:
        counts.update(group.count_by_place)
    return {
        (arm, phase): replace(cell, swallowed=counts[arm, phase] if arm in witnessed else None)
        for (arm, phase), cell in cells.items()
    }


def swallowed_warnings(
    scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats], groups: Sequence[SwallowedErrors]
) -> Iterator[ValidityWarning]:
    """Warn of failure rates that are too low because errors were swallowed, unless the scenario checks that."""
    decided = {
        (arm, each.phase)
        for each in scenario.expect
        if each.metric is Metric.SWALLOWED
        for arm in scenario.arms_of(each)
    }
    for (arm, phase), cell in cells.items():
        if cell.swallowed and (arm, phase) not in decided:
            example = next(group for group in groups if (arm, phase) in group.count_by_place)
            text = (
                f"{arm} answered {plural(cell.swallowed, 'request')} in {phase} as successes although the database "
                f"had failed them ({example.error_class}, in {example.where}): these count nowhere as failures"
            )
            yield ValidityWarning.of(Code.ERRORS_SWALLOWED, text, phase=phase, arm=arm)
