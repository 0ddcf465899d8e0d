"""Broken target.toml files, one realistic mistake each, read through a scenario as `run` reads them.

Every file in targets/broken/ opens with what must be said, as those in scenarios/broken/ do.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.expected import assert_says, expected_of
from tests.unit.shell import Answer, assert_answers_a_mistake, brokenpipe

TARGETS = Path(__file__).parent / "targets"
GOOD = TARGETS / "good.toml"

SCENARIO = """
title = "One arm"
question = "Does it start?"
target = "mine"
control = "plain"
arms.plain = {}
phases = [{ name = "steady", seconds = 2 }]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder laid out as people lay out their own, with one scenario and no target."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "it.toml").write_text(SCENARIO, encoding="utf-8")
    (tmp_path / "scenarios" / "locustfile.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _dry_run(project: Path, target: Path) -> Answer:
    folder = project / "targets" / "mine"
    folder.mkdir()
    (folder / "target.toml").write_bytes(target.read_bytes())
    return brokenpipe("run", "it", "--dry-run")


def test_the_good_target_is_good(project: Path) -> None:
    """The file that the broken ones were made from has no mistake."""
    assert _dry_run(project, GOOD).exit_code == 0


@pytest.mark.parametrize("path", sorted((TARGETS / "broken").glob("*.toml")), ids=lambda path: path.stem)
def test_a_mistake_is_named(path: Path, project: Path) -> None:
    """The message names target.toml, each key with a mistake and no other, what was found, what is allowed."""
    answer = _dry_run(project, path)
    assert_answers_a_mistake(answer)
    assert_says(answer, expected_of(path))
    assert "target.toml" in answer.said
    assert not (project / "reports").exists()


def test_a_target_that_is_not_there(project: Path) -> None:
    """The scenario's line is at fault, and the message names its file, the key, and the targets there are."""
    (project / "targets" / "mein").mkdir()
    (project / "targets" / "mein" / "target.toml").write_bytes(GOOD.read_bytes())
    answer = brokenpipe("run", "it", "--dry-run")
    assert_answers_a_mistake(answer)
    assert "it.toml: 1 problem" in answer.said
    assert "target: found 'mine'; no such target" in answer.said
    assert "did you mean 'mein'? allowed: mein" in answer.said


def test_writes_are_not_counted_without_a_ledger(project: Path) -> None:
    """An expectation of a count of writes says which target.toml lacks the statement, and what to write there."""
    scenario = project / "scenarios" / "it.toml"
    expectation = '[[expect]]\narm = "plain"\nphase = "steady"\nmetric = "doubled"\nequals = 0\n'
    scenario.write_text(SCENARIO + expectation, encoding="utf-8")
    answer = _dry_run(project, GOOD)
    assert_answers_a_mistake(answer)
    assert "expect[0].metric: found 'doubled'" in answer.said
    assert "targets/mine/target.toml has none" in answer.said
    assert 'ledger = "SELECT key, count(*) FROM memories GROUP BY key"' in answer.said
