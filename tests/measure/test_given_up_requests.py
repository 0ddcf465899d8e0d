"""Requests that their users gave up, and what came after that: the cause is what was before it."""

from __future__ import annotations

import pytest
from tests.measure.attribution_cases import (
    PORT,
    found,
    kills_of_plain,
    of,
)
from tests.measure.recorded import REFUSED, RESET, Recorded, link

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.model.attribution import Relation

run = pytest.fixture(name="run")(kills_of_plain)


def test_what_came_after_a_user_had_given_up_is_no_cause(run: Recorded) -> None:
    """The service went on and failed to connect, a second after its user had left: nobody waited for that."""
    error = {"where": "connect", "t": run.at(3.4), "began": run.at(3.0), "port": None, "chain": REFUSED}
    run.request("plain", 1.0, 1000, failure="timeout", errors=[error])
    (failure,), (one,) = found(run), of(run)
    assert failure.error_class is ErrorClass.TIMEOUT
    assert (one.relation, one.stage) == (Relation.UNKNOWN, RequestStage.UNKNOWN)


def test_what_a_user_gave_up_waiting_for_is_told_by_its_end(run: Recorded) -> None:
    """The statement that was under way then failed later, when its link was cut: that is what it hung in."""
    said = {"where": "statement", "port": PORT, "dead_at_checkout": False, "dead": False, "statement": 1}
    times = {"t": run.at(4.4), "began": run.at(1.1), "handed": run.at(1.05)}
    run.request(
        "plain", 1.0, 1000, failure="timeout", errors=[{**said, **times, "transaction": 0, "chain": RESET}]
    )
    (failure,), (one,) = found(run), of(run)
    assert failure.error_class is ErrorClass.TIMEOUT
    assert one.stage is RequestStage.MID_STATEMENT


@pytest.mark.parametrize(
    ("left", "error_class"), [("KeyError", "application error"), (None, "connection reset")]
)
def test_a_rollback_is_a_cause_if_nothing_else_left_the_service(
    run: Recorded, left: str | None, error_class: str
) -> None:
    """An exception of the service's own made it roll back, on a connection that had just died: it failed by itself."""
    request = run.request("plain", 1.0, 40, status=500, failure="status")
    rollback = {"where": "rollback", "t": run.at(1.03), "began": run.at(1.02), "port": PORT, "chain": RESET}
    raised = [link(f"builtins.{left}")] if left else RESET
    times = {"t0": run.at(1.0), "t1": run.at(1.04), "status": None, "failed": True}
    run.witness("plain", k="request", id=request, checkouts=[], errors=[rollback], raised=raised, **times)
    assert [failure.error_class for failure in found(run)] == [error_class]
