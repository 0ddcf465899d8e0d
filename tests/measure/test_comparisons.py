"""What is open and what would settle it; arms against the control, from a history written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, scenario

from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Comparison, Verdict


def _struck(tmp_path: Path, broken: list[int], **bound: float) -> Findings:
    """Twelve strikes on two arms, ten requests each; of the control's so many break."""
    expect = [{"arm": "plain", "phase": "kill", "metric": "broken_pipe_rate", **bound}]
    kill = KILL | {"episodes": len(broken)}
    with Recorded(tmp_path / "struck", scenario(kill, expect=expect)) as run:
        run.probe()
        run.phase("kill", [(n, n + 1, n + 0.5) for n in range(len(broken))])
        for arm in ("plain", "pre_ping"):
            run.land(arm, "kill", len(broken))
            for n, count in enumerate(broken):
                for i in range(10):
                    hit = arm == "plain" and i < count
                    run.request(arm, n + (i + 0.5) / 10, errors=[error("query", RESET)] if hit else None)
        run.finish()
    return run.measured()


def test_an_open_check_says_what_would_settle_it(tmp_path: Path) -> None:
    """An interval that reaches across the bound: how many episodes more, in the text and for programs."""
    (check,) = _struck(tmp_path, [0, 1, 2, 0, 1, 0, 3, 1, 0, 2, 1, 0], above=0.05).checks
    assert check.verdict is Verdict.UNKNOWN
    assert check.open
    assert check.more_episodes is not None
    assert check.text.endswith(f"; about {check.more_episodes} episodes more would settle it")


def test_a_decided_check_needs_nothing_more(tmp_path: Path) -> None:
    """Decided is decided."""
    (check,) = _struck(tmp_path, [0, 1, 2, 0, 1, 0, 3, 1, 0, 2, 1, 0], above=0.01).checks
    assert (check.verdict, check.open, check.more_episodes) == (Verdict.PASS, False, None)


def test_arms_are_compared_episode_by_episode(tmp_path: Path) -> None:
    """The control breaks in seven of twelve episodes, the other in none: 2/2^7 by flipping the signs of seven."""
    findings = _struck(tmp_path, [0, 1, 2, 0, 1, 0, 3, 1, 0, 2, 1, 0], above=0.05)
    (broken,) = (each for each in findings.comparisons if each.metric == "added_broken_pipe_rate")
    assert broken.difference == pytest.approx(-11 / 120)
    assert broken.p == 2 / 2**7
    assert broken.differs


def test_too_few_episodes_to_compare(tmp_path: Path) -> None:
    """Five strikes can show nothing: with one arm beside the control it takes six, and a note says so."""
    findings = _struck(tmp_path, [3, 4, 3, 5, 4], above=0.05)
    (text,) = (warning.text for warning in findings.warnings if warning.code == Code.TOO_FEW_TO_COMPARE)
    assert text.startswith("kill has 5 episodes: it takes 6")
    assert not any(warning.unknown for warning in findings.warnings)
    assert all(each.smallest_seen is None and not each.differs for each in findings.comparisons)


def test_what_chance_may_do_is_stated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference counts by the error that intervals are made with, whatever that is."""
    compared = Comparison("b", "kill", "added_p50_ms", 12, 1.0, None, 0.03, None, 5)
    assert compared.differs
    monkeypatch.setattr("brokenpipe.measure.model.verdict.ERROR", 0.01)
    assert not compared.differs
