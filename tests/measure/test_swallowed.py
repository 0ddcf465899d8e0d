"""Successes that were none: the database had failed the request, and the service kept it to itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import CLOSED, REFUSED, RESET, Chain, Recorded, link
from tests.unit.plans import STEADY, scenario

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict

UNIQUE = [link("sqlalchemy.exc.IntegrityError", "duplicate key value", sqlstate="23505", invalidated=False)]
EXHAUSTED = [link("sqlalchemy.exc.TimeoutError", "QueuePool limit of size 2 overflow 0 reached")]
CANCELLED = [link("sqlalchemy.exc.DBAPIError", "canceling statement", sqlstate="57014", invalidated=False)]
LOST = {"arm": "plain", "phase": "steady", "metric": "broken", "equals": 0}


def _error(where: str, chain: Chain, *, t: int = 10, statement: int | None = None) -> dict[str, Any]:
    return {
        "t": t, "where": where, "port": 1, "dead_at_checkout": False, "statement": statement,
        "disconnect": True, "chain": list(chain),
    }  # fmt: skip


def _checkout(t: int | None, statements: int = 1, port: int = 1) -> dict[str, Any]:
    return {
        "t": t, "port": port, "wait_ms": 0, "ping_ms": None, "connect_ms": None, "fresh": False, "dead": False,
        "held_ms": 1.0, "statements": statements,
    }  # fmt: skip


def _measured(
    folder: Path,
    errors: list[dict[str, Any]],
    checkouts: list[dict[str, Any]],
    *expect: dict[str, Any],
    answered: int | None = 200,
    failed: bool = False,
    **how: Any,
) -> Findings:
    """A run with one request that met these errors and one that met none."""
    with Recorded(folder / "run", scenario(STEADY, arms=("plain",), expect=expect)) as run:
        run.phase("steady", [(10, 12, None), (12, 14, None)])
        run.connect("plain", 9)
        run.request("plain", 11)
        _answered(run, "plain", errors, checkouts, answered=answered, failed=failed, **how)
        run.finish()
        return run.measured()


def _answered(
    run: Recorded,
    arm: str,
    errors: list[dict[str, Any]],
    checkouts: list[dict[str, Any]],
    *,
    answered: int | None = 200,
    failed: bool = False,
    **how: Any,
) -> None:
    """A request of which the service tells this."""
    request_id = run.request(arm, 11, **how)
    run.witness(
        arm, k="request", id=request_id, t0=run.at(11), t1=run.at(11.05), began=answered is not None,
        status=answered, failed=failed, checkouts=checkouts, errors=errors, raised=None, pool=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("errors", "checkouts"),
    [
        ([_error("statement", RESET, statement=1)], [_checkout(5)]),
        ([_error("commit", CLOSED)], [_checkout(5)]),
        ([_error("connect", REFUSED)], []),
        ([_error("checkout", EXHAUSTED)], [_checkout(None, 0)]),
        ([_error("statement", CANCELLED, statement=1)], [_checkout(5)]),
        ([_error("statement", RESET, t=10), _error("commit", RESET, t=30)], [_checkout(5), _checkout(20)]),
        ([_error("statement", RESET), _error("rollback", CLOSED, t=12)], [_checkout(5), _checkout(20, 0)]),
    ],
    ids=[
        "statement",
        "commit",
        "connect",
        "no connection",
        "cancelled",
        "a retry that failed too",
        "went on without",
    ],
)
def test_an_error_nobody_was_told_of_is_found(tmp_path: Path, errors: Any, checkouts: Any) -> None:
    """It is counted, named with its cause and an example, and nothing in that place may pass."""
    found = _measured(tmp_path, errors, checkouts, LOST)
    assert found.cell("plain", "steady").swallowed == 1
    assert found.cell("plain", "steady").failed == 0
    (group,) = found.swallowed
    assert (group.example_arm, group.example_id, group.example_status) == ("plain", "User-2", 200)
    assert group.chain
    (warning,) = (warning for warning in found.warnings if warning.code == "errors_swallowed")
    assert warning.unknown
    assert "plain answered 1 request in steady as successes" in warning.text
    assert group.error_class in warning.text
    assert [check.verdict for check in found.checks] == [Verdict.UNKNOWN]


MADE_UP_FOR: Mapping[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "pre-ping": ([_error("ping", CLOSED)], [_checkout(20)]),
    "pre-ping, then no need": ([_error("ping", CLOSED)], []),
    "retry": ([_error("statement", RESET, statement=1)], [_checkout(5), _checkout(20)]),
    "second retry": (
        [_error("commit", RESET, t=10), _error("commit", RESET, t=30)],
        [_checkout(5), _checkout(20), _checkout(40)],
    ),
    "connect again": ([_error("connect", REFUSED)], [_checkout(20)]),
    "roll-back": ([_error("rollback", CLOSED)], [_checkout(5)]),
    "unique key": ([_error("statement", UNIQUE, statement=1)], [_checkout(5)]),
    "went on after a savepoint": (
        [_error("statement", CANCELLED, statement=1)],
        [_checkout(5, statements=2)],
    ),
    "nothing": ([], [_checkout(5)]),
}


def test_what_was_made_up_for_is_no_such_error(tmp_path: Path) -> None:
    """A pre-ping, a retry that succeeded, a roll-back of what was dead anyway: the success is one. An arm for each."""
    arms = {what: f"arm{n}" for n, what in enumerate(MADE_UP_FOR)}
    with Recorded(tmp_path / "run", scenario(STEADY, arms=tuple(arms.values()))) as run:
        run.phase("steady", [(10, 12, None), (12, 14, None)])
        for what, arm in arms.items():
            run.connect(arm, 9)
            run.request(arm, 11)
            _answered(run, arm, *MADE_UP_FOR[what])
        run.finish()
        found = run.measured()
    swallowed = {what: found.cell(arm, "steady").swallowed for what, arm in arms.items()}
    assert swallowed == dict.fromkeys(MADE_UP_FOR, 0)
    assert found.swallowed == ()
    assert "errors_swallowed" not in {warning.code for warning in found.warnings}


def test_a_failure_has_swallowed_nothing(tmp_path: Path) -> None:
    """An error that the client was told of counts as a failure and as nothing else."""
    error = [_error("statement", RESET, statement=1)]
    found = _measured(tmp_path, error, [_checkout(5)], status=500, failure="status")
    assert (found.cell("plain", "steady").failed, found.cell("plain", "steady").swallowed) == (1, 0)


def test_the_scenario_may_decide(tmp_path: Path) -> None:
    """With an expectation of its own it is a count like others: no doubt, but a pass or a failure."""
    error, checkouts = [_error("statement", RESET, statement=1)], [_checkout(5)]
    for bound, verdict in (("at_most", Verdict.PASS), ("equals", Verdict.FAIL)):
        expect = {
            "arm": "plain",
            "phase": "steady",
            "metric": "swallowed",
            bound: 1 if bound == "at_most" else 0,
        }
        found = _measured(tmp_path / bound, error, checkouts, expect)
        assert [check.verdict for check in found.checks] == [verdict]
        assert "errors_swallowed" not in {warning.code for warning in found.warnings}


@pytest.mark.parametrize("answered", [500, None])
def test_a_client_that_asked_twice_is_no_service_that_hides(tmp_path: Path, answered: int | None) -> None:
    """The service said 500 or hung up, and the HTTP library sent the request again: seen with a GET, in a long soak."""
    error = [_error("statement", RESET, statement=1)]
    findings = _measured(tmp_path, error, [_checkout(5)], answered=answered, failed=True)
    assert not findings.swallowed


def test_a_commit_that_fails_after_the_answer_is_one(tmp_path: Path) -> None:
    """It had said 200, and what then went wrong nobody heard of but its own log."""
    found = _measured(
        tmp_path, [_error("commit", RESET, statement=1)], [_checkout(5)], answered=200, failed=True
    )
    assert found.cell("plain", "steady").swallowed == 1
