"""Scenario files and target files of any content: an answer of a few lines, or a plan."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from tests.sabotage.damaging import damage_toml
from tests.sabotage.drawing import assert_short_and_plain, bounded, draws, soon
from tests.unit.shell import Answer, brokenpipe

PROJECT = Path(__file__).parents[2]
UNIT = PROJECT / "tests" / "unit"
SCENARIO = (
    (UNIT / "scenarios" / "good.toml")
    .read_text(encoding="utf-8")
    .replace("../../../scenarios/", f"{PROJECT}/scenarios/")
)
TARGET = (UNIT / "targets" / "good.toml").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder laid out as people lay out their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _project(folder: Path, scenario: bytes, target: bytes) -> Answer:
    """The answer to a dry run in a folder that holds just these two files."""
    (folder / "scenarios").mkdir(exist_ok=True)
    (folder / "targets" / "agent").mkdir(parents=True, exist_ok=True)
    (folder / "scenarios" / "it.toml").write_bytes(scenario)
    (folder / "targets" / "agent" / "target.toml").write_bytes(target)
    with soon():
        return brokenpipe("run", "it", "--dry-run")


def _assert_answered(answer: Answer, name: str) -> None:
    assert_short_and_plain(answer)
    assert answer.exit_code in {0, 2}, answer
    if answer.exit_code == 2:
        assert name in answer.said, "the file"
        assert "\n  " in answer.err or "no such" in answer.said, "the key"
        assert "\n→ " in answer.err, "what to do"


@bounded(40)
@given(draw=draws)
def test_a_scenario_file_of_any_content(draw: random.Random, project: Path) -> None:
    """It is read as a plan, or the answer names the file, the key, and what to do; within seconds, on a page or two."""
    damaged = damage_toml(draw, tomllib.loads(SCENARIO), SCENARIO)
    _assert_answered(_project(project, damaged, TARGET.encode()), "it.toml")


@bounded(20)
@given(draw=draws)
def test_a_target_file_of_any_content(draw: random.Random, project: Path) -> None:
    """The same of a target.toml."""
    damaged = damage_toml(draw, tomllib.loads(TARGET), TARGET)
    _assert_answered(_project(project, SCENARIO.encode(), damaged), "target.toml")


def test_both_files_are_right_before_they_are_damaged(project: Path) -> None:
    """Else nothing above would say anything."""
    assert _project(project, SCENARIO.encode(), TARGET.encode()).exit_code == 0
