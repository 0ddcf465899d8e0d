"""What a job of GitHub Actions is told, and what is told only there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, scenario
from tests.unit.shell import brokenpipe

EXPECT = [{"arm": "plain", "phase": "kill", "metric": "broken", "equals": 0}]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in which something broke that must not."""
    with Recorded(tmp_path / "run", scenario(KILL, arms=("plain",), expect=EXPECT)) as recorded:
        recorded.probe()
        recorded.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        recorded.land("plain", "kill", 2)
        recorded.requests("plain", [0.1, 0.2, 1.1])
        recorded.request("plain", 1.6, errors=[error("query", RESET)])
        recorded.finish()
    return recorded.folder


def test_a_job_gets_annotations_and_a_summary(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error for what failed; the summary is added to what other steps have written."""
    page = tmp_path / "summary"
    page.write_text("what was there\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    said = brokenpipe("report", str(run))
    assert (
        "\n::error title=by_hand%3A fail%2C kill%2C plain::plain, kill: 1 broken request, " in f"\n{said.out}"
    )
    assert said.out.rstrip().splitlines()[-1].split()[1] == "FAIL"  # the last line stays the last line
    assert page.read_text() == "what was there\n" + (run / "summary.md").read_text()


def test_elsewhere_nothing_is_annotated(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a laptop, and on other servers, the log is for people."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert "::error" not in brokenpipe("report", str(run)).out


def test_a_summary_that_cannot_be_written_is_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no reason to lose the verdict."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    said = brokenpipe("report", str(run))
    assert said.exit_code == 0
    assert f"GITHUB_STEP_SUMMARY={tmp_path}: cannot be written" in said.said
