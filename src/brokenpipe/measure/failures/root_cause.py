"""The root cause of each failed request, from the records of the witness."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import History, Row
from brokenpipe.measure.failures.error_classes import ChainedException, chain_of, classify
from brokenpipe.measure.failures.pool_errors import class_by_pool, is_refused_as_released
from brokenpipe.measure.failures.request_stage import DbOperation, operation_of

State = Literal["stale", "in use", "after rest", "connecting", ""]

# Errors met while a connection is made or tested are not of a connection that was handed out as usable.
_BEFORE_USE = frozenset({"connect", "ping", "checkout"})

_ERROR_STATUS = 400  # and above: an answer that says that there is none
_BROKEN_OFF = frozenset({"transport", "timeout"})

# A locustfile declares an answer that belongs to another request as a failure with these words. Only the client can
# detect that; errors that the witness recorded on the way are not the cause.
WRONG_RESULT = "wrong result"


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One failed request and its root cause. `at` and `end` are monotonic nanoseconds."""

    arm: str
    phase: str
    episode: int
    id: str
    name: str
    begin: int
    end: int
    error_class: ErrorClass
    state: State
    broken: bool  # a disconnect of a connection that the pool had handed out as usable
    chain: tuple[ChainedException, ...]
    operation: DbOperation | None = None  # what failed, or what it hung in; None: not recorded
    cause_known: bool = True  # False: the witness has no record of it
    response_began: int | None = None  # None: it did not, or the answer says that it failed


@dataclass(frozen=True, slots=True)
class FailureRecords:
    """All that is recorded of one failed request. The last six are the witness's; None where it has no such record.

    `begin`, `end` and `response_began` are monotonic nanoseconds. `failed_by` and `error` are the client's reason and
    its text, `answered` is the status with which the service answered.
    """

    arm: str
    phase: str
    episode: int
    id: str
    name: str
    begin: int
    end: int
    status: int
    failed_by: str
    error: str | None
    errors: Sequence[Mapping[str, Any]] | None = None
    raised: Sequence[Mapping[str, Any]] | None = None
    waiting: Mapping[str, Any] | None = None
    stall: Mapping[str, Any] | None = None
    response_began: int | None = None
    answered: int | None = None


_SOURCES: Mapping[str, str] = {
    "arm": "o.arm",
    "phase": "o.phase",
    "episode": "o.episode",
    "id": "o.id",
    "name": "o.name",
    "begin": "o.t",
    "end": "coalesce(o.t_end, o.t)",
    "status": "o.status",
    "failed_by": "o.failure",
    "error": "o.error",
    "errors": "w.errors",
    "raised": "w.raised",
    "waiting": "w.waiting",
    "stall": "h.stall",
    "response_began": "w.began_t",
    "answered": "w.status",
}
_JSON = ("errors", "raised", "waiting", "stall")
_QUERY = f"""
WITH stalled AS (
    SELECT s.witness_arm, s.id, max_by(to_json(s), s.t) AS stall
    FROM stalls s JOIN outcomes o ON o.arm = s.witness_arm AND o.id = s.id AND s.since <= coalesce(o.t_end, o.t)
    WHERE o.failure IS NOT NULL GROUP BY ALL
)
SELECT {", ".join(_SOURCES.values())}
FROM outcomes o LEFT JOIN testimony w ON o.arm = w.witness_arm AND o.id = w.id
LEFT JOIN stalled h ON o.arm = h.witness_arm AND o.id = h.id
WHERE o.failure IS NOT NULL
"""


def failures(history: History) -> tuple[FailedRequest, ...]:
    """Every failed request that counts, in order of its start."""
    return _read(history, "o.phase IS NOT NULL")


def failures_between_phases(history: History) -> tuple[FailedRequest, ...]:
    """Every failed request that does not count, such as those of a lead-in: what follows from them may count."""
    return _read(history, "o.phase IS NULL")


def with_known_causes(
    failures: Sequence[FailedRequest], followed: frozenset[str]
) -> tuple[FailedRequest, ...]:
    """Mark causes as known in arms whose requests are followed into their pools: no record there means no error."""
    return tuple(
        replace(failure, cause_known=_is_known(failure.error_class, witnessed=True))
        if failure.arm in followed
        else failure
        for failure in failures
    )


def _is_known(error_class: ErrorClass, *, witnessed: bool) -> bool:
    """Whether the cause is known: by the client for a wrong result, else by a record of the witness."""
    if error_class is ErrorClass.UNEXPLAINED:
        return False
    return witnessed or error_class is ErrorClass.WRONG_RESULT


def _read(history: History, condition: str) -> tuple[FailedRequest, ...]:
    return tuple(map(_failure_of_row, history.stream(f"{_QUERY} AND {condition} ORDER BY o.t")))


def _failure_of_row(row: Row) -> FailedRequest:
    fields = dict(zip(_SOURCES, row, strict=True))
    return classify_failure(FailureRecords(**fields | {name: _parsed(fields[name]) for name in _JSON}))


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def classify_failure(recorded: FailureRecords) -> FailedRequest:
    """The failed request with its root cause."""
    began, answered_with_error = recorded.response_began, _is_error(recorded.answered)
    known = _known_in_time(recorded)
    root = _root_error(known)
    words = tuple(tuple(link.items()) for link in (root["chain"] if root else known.raised) or ())
    chain, error_class = _classify_chain(words, root["where"] if root else None)
    error_class = class_by_pool(error_class, chain, root)
    if error_class is ErrorClass.APPLICATION and is_refused_as_released(chain, root):
        error_class = ErrorClass.EOF
    if recorded.failed_by == "declared" and WRONG_RESULT in (recorded.error or "").lower():
        chain, error_class = (), ErrorClass.WRONG_RESULT
    elif not chain:
        error_class = _class_without_witness(recorded.failed_by, recorded.status)
    act = root or known.waiting
    return FailedRequest(
        arm=recorded.arm,
        phase=recorded.phase,
        episode=recorded.episode,
        id=recorded.id,
        name=recorded.name,
        begin=recorded.begin,
        end=recorded.end,
        error_class=error_class,
        state=_state(root),
        broken=error_class.is_disconnect and (root is None or root["where"] not in _BEFORE_USE),
        chain=chain or (_exception_from_client(recorded),),
        operation=operation_of(act) if act else None,
        cause_known=_is_known(error_class, witnessed=bool(chain or act)),
        response_began=None
        if answered_with_error
        else _response_began(known, began, recorded.end, recorded.failed_by),
    )


def _exception_from_client(recorded: FailureRecords) -> ChainedException:
    kind = f"HTTP {recorded.status}" if recorded.status else recorded.failed_by
    return ChainedException(type=kind, text=recorded.error or "")


def _known_in_time(recorded: FailureRecords) -> _WitnessRecords:
    """What the witness recorded until the client gave up, or until the service began to answer with an error."""
    given_up = recorded.failed_by == "timeout"
    known = _witness_records(
        recorded.errors, recorded.raised, recorded.waiting, recorded.stall, given_up=given_up
    )
    if given_up:
        return _known_when_given_up(known, recorded.end)
    if _is_error(recorded.answered) and recorded.response_began is not None:
        return _known_when_answered(known, recorded.response_began)
    return known


@lru_cache(maxsize=1024)
def _classify_chain(
    words: tuple[tuple[tuple[str, Any], ...], ...], where: str | None
) -> tuple[tuple[ChainedException, ...], ErrorClass]:
    """A chain and its class, cached: a strike breaks many requests with the same chain."""
    chain = chain_of([dict(link) for link in words])
    return chain, classify(chain, where)


@dataclass(frozen=True, slots=True)
class _WitnessRecords:
    """The records of the witness about one request. `waiting`: the operation in which it ended or hung."""

    errors: Sequence[Mapping[str, Any]]
    raised: Sequence[Mapping[str, Any]] | None
    waiting: Mapping[str, Any] | None


def _witness_records(
    errors: Any, raised: Any, waiting: Any, stall: Any, *, given_up: bool
) -> _WitnessRecords:
    """Its stall counts only if the client gave up or the request has no end; else the stall may be long over."""
    return _WitnessRecords(errors or (), raised, waiting or (stall if given_up or errors is None else None))


def _known_when_given_up(records: _WitnessRecords, end: int) -> _WitnessRecords:
    """The records up to the moment when its user gave up. Errors that the service met later are no cause.

    A later error shows the operation that was under way, if that had begun; else the stall does.
    """
    before = [error for error in records.errors if error["t"] <= end]
    if before:
        return replace(records, errors=before)
    later = ({**error, "t": None} for error in records.errors)
    under_way = (act for act in (*later, records.waiting) if (_since(act) or end + 1) <= end)
    return _WitnessRecords((), None, next(under_way, None))


def _is_error(status: int | None) -> bool:
    return status is not None and status >= _ERROR_STATUS


def _known_when_answered(records: _WitnessRecords, began: int) -> _WitnessRecords:
    """The records up to the moment when the service began to answer with an error."""
    return replace(records, errors=[error for error in records.errors if error["t"] <= began])


def _response_began(records: _WitnessRecords, began: int | None, end: int, failed_by: str) -> int | None:
    """When the response began in whose course the request failed.

    Where nothing that failed is known, a response that came whole says nothing: what is wrong with it had gone wrong
    before. One that broke off, hung, or was left by an exception, did so after it had begun.
    """
    known = records.errors or records.waiting or records.raised
    if began is None or began > end or not (known or failed_by in _BROKEN_OFF):
        return None
    return began


def _since(act: Mapping[str, Any] | None) -> int | None:
    return None if act is None else act.get("began") or act.get("since")


def _root_error(records: _WitnessRecords) -> Mapping[str, Any] | None:
    """The first error that the request met: later ones, such as a rollback's, follow from it.

    A failed pre-ping is not the cause of a failure unless nothing else went wrong: the pool replaces that
    connection. Nor is a rollback, if something else left the service, which had made it roll back.
    """
    errors = [
        error
        for error in records.errors
        if error["where"] != "rollback" or _left_the_service(error, records.raised)
    ]
    return next((error for error in errors if error["where"] != "ping"), errors[0] if errors else None)


def _left_the_service(error: Mapping[str, Any], raised: Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether this error is among those that left the service, if any did."""
    types = {link.get("type") for link in error["chain"]}
    return not raised or any(link.get("type") in types for link in raised)


def _state(root: Mapping[str, Any] | None) -> State:
    if root is None:
        return ""
    if root["where"] == "connect":
        return "connecting"
    if root.get("dead_at_checkout") is None or root["where"] in _BEFORE_USE:
        return ""
    return "stale" if root["dead_at_checkout"] else "in use"


def rest_range_s(failures: Iterable[FailedRequest]) -> tuple[float, float] | None:
    """The shortest and the longest idle time before failures after a rest; None where it was not recorded."""
    rests = [
        each.operation.rest_ms / 1000
        for each in failures
        if each.state == "after rest" and each.operation is not None and each.operation.rest_ms is not None
    ]
    return (min(rests), max(rests)) if rests else None


def _class_without_witness(failed_by: str, status: int) -> ErrorClass:
    if failed_by == "timeout":
        return ErrorClass.TIMEOUT
    if failed_by == "transport":
        return ErrorClass.TRANSPORT
    if failed_by == "declared" or 400 <= status < 500:
        return ErrorClass.APPLICATION
    return ErrorClass.UNEXPLAINED
