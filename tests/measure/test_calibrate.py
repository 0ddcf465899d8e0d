"""Counting false differences in recorded runs: here the runs are written by hand, so the count is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import copytree

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, STEADY, scenario
from tests.unit.shell import brokenpipe

from brokenpipe.errors import UsageError
from brokenpipe.interval import Interval
from brokenpipe.measure.calibration import (
    Calibration,
    FalsePositiveCounts,
    Proportion,
    calibrate,
    count_false_positives,
    count_relabelled,
    read_families,
)
from brokenpipe.plan.expectations import Metric
from brokenpipe.report.ci.summary import write_summary

ARMS = ("one", "two", "three")
PROJECT = Path(__file__).parents[2]


def _record(folder: Path, hit: str, *, how: str = "done") -> Path:
    """Twelve strikes on three equal arms, two requests each; in every episode one breaks, in one arm alone."""
    with Recorded(folder, scenario(STEADY, {**KILL, "episodes": 12}, arms=ARMS)) as run:
        run.phase("kill", [(n, n + 1, n + 0.5) for n in range(12)])
        for arm in ARMS:
            for n in range(12):
                run.request(arm, n + 0.1, 50 + n)
                run.request(arm, n + 0.6, 50 + n, errors=[error("query", RESET)] if arm == hit else None)
        run.finish(how)
    write_summary(run.measured(), folder / "summary.json")
    return folder


Record = Callable[..., Path]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Gives a copy of such a run in a folder: each is recorded and measured once."""
    record_once = cache(lambda hit, how: _record(tmp_path_factory.mktemp("recorded"), hit, how=how))

    def copied(folder: Path, hit: str, *, how: str = "done") -> Path:
        return Path(copytree(record_once(hit, how), folder, dirs_exist_ok=True))

    return copied


def test_what_is_compared(tmp_path: Path, record: Record) -> None:
    """Each metric of each phase that was reached, the control first, an episode a column."""
    broken, latency = read_families(record(tmp_path, "two"))
    assert (broken.phase, broken.metric) == ("kill", Metric.ADDED_BROKEN_PIPE_RATE)
    assert broken.values.tolist() == [[0] * 12, [0.5] * 12, [0] * 12]
    assert latency.values.shape == (3, 12)


def test_a_difference_that_cannot_be_chance_is_counted(tmp_path: Path, record: Record) -> None:
    """Arms that are written down as equal and are not: one of two families is false, whatever the cause."""
    record(tmp_path / "a", "two")
    found = calibrate(tmp_path, 20)
    assert found.runs == 1
    assert found.recorded.families == Proportion(1, 2)


@pytest.mark.parametrize("foreign", ["{}", "[]", "torn {"])
def test_a_summary_of_another_make_is_no_finished_run(tmp_path: Path, record: Record, foreign: str) -> None:
    """Of an older version, of another program, or torn: it is passed over, and the others are judged."""
    record(tmp_path / "a", "two")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "summary.json").write_text(foreign)
    assert calibrate(tmp_path, 20).runs == 1


def test_relabelling_takes_a_difference_away(tmp_path: Path, record: Record) -> None:
    """Dealt anew in each episode, no arm is the one that breaks: hardly any experiment sees a difference."""
    found = list(read_families(record(tmp_path, "two")))
    shuffled = count_relabelled(found[:1], 400)
    assert count_false_positives(found[0].values).families == Proportion(1, 1)
    assert shuffled.families.total == 400
    assert shuffled.families.count <= 36  # the binomial's one in a thousand at 5 %


def test_stacks_are_counted_apart(tmp_path: Path, record: Record) -> None:
    """Runs in containers are none of the local stack's, and the message says how to record some."""
    plan = record(tmp_path / "a", "two") / "plan.json"
    with pytest.raises(UsageError, match="no finished run with --stack compose") as refused:
        calibrate(tmp_path, 20, "compose")
    assert "calibrate --runs 10 --stack compose" in refused.value.remedy
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"stack": "compose"}))
    assert calibrate(tmp_path, 20, "compose").runs == 1


def test_what_did_not_end_is_not_counted(tmp_path: Path, record: Record) -> None:
    """An interrupted run, and `latest`, which is another name of a run, count for nothing."""
    record(tmp_path / "a", "")
    record(tmp_path / "b", "two", how="interrupted")
    (tmp_path / "latest").symlink_to("a")
    assert calibrate(tmp_path, 1).runs == 1


def test_arms_that_differ_cannot_calibrate(tmp_path: Path) -> None:
    """Where a setting differs, a difference is not a false one."""
    with Recorded(tmp_path / "a", scenario(KILL)) as run:
        run.finish()
    with pytest.raises(UsageError, match="plain, pre_ping are not several equal ones"):
        list(read_families(tmp_path / "a"))


def test_nothing_recorded_yet(tmp_path: Path) -> None:
    """Without a run there is nothing to count, and no calibration to be had."""
    with pytest.raises(UsageError, match="no finished run"):
        calibrate(tmp_path, 1)


def test_the_interval_is_exact() -> None:
    """None of 60: 1 − 0.025^(1/60) = 6.0 %. Of nothing, nothing is known."""
    assert Proportion(0, 60).interval == Interval(0.0, pytest.approx(1 - 0.025 ** (1 / 60)))  # type: ignore[arg-type]
    assert Proportion(0, 0).interval is None


@pytest.mark.parametrize(("false", "holds"), [(0, True), (5, True), (9, True), (12, False), (50, False)])
def test_what_contradicts_the_promise(false: int, holds: bool) -> None:
    """Of a hundred, twelve false ones are too many to be chance at 5 %; nine are not."""
    fine = FalsePositiveCounts(Proportion(0, 100), Proportion(0, 100))
    assert (
        Calibration(1, FalsePositiveCounts(Proportion(false, 100), Proportion(0, 100)), 1, fine).holds
        is holds
    )


def test_the_command_counts_and_says_so(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two equal runs in the reports folder: their table, and exit code 0."""
    monkeypatch.chdir(PROJECT)
    for name in ("a", "b"):
        record(tmp_path / "equal_arms" / name, "")
    answer = brokenpipe("calibrate", "--reports", str(tmp_path), "--relabelled", "7")
    assert answer.exit_code == 0, answer.err
    assert "2 runs" in answer.out
