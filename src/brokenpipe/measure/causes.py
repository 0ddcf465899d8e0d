"""Why each failed request failed, from the witness's testimony."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from brokenpipe.history.reader import History
from brokenpipe.measure.classify import ErrorClass, Link, chain_of, classify
from brokenpipe.measure.request_phase import Act, act_of

State = Literal["stale", "in use", "connecting", ""]

# Errors met while a connection is made or tested are not of a connection that was handed out as usable.
_BEFORE_USE = frozenset({"connect", "ping", "checkout"})


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request and its root cause. `at` and `end` are monotonic nanoseconds."""

    arm: str
    phase: str
    episode: int
    id: str
    name: str
    at: int
    end: int
    error_class: ErrorClass
    state: State
    broken: bool  # a disconnect of a connection that the pool had handed out as usable
    chain: tuple[Link, ...]
    act: Act | None = None  # what failed, or what it hung in; None: nobody told
    response_began: int | None = None


_QUERY = """
WITH stalled AS (SELECT witness_arm, id, max_by(to_json(s), s.t) AS stall FROM stalls s GROUP BY ALL)
SELECT o.arm, o.phase, o.episode, o.id, o.name, o.t, coalesce(o.t_end, o.t), o.status, o.failure, o.error,
       w.errors, w.raised, coalesce(w.waiting, h.stall), w.began_t
FROM outcomes o LEFT JOIN testimony w ON o.arm = w.witness_arm AND o.id = w.id
LEFT JOIN stalled h ON o.arm = h.witness_arm AND o.id = h.id
WHERE o.failure IS NOT NULL AND o.phase IS NOT NULL
ORDER BY o.t
"""


def failures(history: History) -> tuple[Failure, ...]:
    """Every failed request that counts, in order of its start."""
    known: dict[tuple[Link, ...], tuple[Link, ...]] = {}  # a strike breaks many requests in the same words
    found = (_failure(row) for row in history.stream(_QUERY))
    return tuple(replace(each, chain=known.setdefault(each.chain, each.chain)) for each in found)


def _failure(row: tuple[Any, ...]) -> Failure:
    (
        arm, phase, episode, request_id, name, at, end, status, failed_by, error,
        errors, raised, waiting, response_began,
    ) = row  # fmt: skip
    root = _root_error(json.loads(errors) if errors else [])
    chain = chain_of(root["chain"] if root else json.loads(raised) if raised else None)
    error_class = (
        classify(chain, root["where"] if root else None) if chain else _without_testimony(failed_by, status)
    )
    return Failure(
        arm=arm,
        phase=phase,
        episode=episode,
        id=request_id,
        name=name,
        at=at,
        end=end,
        error_class=error_class,
        state=_state(root),
        broken=error_class.is_disconnect and (root is None or root["where"] not in _BEFORE_USE),
        chain=chain or (Link(type=f"HTTP {status}" if status else failed_by, text=error or ""),),
        act=act_of(root) if root else act_of(hung) if (hung := json.loads(waiting or "null")) else None,
        response_began=response_began,
    )


def _root_error(errors: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first error that the request met: later ones, such as a rollback's, follow from it.

    A failed pre-ping is not the cause of a failure unless nothing else went wrong: the pool replaces that
    connection.
    """
    return next((error for error in errors if error["where"] != "ping"), errors[0] if errors else None)


def _state(root: Mapping[str, Any] | None) -> State:
    if root is None:
        return ""
    if root["where"] == "connect":
        return "connecting"
    if root.get("dead_at_checkout") is None or root["where"] in _BEFORE_USE:
        return ""
    return "stale" if root["dead_at_checkout"] else "in use"


def _without_testimony(failed_by: str, status: int) -> ErrorClass:
    if failed_by == "timeout":
        return ErrorClass.TIMEOUT
    if failed_by == "transport":
        return ErrorClass.TRANSPORT
    if failed_by == "declared" or 400 <= status < 500:
        return ErrorClass.APPLICATION
    return ErrorClass.UNEXPLAINED
