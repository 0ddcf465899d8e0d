"""How soon an arm went on answering after a strike, for how long nobody was answered, and who waited longest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report.run import recovery, table

Recording = Callable[..., Any]
WIDE = KILL | {"every_s": 10.0}
HOLE = {"name": "hole", "fault": {"name": "black_hole"}, "seconds": 8}
ABOUT = 0.06  # of a request every 100 ms that takes 50


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """One arm; two strikes, at 5 s and at 15 s, unless another phase is given."""

    @contextmanager
    def record(phase: Mapping[str, Any] = WIDE, *expect: Mapping[str, Any]) -> Iterator[Recorded]:
        with Recorded(tmp_path / "run", scenario(phase, arms=("plain",), expect=expect)) as run:
            run.probe()
            if phase is WIDE:
                run.phase("kill", [(0, 10, 5), (10, 20, 15)])
                run.land("plain", "kill", 2)
            yield run
            run.finish()

    return record


def _every(begin: float, end: float, step: float = 0.1) -> list[float]:
    return [begin + n * step for n in range(round((end - begin) / step))]


def _failed(run: Recorded, times: list[float], ms: float = 10) -> None:
    for at in times:
        run.request("plain", at, ms, status=500, failure="status")


def _kill(run: Recorded) -> ArmPhaseStats:
    return run.measured().cell("plain", "kill")


def test_who_never_answers_again_has_not_recovered(recording: Recording) -> None:
    """A writer that is dead after the first strike: neither 0.0 nor nothing, and the second strike finds it dead."""
    expect = {"arm": "plain", "phase": "kill", "metric": "never_recovered", "equals": 0}
    with recording(WIDE, expect) as run:
        run.requests("plain", _every(0, 5))
        for at in (5.1, 6.2, 7.3, 8.4, 15.2, 16.3):
            run.request("plain", at, 1000, status=0, failure="timeout")
        found = run.measured()
    cell = found.cell("plain", "kill")
    assert cell.recovery_s == (math.inf, math.inf)
    assert cell.never_recovered == 2
    assert cell.unavailable_s == pytest.approx(16.3 + 1 - 5.1)
    assert [check.verdict for check in found.checks] == [Verdict.FAIL]
    assert "never recovered from 2 of 2 strikes" in recovery.describe_recovery(cell)
    assert "never recovered from 2 of 2 strikes" in table.describe_waits(cell)


def test_a_wait_of_seconds_after_each_strike_is_an_outage(recording: Recording) -> None:
    """Nothing fails, and the 95th percentile is 50 ms; but two users waited 4 s, and nobody was answered meanwhile."""
    expect = [
        {"arm": "plain", "phase": "kill", "metric": metric, "below": bound}
        for metric, bound in (("recovery_s", 3), ("unavailable_s", 3), ("longest_wait_ms", 3000))
    ]
    with recording(WIDE, *expect) as run:
        for begin, strike, end in ((0, 5, 10), (10, 15, 20)):
            run.requests("plain", [*_every(begin, strike), *_every(strike + 4.05, end)])
            run.requests("plain", [strike + 0.01, strike + 0.02], ms=4000)
            run.request(
                "plain", strike - 0.01
            )  # answered after the strike, on a connection that it did not hit
        found = run.measured()
    cell = found.cell("plain", "kill")
    assert cell.failed == 0
    assert cell.latency_ms.p95 == pytest.approx(50)
    assert cell.recovery_s == (pytest.approx(4, abs=ABOUT), pytest.approx(4, abs=ABOUT))
    assert cell.unavailable_s == pytest.approx(8, abs=2 * ABOUT)
    assert cell.longest_wait_ms == pytest.approx(4000)
    assert {check.metric: check.verdict for check in found.checks} == {
        "recovery_s": Verdict.FAIL, "unavailable_s": Verdict.FAIL, "longest_wait_ms": Verdict.FAIL,
    }  # fmt: skip
    assert "no user got an answer for 7.9" in table.describe_waits(cell)
    assert "longest wait 4,000" in table.describe_waits(cell)


def test_failures_in_a_row_put_recovery_off(recording: Recording) -> None:
    """A success between the strike and the failures does not last; what follows the last of them does."""
    with recording() as run:
        run.requests("plain", [*_every(0, 5.15), *_every(7, 20)])
        _failed(run, _every(5.2, 7))
        cell = _kill(run)
    assert cell.recovery_s[0] == pytest.approx(2.05, abs=ABOUT)
    assert cell.recovery_s[1] == pytest.approx(0, abs=0.1 + ABOUT)
    assert cell.never_recovered == 0
    assert cell.unavailable_s == pytest.approx(7.05 - 5.2, abs=ABOUT)


def test_a_single_failure_later_is_no_relapse(recording: Recording) -> None:
    """Behind a strike a service may meet one more dead connection while it serves others."""
    with recording() as run:
        run.requests("plain", _every(0, 20))
        _failed(run, [5.01, 6.5, 8.3])
        cell = _kill(run)
    assert cell.recovery_s[0] == pytest.approx(0, abs=0.1 + ABOUT)
    assert cell.unavailable_s == 0
    assert table.describe_waits(cell) == ""


def test_where_nobody_asked_nothing_is_known(recording: Recording) -> None:
    """Not a recovery of 0 s, and none that never came."""
    expect = {"arm": "plain", "phase": "kill", "metric": "never_recovered", "equals": 0}
    with recording(WIDE, expect) as run:
        run.requests("plain", _every(0, 14))
        found = run.measured()
    assert found.cell("plain", "kill").recovery_s == (pytest.approx(0, abs=0.1 + ABOUT), None)
    assert "not known of 1" in recovery.describe_recovery(found.cell("plain", "kill"))


def test_nobody_asked_at_all(recording: Recording) -> None:
    """Then none of it is known, and an expectation of it is not decided."""
    expect = {"arm": "plain", "phase": "kill", "metric": "unavailable_s", "below": 5}
    with recording(WIDE, expect) as run:
        run.requests("plain", [25])
        found = run.measured()
    cell = found.cell("plain", "kill")
    assert (cell.recovery_s, cell.never_recovered) == ((), None)
    assert (cell.unavailable_s, cell.longest_wait_ms) == (None, None)
    assert [check.verdict for check in found.checks] == [Verdict.UNKNOWN]


def test_recovery_counts_from_when_somebody_asked(recording: Recording) -> None:
    """A strike while users pause: nobody waited until they came back."""
    with recording() as run:
        run.requests("plain", [*_every(0, 4), *_every(8, 20)])
        cell = _kill(run)
    assert cell.recovery_s[0] == pytest.approx(0.05, abs=0.01)


def test_a_recovery_may_outlast_the_next_strike(recording: Recording) -> None:
    """Out from the first strike until after the second: both recover at the same moment."""
    with recording() as run:
        run.requests("plain", [*_every(0, 5), *_every(17, 20)])
        _failed(run, _every(5, 17))
        cell = _kill(run)
    assert cell.recovery_s == (pytest.approx(12.05, abs=ABOUT), pytest.approx(2.05, abs=ABOUT))


@pytest.mark.parametrize(("healed", "expected"), [(5.0, 4.05), (12.0, None)])
def test_what_is_held_counts_from_its_begin(
    recording: Recording, healed: float, expected: float | None
) -> None:
    """Until the first lasting success; if it was there until the last request had ended, nothing is known."""
    with recording(HOLE) as run:
        run.phase("hole", [(n, n + 2, None) for n in range(0, 8, 2)])
        run.act("plain", "inject", "black_hole", 2, "hole")
        run.act("plain", "heal", "black_hole", healed, "hole")
        run.requests("plain", _every(0, 2))
        if expected is None:
            _failed(run, [2.1, 2.2, 7.9], ms=1000)
        else:
            _failed(run, [2.1, 2.2], ms=2000)
            run.requests("plain", _every(6, 8))
        cell = run.measured().cell("plain", "hole")
    assert cell.recovery_s == ((pytest.approx(expected, abs=0.1 + ABOUT) if expected else None),)
    assert cell.unavailable_s == pytest.approx(3.95 if expected else 6.8, abs=ABOUT)


def test_an_arm_that_was_not_struck_has_nothing_to_recover_from(tmp_path: Path) -> None:
    """Where the fault happens to one of two arms, only that one is asked how soon it recovered."""
    with Recorded(tmp_path / "run", scenario(KILL | {"arms": ["pre_ping"]})) as run:
        run.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, _every(0, 2))
        run.finish()
        found = run.measured()
    assert found.cell("plain", "kill").recovery_s == ()
    assert len(found.cell("pre_ping", "kill").recovery_s) == 2


def test_a_request_that_was_never_answered_waited_at_least_its_limit(recording: Recording) -> None:
    """The log has no end of it: its limit, 1 s here, is what is known."""
    with recording() as run:
        run.requests("plain", _every(0, 20))
        run.request("plain", 6, None)
        cell = _kill(run)
    assert cell.longest_wait_ms == 1000


def test_a_service_that_is_always_slow_is_not_always_out(tmp_path: Path) -> None:
    """One user whose requests take 3 s each: a wait is long from three times the median on."""
    with Recorded(tmp_path / "run", scenario(STEADY | {"seconds": 30}, arms=("plain",))) as run:
        run.phase("steady", [(n, n + 2, None) for n in range(0, 30, 2)])
        run.requests("plain", _every(0, 30, 3.0), ms=2900)
        run.finish()
        cell = run.measured().cell("plain", "steady")
    assert cell.unavailable_s == 0
