"""A soak that is cut off twice and resumed, for real. By hand: python tests/stack/cut_soaks.py --soaks 30

First its disk is full, then it is killed with -9, then it is played to its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.stack.cut_soaks import (
    CutOff,
    answered_in,
    books,
    cut_off,
    episodes,
    lines,
    missing,
    resume,
    small_disk,
    soak_options,
    soak_scenario,
)
from tests.stack.runs import Run, Starter, eventually
from tests.unit.shell import Answer, brokenpipe

pytestmark = pytest.mark.timeout(600)

DURATION = "20s"  # of which one round takes 15
IS_ROOT = os.geteuid() == 0  # only root can mount a small file system
START_S = 150.0  # on a busy machine


@dataclass(frozen=True)
class Soaked:
    """What came of it. `first` is cut by a full disk (by SIGTERM, where none can be mounted), `second` by kill -9."""

    folder: Path
    first: CutOff
    second: CutOff
    answers: dict[str, Answer]
    missing: list[str]
    outcome: str
    wrong: list[str]


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A file system that can be full without harm to others; else a folder."""
    if not IS_ROOT:
        yield folder
        return
    with small_disk(folder) as disk:
        yield disk


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Soaked]:
    """One soak in three parts, and what is said of it in between."""
    place = tmp_path_factory.mktemp("soak")
    scenario, starter = soak_scenario(place, project), Starter(place)
    answers: dict[str, Answer] = {}

    def asked_for_work(run: Run) -> None:
        _wait(run, lambda: len(books(place, "plain")) > 10, "no request arrived")

    def another_episode(run: Run) -> None:
        before = len(episodes(run.folder))
        _wait(run, lambda: len(episodes(run.folder)) > before, "no episode")
        answers["resumed while it goes on"] = brokenpipe("resume", str(run.folder))

    with _disk(place) as disk, chdir(project):
        how, options = "a full disk" if IS_ROOT else "SIGTERM", soak_options(disk, DURATION)
        first = cut_off(starter, project, disk, how, asked_for_work, "soak", scenario, *options)
        folder = first.run.folder
        if first.ballast:
            answers["reported on a full disk"] = brokenpipe("report", str(folder))
            first.ballast.unlink()
        answers["reported with room"] = brokenpipe("report", str(folder))
        lost, without_room = missing(first.answered, folder), answered_in(place)
        second = cut_off(starter, project, disk, "kill -9", another_episode, "resume", folder)
        lost += missing(second.answered - without_room, folder)
        outcome, wrong = resume(starter, project, folder)
        answers["resumed at its end"] = brokenpipe("resume", str(folder))
        yield Soaked(folder, first, second, answers, lost, outcome, wrong)


def _wait(run: Run, so: Callable[[], bool], message: str) -> None:
    eventually(lambda: run.popen.poll() is not None or so(), message, timeout_s=START_S)


def test_it_goes_on_to_its_end_and_nothing_is_lost(soaked: Soaked) -> None:
    """What was finished is kept, what was not is played, and nothing is left behind by any part of it."""
    assert soaked.first.wrong == soaked.second.wrong == ()
    assert soaked.missing == []
    assert (soaked.outcome, soaked.wrong) == ("resumed", [])


def test_it_says_what_happened(soaked: Soaked) -> None:
    """In its summary and in its report."""
    assert "resumed" in (soaked.folder / "summary.json").read_text()
    assert "services and database were new from then on" in (soaked.folder / "report.html").read_text()


def test_requests_of_all_parts_are_told_apart(soaked: Soaked) -> None:
    """No two requests of an arm have the same id, whichever part they are of."""
    ids = [each["id"] for each in lines(soaked.folder, "requests*.ndjson", "end") if each["arm"] == "plain"]
    assert len(ids) == len(set(ids)) > 20


def test_it_is_resumed_by_one_at_a_time_and_until_its_end(soaked: Soaked) -> None:
    """Not while it is being recorded, and not once it is finished."""
    going_on, finished = (soaked.answers[when] for when in ("resumed while it goes on", "resumed at its end"))
    assert going_on.exit_code == finished.exit_code == 2
    assert "an experiment is being recorded there now" in going_on.said
    assert "this run was finished" in finished.said


@pytest.mark.skipif(not IS_ROOT, reason="only root can mount a small file system")
def test_a_disk_that_fills_up_in_mid_run(soaked: Soaked) -> None:
    """The folder, that there is no room, and what to do; and the service never knew."""
    said = soaked.first.said
    complaints = [line for line in said.splitlines() if line.startswith("error: ")]
    assert complaints
    for complaint in complaints:
        assert str(soaked.folder) in complaint
        assert "cannot be written: No space left on device" in complaint
    assert "→ Make room" in said
    assert len(soaked.first.unheard) > 2
    assert [line for line in soaked.first.unheard if line.endswith("failed")] == []


@pytest.mark.skipif(not IS_ROOT, reason="only root can mount a small file system")
def test_a_report_takes_room(soaked: Soaked) -> None:
    """On the full disk it is refused with a sentence; with room again, what was recorded is reported."""
    full, made = soaked.answers["reported on a full disk"], soaked.answers["reported with room"]
    assert full.exit_code == 3
    assert "cannot be written: No space left on device" in full.said
    assert made.exit_code == 0
    assert "UNKNOWN" in made.out


def test_what_cannot_be_resumed(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there, and one that is no report: each says so, and what would be one."""
    monkeypatch.chdir(project)
    for folder in (tmp_path / "nowhere", tmp_path):
        refused = brokenpipe("resume", str(folder))
        assert refused.exit_code == 2, refused.err
        assert str(folder) in refused.err
        assert "→ Give" in refused.err


def test_too_short_for_a_round(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.chdir(project)
    refused = brokenpipe("soak", str(soak_scenario(tmp_path, project)), "--duration", "5s")
    assert refused.exit_code == 2
    assert "too short for one round" in refused.said
