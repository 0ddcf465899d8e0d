"""From figures to verdicts: what passes, what fails, and what nobody may decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.recorded import KILL, RESET, STEADY, Recorded, error, scenario

from brokenpipe.history import records
from brokenpipe.measure.checks import decide, episodes_more, overall
from brokenpipe.measure.estimates import Estimate
from brokenpipe.measure.findings import Findings
from brokenpipe.measure.instrument import Warn
from brokenpipe.measure.interval import Interval
from brokenpipe.measure.judgement import Check, Verdict

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
    assert decide(Estimate(value), name, bound, is_count=True) is verdict


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
    assert decide(estimate, name, bound, is_count=False) is verdict


def test_an_estimate_without_an_interval_is_unknown() -> None:
    """One episode is no evidence, however good its figure looks."""
    assert decide(Estimate(0.5), "above", 0.0, is_count=False) is UNKNOWN


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
    assert episodes_more(Estimate(value, Interval(low, high), 12, alike=alike), bound) == more


def _check(verdict: Verdict) -> Check:
    return Check("plain", "steady", "failed", "exactly 0", 0.0, None, verdict, "")


def _warn(*, unknown: bool) -> Warn:
    return Warn("code", "text", "remedy", unknown=unknown)


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
    assert overall(decided, warnings, finished=finished) is expected


# --- doubts -------------------------------------------------------------------------------------------

EXPECT = [
    {"arm": "*", "phase": "kill", "metric": "broken", "equals": 0},
    {"arm": "pre_ping", "phase": "kill", "metric": "added_broken_pipe_rate", "below": 0.5},
    {"arm": "plain", "phase": "steady", "metric": "failed", "equals": 0},
]
PLAIN_KILL, PRE_PING_KILL, ADDED, PLAIN_STEADY = range(4)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """Two arms, a steady phase and two strikes that all landed, three requests an episode, nothing failed."""
    with Recorded(tmp_path / "run", scenario(STEADY, KILL, expect=EXPECT)) as recorded:
        recorded.probe()
        recorded.phase("steady", [(0, 2, None), (2, 4, None)])
        recorded.phase("kill", [(5, 6, 5.5), (6, 7, 6.5)])
        for arm in ("plain", "pre_ping"):
            recorded.requests(arm, [0.1, 1, 1.9, 2.1, 3, 3.9, 5.1, 5.5, 5.9, 6.1, 6.5, 6.9])
        recorded.land("pre_ping", "kill", 2)
        yield recorded


def _finished(run: Recorded, *, landed: bool = True) -> Findings:
    if landed:
        run.land("plain", "kill", 2)
    run.finish()
    return run.measured()


def _codes(findings: Findings) -> set[str]:
    """What is in doubt; two strikes are few, of which test_doubts.py speaks."""
    return {warning.code for warning in findings.warnings} - {"few_episodes"}


def _verdicts(findings: Findings) -> list[Verdict]:
    return [check.verdict for check in findings.checks]


def test_without_doubt_it_passes(run: Recorded) -> None:
    """The run that the following ones cast doubt on passes, and nothing is remarked about it."""
    findings = _finished(run)
    assert _codes(findings) == set()
    # Nothing broke in either arm: an episode unlike these two might differ by one request of three.
    assert _verdicts(findings) == [PASS] * 4
    assert findings.verdict is PASS


def _written(run: Recorded, **where: Any) -> None:
    run.experiment(
        records.Doubt(
            t=run.at(1), code="server_died", text="it was restarted", remedy="Look.", unknown=True, **where
        )
    )


def _machine(run: Recorded, busy: float, stolen: float = 0) -> None:
    run.gauge(records.MachineGauge(t=run.at(1), busy=busy, stolen=stolen))


def _generator(run: Recorded, cores: float) -> None:
    for at in (1, 3):
        run.gauge(
            records.ProcessGauge(t=run.at(at), role="load", arm=None, cpu_s=at * cores, rss_bytes=1_000)
        )


DOUBTS: Mapping[str, tuple[Callable[[Recorded], None], list[Verdict]]] = {
    # code: what is recorded, and the checks that may no longer be decided
    "server_died": (_written, [UNKNOWN] * 4),
    "contract_not_held": (lambda run: run.probe(held=False), [UNKNOWN] * 4),
    "generator_saturated": (lambda run: _generator(run, 0.9), [UNKNOWN] * 4),
    "machine_saturated": (lambda run: _machine(run, 0.95), [UNKNOWN] * 4),
    "witness_trouble": (
        lambda run: run.witness("plain", k="trouble", t=run.at(1), text="AttributeError"),
        [UNKNOWN, PASS, UNKNOWN, UNKNOWN],  # of the control: what is compared with it is in doubt, too
    ),
}


@pytest.mark.parametrize("code", DOUBTS)
def test_what_is_in_doubt_does_not_pass(run: Recorded, code: str) -> None:
    """A doubt makes unknown what rests on it, and so the run; it always says what to do."""
    record, verdicts = DOUBTS[code]
    record(run)
    findings = _finished(run)
    assert _codes(findings) == {code}
    assert _verdicts(findings) == verdicts
    assert findings.verdict is UNKNOWN
    assert all(warning.remedy.endswith(".") for warning in findings.warnings)


def test_a_doubt_about_one_phase_of_one_arm(run: Recorded) -> None:
    """It concerns the checks there, those of a difference from it, and the run; no others."""
    _written(run, phase="kill", arm="pre_ping")
    findings = _finished(run)
    assert _verdicts(findings) == [PASS, UNKNOWN, UNKNOWN, PASS]
    assert findings.verdict is UNKNOWN
    assert "it was restarted" in findings.checks[PRE_PING_KILL].text


def test_a_strike_that_missed(run: Recorded) -> None:
    """What was not hit cannot survive: one of two strikes on the control was not seen."""
    run.land("plain", "kill", 2, missed=1)
    findings = _finished(run, landed=False)
    (warning,) = (each for each in findings.warnings if each.unknown)
    assert warning.code == "fault_did_not_land"
    assert warning.text.startswith("1 of 2 strikes on plain in kill")
    assert _verdicts(findings) == [UNKNOWN, PASS, UNKNOWN, PASS]


def test_a_strike_that_nobody_watched(run: Recorded) -> None:
    """No testimony that a strike landed is no testimony: every episode is expected to have one."""
    findings = _finished(run, landed=False)
    (warning,) = (each for each in findings.warnings if each.unknown)
    assert warning.text.startswith("2 of 2 strikes on plain in kill")
    assert findings.verdict is UNKNOWN


def test_faults_that_were_never_tried(tmp_path: Path) -> None:
    """Without the certificate of before, nobody knows that the fault does what it says."""
    expect = [{"arm": "*", "phase": "kill", "metric": "broken", "equals": 0}]
    with Recorded(tmp_path, scenario(KILL, expect=expect)) as run:
        run.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [0.1, 1.1])
            run.land(arm, "kill", 2)
        run.finish()
    findings = run.measured()
    assert _codes(findings) == {"contract_not_probed"}
    assert findings.verdict is UNKNOWN


def test_nothing_expected_cannot_pass(tmp_path: Path) -> None:
    """A scenario without expectations does not pass by default."""
    with Recorded(tmp_path, scenario(STEADY)) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [1, 3])
        run.finish()
    assert run.measured().verdict is UNKNOWN


def test_what_is_only_remarked(run: Recorded) -> None:
    """Busy but not saturated, late, robbed by a hypervisor, unequal: remarks that leave the verdict alone."""
    _machine(run, busy=0.7, stolen=0.1)
    run.load(records.Lag(t=run.at(1), ms=800))
    for at in (5.2, 5.3, 5.4, 6.2, 6.3, 6.4, 6.6):
        run.request("plain", at)
    findings = _finished(run)
    assert _codes(findings) == {"machine_busy", "machine_stolen", "generator_lagged", "unequal_load"}
    assert not any(warning.unknown for warning in findings.warnings)
    assert findings.verdict is PASS


def test_gauges_outside_of_the_phases_do_not_count(run: Recorded) -> None:
    """Starting up is allowed to be busy and late."""
    run.gauge(records.MachineGauge(t=run.at(-1), busy=1.0, stolen=0.9))
    run.load(records.Lag(t=run.at(-1), ms=5_000))
    assert _codes(_finished(run)) == set()


def test_a_failure_without_testimony(run: Recorded) -> None:
    """A count of broken requests is a lower bound once a failed request has no cause: here and in differences."""
    run.request("plain", 5.3, status=500, failure="status")
    findings = _finished(run)
    assert _verdicts(findings) == [UNKNOWN, PASS, UNKNOWN, PASS]
    assert "of 1 of plain's failed requests the cause is not known" in findings.checks[ADDED].text


def test_a_broken_request_fails(run: Recorded) -> None:
    """A count above its bound fails the run, with the figures in one sentence."""
    run.request("pre_ping", 5.3, errors=[error("statement", RESET, dead=False)])
    findings = _finished(run)
    assert findings.checks[PRE_PING_KILL].verdict is FAIL
    assert findings.checks[PRE_PING_KILL].value == 1
    assert "expected exactly 0" in findings.checks[PRE_PING_KILL].text
    assert findings.verdict is FAIL


def test_an_arm_without_traffic(tmp_path: Path) -> None:
    """An arm that nobody asked has broken nothing: that is unknown, not a pass, and no recommendation."""
    expect = [{"arm": "*", "phase": "kill", "metric": "broken", "equals": 0}]
    arms = ("plain", "pre_ping", "recycle")
    with Recorded(tmp_path, scenario(KILL, arms=arms, expect=expect)) as run:
        run.probe()
        run.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        for arm in arms:
            run.land(arm, "kill", 2)
        for at in (0.1, 0.2, 1.1, 1.2):
            run.request("plain", at, errors=[error("statement", RESET, dead=True)])
        run.request("recycle", 0.3, errors=[error("statement", RESET, dead=True)])
        run.requests("recycle", [0.1, 1.1, 1.2])
        run.finish()
    findings = run.measured()
    assert _verdicts(findings) == [FAIL, UNKNOWN, FAIL]
    assert "no_traffic" in _codes(findings)
    assert findings.best is not None
    assert (findings.best.arm, findings.best.prevented_share) == ("recycle", 0.75)


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
