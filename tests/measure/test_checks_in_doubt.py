"""What becomes of checks when something of the run is in doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history import records
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN

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
        records.RecordedDoubt(
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
    run.load(records.LoopLag(t=run.at(1), ms=800))
    for at in (5.2, 5.3, 5.4, 6.2, 6.3, 6.4, 6.6):
        run.request("plain", at)
    findings = _finished(run)
    assert _codes(findings) == {"machine_busy", "machine_stolen", "generator_lagged", "unequal_load"}
    assert not any(warning.unknown for warning in findings.warnings)
    assert findings.verdict is PASS


def test_gauges_outside_of_the_phases_do_not_count(run: Recorded) -> None:
    """Starting up is allowed to be busy and late."""
    run.gauge(records.MachineGauge(t=run.at(-1), busy=1.0, stolen=0.9))
    run.load(records.LoopLag(t=run.at(-1), ms=5_000))
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


COUNTS: Mapping[str, tuple[str, list[Verdict]]] = {
    # The checks are: broken of plain and of pre_ping in kill, the difference, failed of plain in steady.
    "witness_trouble": ("events are hidden, never made", [UNKNOWN, FAIL, UNKNOWN, UNKNOWN]),
    "proxy_restarted": ("it may have broken them itself", [UNKNOWN] * 4),
    "of another version": ("nobody knows what it is about", [UNKNOWN] * 4),
}


@pytest.mark.parametrize("code", COUNTS)
def test_a_count_above_its_bound_fails_if_the_doubt_makes_no_events(run: Recorded, code: str) -> None:
    """A doubt that hides something withholds a pass; what was counted in spite of it is a fact."""
    why, verdicts = COUNTS[code]
    run.request("pre_ping", 5.3, errors=[error("statement", RESET, dead=False)])
    run.experiment(records.RecordedDoubt(t=run.at(1), code=code, text=why, remedy="Look.", unknown=True))
    findings = _finished(run)
    assert _verdicts(findings) == verdicts
    assert findings.verdict is (FAIL if FAIL in verdicts else UNKNOWN)


def test_more_broken_than_allowed_and_one_without_a_cause(run: Recorded) -> None:
    """A count that is a lower bound, and above its bound already, is no longer open."""
    run.request("pre_ping", 5.3, errors=[error("statement", RESET, dead=False)])
    run.request("pre_ping", 5.4, status=500, failure="status")
    findings = _finished(run)
    assert findings.checks[PRE_PING_KILL].verdict is FAIL
    assert "proven, whatever is in doubt" in findings.checks[PRE_PING_KILL].text


def test_a_count_below_its_bound_is_not_proven_in_doubt(tmp_path: Path) -> None:
    """Something that was expected to break and did not may have been missed."""
    expect = [{"arm": "plain", "phase": "kill", "metric": "broken", "above": 0}]
    with Recorded(tmp_path, scenario(KILL, expect=expect)) as run:
        run.probe()
        run.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [0.1, 1.1])
            run.land(arm, "kill", 2, missed=1)
        run.finish()
    assert _verdicts(run.measured()) == [UNKNOWN]


def test_an_arm_without_traffic(tmp_path: Path) -> None:
    """An arm that nobody asked has failed nothing: that is unknown, not a pass, and no recommendation."""
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
