"""From figures to verdicts: what passes, what fails, and what nobody may decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, scenario

from brokenpipe.interval import Interval
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Check, Verdict
from brokenpipe.measure.tables.estimates import Estimate
from brokenpipe.measure.verdict.checks import additional_episodes, decide, overall_verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("value", "name", "bound", "verdict"),
    [
        (0, "equals", 0, PASS), (1, "equals", 0, FAIL),
        (3, "above", 2, PASS), (2, "above", 2, FAIL),
        (1, "below", 2, PASS), (2, "below", 2, FAIL),
        (2, "at_least", 2, PASS), (1, "at_least", 2, FAIL),
        (2, "at_most", 2, PASS), (3, "at_most", 2, FAIL),
        (None, "equals", 0, UNKNOWN), (None, "at_most", 9, UNKNOWN),
    ],
)  # fmt: skip
def test_counts_are_decided_by_their_value(
    value: float | None, name: str, bound: float, verdict: Verdict
) -> None:
    """A count is a fact: it keeps its bound or not. Without one nobody knows."""
    assert decide(Estimate(value), name, bound, is_fact=True) is verdict


@pytest.mark.parametrize(
    ("low", "high", "name", "bound", "verdict"),
    [
        (0.02, 0.05, "above", 0.01, PASS), (0.02, 0.05, "above", 0.03, UNKNOWN),
        (0.02, 0.05, "above", 0.05, FAIL), (0.02, 0.05, "above", 0.02, UNKNOWN),
        (0.02, 0.05, "below", 0.06, PASS), (0.02, 0.05, "below", 0.05, UNKNOWN),
        (0.02, 0.05, "below", 0.02, FAIL), (0.02, 0.05, "below", 0.01, FAIL),
        (0.02, 0.05, "at_least", 0.02, PASS), (0.02, 0.05, "at_least", 0.05, UNKNOWN),
        (0.02, 0.05, "at_most", 0.05, PASS), (0.02, 0.05, "at_most", 0.02, UNKNOWN),
        (0.02, 0.05, "at_most", 0.01, FAIL), (0.0, 0.22, "above", 0.0, UNKNOWN),
        (-5.0, -1.0, "below", 0.0, PASS),
    ],
)  # fmt: skip
def test_estimates_are_decided_by_their_interval(
    low: float, high: float, name: str, bound: float, verdict: Verdict
) -> None:
    """All of the interval inside the bound passes, all outside fails, anything between is unknown."""
    estimate = Estimate((low + high) / 2, Interval(low, high))
    assert decide(estimate, name, bound, is_fact=False) is verdict


def test_an_estimate_without_an_interval_is_unknown() -> None:
    """One episode is no evidence, however good its figure looks."""
    assert decide(Estimate(0.5), "above", 0.0, is_fact=False) is UNKNOWN


@pytest.mark.parametrize(
    ("value", "low", "high", "alike", "bound", "more"),
    [
        (0.03, 0.01, 0.05, False, 0.04, 36),  # twice too wide: four times as many
        (0.03, 0.01, 0.05, False, 0.02, 36),
        (0.03, 0.01, 0.05, False, 0.05, 1),  # the bound is the very end
        (0.0, 0.0, 0.04, True, 0.02, 12),  # what was never seen: twice as many halve it
        (0.0, 0.0, 0.04, True, 0.0, None),  # on the bound
        (0.03, 0.01, 0.05, False, 0.0301, None),  # half a million
    ],
)
def test_how_many_more_would_settle_it(
    value: float, low: float, high: float, alike: bool, bound: float, more: int | None
) -> None:
    """Twelve episodes whose interval reaches across the bound: it shrinks with the square root of their number."""
    assert additional_episodes(Estimate(value, Interval(low, high), 12, all_equal=alike), bound) == more


def _check(verdict: Verdict) -> Check:
    return Check("plain", "steady", "failed", "exactly 0", 0.0, None, verdict, "")


def _warn(*, unknown: bool) -> ValidityWarning:
    return ValidityWarning("code", "text", "remedy", unknown=unknown)


@pytest.mark.parametrize(
    ("verdicts", "unknown", "finished", "expected"),
    [
        ([PASS, PASS], False, True, PASS),
        ([PASS, FAIL, UNKNOWN], False, True, FAIL),
        ([PASS, UNKNOWN], False, True, UNKNOWN),
        ([PASS], True, True, UNKNOWN),
        ([PASS], False, False, UNKNOWN),
        ([FAIL], True, False, FAIL),
    ],
)
def test_the_verdict_of_a_run(
    verdicts: list[Verdict], unknown: bool, finished: bool, expected: Verdict
) -> None:
    """A failed check fails the run; else a doubt, an unknown or an early end makes it unknown."""
    decided = [_check(verdict) for verdict in verdicts]
    warnings = [_warn(unknown=False), _warn(unknown=unknown)]
    assert overall_verdict(decided, warnings, finished=finished) is expected


# --- metrics ------------------------------------------------------------------------------------------


METRICS: dict[str, dict[str, Any]] = {
    "added": {"arm": "pre_ping", "metric": "added_p50_ms", "request": "POST /chat"},
    "of all": {"arm": "pre_ping", "metric": "p50_ms"},
    "of one": {"arm": "pre_ping", "metric": "p50_ms", "request": "GET /fast"},
    "of none": {"arm": "pre_ping", "metric": "p50_ms", "request": "GET /chatt"},
    "failed": {"arm": "plain", "metric": "failed"},
    "failure rate": {"arm": "plain", "metric": "failure_rate"},
    "broken-pipe rate": {"arm": "plain", "metric": "broken_pipe_rate"},
    "p95": {"arm": "plain", "metric": "p95_ms"},
}


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Check]:
    """pre_ping is 20 ms slower in the first block and 30 ms in the second; one request of plain failed."""
    expect = [{"phase": "steady", "above": 0, **metric} for metric in METRICS.values()]
    with Recorded(tmp_path_factory.mktemp("figures"), scenario(STEADY, expect=expect)) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        for block, ms in ((0, 50), (2, 60)):
            run.requests("plain", [block + n / 10 for n in range(5)], ms=ms)
            run.requests("pre_ping", [block + n / 10 for n in range(5)], ms=ms + 20 + 5 * block)
            run.request("pre_ping", block + 1, ms=1, name="GET /fast")
        run.request("plain", 1, ms=900, status=503, failure="status")
        run.finish()
    return dict(zip(METRICS, run.measured().checks, strict=True))


def test_a_difference_is_paired_by_episode(figures: Mapping[str, Check]) -> None:
    """Added latency: the mean of 20 and 30 ms, with Student's interval of two values: t(1; 0.975) = 12.706."""
    added = figures["added"]
    assert added.value == pytest.approx(25)
    assert added.ci95 is not None
    assert added.ci95.high - 25 == pytest.approx(12.706 * 5, rel=1e-3)
    assert added.verdict is UNKNOWN, "it reaches below 0"


def test_a_latency_may_be_narrowed_to_one_request(figures: Mapping[str, Check]) -> None:
    """Of all requests, or of one name; of one that was never made, nothing is known."""
    assert figures["of all"].value == pytest.approx((70 + 90) / 2)
    assert figures["of one"].value == 1
    assert (figures["of none"].value, figures["of none"].verdict) == (None, UNKNOWN)


def test_failures_and_rates(figures: Mapping[str, Check]) -> None:
    """One of eleven requests of plain failed, with no witness to say whether it was broken; it has no latency."""
    names = ("failed", "failure rate", "broken-pipe rate", "p95")
    assert [figures[name].value for name in names] == [1, pytest.approx(1 / 11), None, pytest.approx(55)]
