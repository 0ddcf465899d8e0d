"""How requests ended, and what hid their end from a user: two arms, two strikes."""

from __future__ import annotations

import pytest
from tests.measure.recorded import CLOSED, REFUSED, RESET, Recorded, error
from tests.unit.plans import KILL, scenario

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.pipeline import measure


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Two strikes at 0.5 s and 1.5 s; in each arm ten requests an episode, some of which failed.

    plain: one stale and two in use broke in the first episode, one more elsewhere (no pool to look at), one was
    refused at connect, one had a failed ping and then no connection, one was never explained.
    """
    folder = tmp_path_factory.mktemp("struck")
    with Recorded(folder, scenario(KILL)) as recorded:
        recorded.probe()
        recorded.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        for arm in ("plain", "pre_ping"):
            recorded.connect(arm, 0)
            recorded.land(arm, "kill", 2)
        plain = [
            [error("statement", CLOSED, dead=True)],
            [error("statement", RESET, dead=False), error("rollback", RESET, dead=False)],
            [error("commit", RESET, dead=False)],
            [error("statement", RESET, dead=None)],
            [error("connect", REFUSED)],
            [error("ping", RESET, dead=True), error("connect", RESET)],
            [error("ping", RESET, dead=True)],
        ]
        for index, errors in enumerate(plain):
            recorded.request("plain", 0.45 + index / 100, ms=100 + index, errors=errors)
        recorded.request("plain", 0.6, status=500, failure="status")
        recorded.request("plain", 0.6, status=404, failure="status")
        recorded.request("plain", 0.6, status=0, failure="transport")
        recorded.request("plain", 0.6, status=200, failure="declared")
        recorded.request("plain", 0.6, status=0, failure="timeout", ms=1000)
        recorded.requests("plain", [0.1, 0.2, 0.3, *(1 + n / 10 for n in range(10))])
        recorded.requests("pre_ping", [n / 10 for n in range(20)])
        recorded.witness("pre_ping", k="request", id="User-1", t0=recorded.at(0.6), t1=recorded.at(0.7))
        for _ in range(3):
            recorded.close("pre_ping", 0.6, after="ping")
        recorded.close("pre_ping", 0.6, recycle_ms=400.0)
        recorded.close("pre_ping", 0.6, recycle_ms=400.0, dead=False)  # recycled alive: nothing was masked
        recorded.close("pre_ping", 0.6, recycle_ms=600.0)  # too young for a recycle, and no other reason
        recorded.close("pre_ping", 0.6, recycle_ms=600.0, pool_invalidated=True)
        recorded.close("pre_ping", 0.6, recycle_ms=400.0, pool_invalidated=True)  # its age is asked first
        recorded.close("pre_ping", 0.6, pool_invalidated=True, dead=False)  # replaced alive
        recorded.close("pre_ping", 0.6, after="error")  # a request saw it
        recorded.close("pre_ping", 0.6, after="reset")  # found when it was given back
        recorded.close("pre_ping", 0.6, after="ping", id=None)  # by the service itself, in no request
        recorded.close("pre_ping", 5, after="ping")  # after the phase
        recorded.finish()
    return measure(folder)


def test_broken_is_stale_or_in_use_or_elsewhere(struck: Findings) -> None:
    """Only a disconnect of a connection that was handed out as usable breaks a request; where, the witness knows."""
    cell = struck.cell("plain", "kill")
    assert (cell.stale, cell.in_use, cell.elsewhere) == (1, 2, 1)
    assert cell.broken == 4
    assert (cell.requests, cell.failed) == (12 + 13, 12)
    assert cell.broken_pipe_rate == 4 / 25


def test_failures_by_class(struck: Findings) -> None:
    """The first error of a request is its cause; without testimony, who says that it failed decides."""
    cell = struck.cell("plain", "kill")
    assert cell.failed_by_class == {
        "unexpected end of connection": 1,
        "connection reset": 5,  # three of them in use or elsewhere, one while connecting, one while pinging
        "connection refused": 1,
        "failed without testimony": 1,
        "application error": 2,  # a 404 and what the locustfile declared
        "transport between load and target": 1,
        "no answer in time": 1,
    }
    assert cell.unexplained == 1


def test_a_failed_ping_is_no_broken_request(struck: Findings) -> None:
    """The pool replaces a connection whose ping failed: what follows is the cause, and no ping ever is a break."""
    states = {(group.error_class, group.state): sum(group.count_by_arm.values()) for group in struck.failures}
    assert states["connection reset", "connecting"] == 1
    assert states["connection reset", ""] == 1 + 1  # elsewhere, and the ping after which nothing came
    assert states["connection reset", "in use"] == 2
    assert states["unexpected end of connection", "stale"] == 1
    assert states["connection refused", "connecting"] == 1


def test_the_example_of_a_group_is_real(struck: Findings) -> None:
    """Each group shows one of its own requests, outermost exception first."""
    group = next(each for each in struck.failures if each.state == "in use")
    assert [each.name for each in group.chain] == [
        "DBAPIError",
        "ConnectionDoesNotExistError",
        "ConnectionResetError",
    ]
    assert (group.example_arm, group.example_request) == ("plain", "POST /chat")
    assert group.example_at_s == pytest.approx(0.46)


def test_masked_by_what(struck: Findings) -> None:
    """A dead connection replaced during a checkout is masked, by the reason that the pool had."""
    masked = struck.cell("pre_ping", "kill").masked
    assert masked is not None
    assert (masked.pre_ping, masked.recycle, masked.invalidation) == (3, 2, 1)
    nothing = struck.cell("plain", "kill").masked
    assert nothing is not None
    assert nothing.total == 0


def test_nothing_broken_has_an_upper_bound(struck: Findings) -> None:
    """With nothing broken in k episodes: (1 − 0.05^(1/k)) × the largest rate of one episode of any arm."""
    largest = 4 / 15  # plain, first episode: 4 of 12 + 3
    interval = struck.cell("pre_ping", "kill").ci95
    assert interval is not None
    assert interval.low == 0
    assert interval.high == pytest.approx((1 - 0.05 ** (1 / 2)) * largest)


def test_latencies_are_of_successful_requests(struck: Findings) -> None:
    """Every success took 50 ms; the failed ones, which took longer, are not among them."""
    assert struck.cell("plain", "kill").latency_ms.p50 == 50
    assert struck.cell("plain", "kill").latency_ms.p99 == 50
