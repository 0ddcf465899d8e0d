"""`brokenpipe advise`: what it prints of a run, and what it says of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.measure.test_sizing import gauge, tally
from tests.measure.test_sizing import run as recorded_run
from tests.unit.plans import STEADY, scenario
from typer.testing import CliRunner, Result

from brokenpipe.cli import app
from brokenpipe.measure.failures.witness_coverage import COVERAGE_TEXT, WitnessCoverage

run = recorded_run


def flat(result: Result) -> str:
    """What it printed, without the line breaks and spaces that the terminal makes."""
    return " ".join(result.output.split())


def advise(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["advise", *map(str, arguments)])


def test_the_advice_names_curve_knee_and_settings(run: Recorded) -> None:
    """Without options: what was measured, for the run's own numbers; every statement names the run."""
    result = advise(run.folder)
    assert result.exit_code == 0, result.output
    assert "← knee" in result.output
    assert "The knee is at 4 connections" in flat(result)
    assert "pool_size=4, max_overflow=0," in flat(result)
    assert "pool_timeout=1," in result.output
    assert flat(result).count("run sizing/20260101T000000Z") >= 4
    assert max(map(len, result.output.splitlines())) <= 80


def test_a_pool_that_nobody_saw_made_is_advised_in_words(run: Recorded) -> None:
    """Its size is known, and not the constructor: nothing is printed to copy."""
    run.__exit__(None, None, None)
    for path in run.folder.glob("witness-*.ndjson"):
        lines = [line for line in path.read_text().splitlines() if '"pool_settings"' not in line]
        path.write_text("\n".join(lines) + "\n")
    said = flat(advise(run.folder))
    assert (
        "A pool of 4 connections in each process, and none beyond it, for which requests wait 1 s at most"
        in said
    )
    assert "create_async_engine" not in said


def test_the_advice_for_numbers_of_ones_own(run: Recorded) -> None:
    """Two workers share twice the arrivals: each needs what was measured. It says that it was scaled, and the room."""
    result = advise(run.folder, "--workers", "2", "--peak-per-s", "2", "--max-connections", "19")
    said = flat(result)
    assert result.exit_code == 0, result.output
    assert "pool_size=4," in said
    assert "scaled from what was measured" in said
    assert "In all 2 × 4 = 8 connections, of 16 that Postgres has for services: below half" in said


def test_what_does_not_fit_is_not_advised(run: Recorded) -> None:
    """More connections than Postgres has: no settings, but what can be done."""
    result = advise(run.folder, "--peak-per-s", "30", "--max-connections", "50")
    assert result.exit_code == 0, result.output
    assert "create_async_engine" not in result.output
    said = flat(result)
    assert "1 × 120 = 120 connections are known to be enough, and Postgres has 47" in said
    assert "AGENT_HOLD=query" in said


def test_a_run_that_does_not_decide(tmp_path: Path) -> None:
    """Every pool was large enough: the curve is printed, no knee, no settings, exit code 3."""
    arms = ("four", "six", "eight")
    with Recorded(tmp_path / "run", scenario({**STEADY, "seconds": 16.0}, arms=arms)) as recorded:
        recorded.phase("steady", [(2.0 * n, 2.0 * n + 2, None) for n in range(8)])
        for arm, size in zip(arms, (4, 6, 8), strict=True):
            recorded.connect(arm, 0.1)
            for n in range(8):
                gauge(recorded, arm, 2 * n + 0.2, size=size, out=1)
                tally(recorded, arm, 2 * n + 0.5, [])
                recorded.requests(arm, [2 * n + 0.3])
        recorded.finish()
    result = advise(recorded.folder)
    assert result.exit_code == 3, result.output
    assert "no pool was too small, not even 4" in flat(result)
    assert "pool_size=" not in result.output


def test_pools_of_one_size_say_nothing(tmp_path: Path) -> None:
    """Refused with exit code 2: what each arm had, and what is needed."""
    with Recorded(tmp_path / "run", scenario(STEADY, arms=("plain", "other", "third"))) as recorded:
        recorded.phase("steady", [(2, 4, None), (4, 6, None)])
        for arm in ("plain", "other"):
            recorded.connect(arm, 0.1)
            gauge(recorded, arm, 2.2, size=5, out=1)
            tally(recorded, arm, 2.5, [])
            recorded.requests(arm, [3])
        recorded.finish()
    result = advise(recorded.folder)
    assert result.exit_code == 2
    assert "plain: 1 × pools of 5" in result.output
    assert "third: the witness left no file" in result.output
    assert "three arms or more" in result.output
    assert "brokenpipe run sizing" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["/nowhere/at/all"], "/nowhere/at/all: is not there"),
        (["--hold-ms", "0"], "--hold-ms 0: must be above 0"),
        (["--peak-per-s", "-3"], "--peak-per-s -3: must be above 0"),
        (["--workers", "0"], "--workers"),
        (["--max-connections", "3"], "--max-connections"),
    ],
)
def test_mistakes(arguments: list[str], says: str) -> None:
    """Each is answered with exit code 2, by its name."""
    result = advise(*arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_without_a_run_the_way_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is the latest run of the sizing scenario; if there is none, that is said."""
    for folder in ("scenarios", "targets"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    result = advise()
    assert result.exit_code == 2
    assert "Run `brokenpipe run sizing` first" in result.output


@pytest.mark.parametrize("requests_seen", [False, True])
def test_a_pool_that_is_not_seen_is_not_a_pool_of_one_size(tmp_path: Path, *, requests_seen: bool) -> None:
    """granian forks its workers, asyncpg has a pool of its own: what was seen is said, and no size is denied."""
    with Recorded(tmp_path / "run", scenario(STEADY, arms=("plain", "other", "third"))) as recorded:
        recorded.phase("steady", [(2, 4, None), (4, 6, None)])
        for arm in ("plain", "other", "third"):
            recorded.requests(arm, [3])
            if requests_seen:
                tally(recorded, arm, 2.5, [])
            else:
                recorded.connect(arm, 0.1)
        recorded.finish()
    result = advise(recorded.folder)
    assert result.exit_code == 3  # the report is not wrong: what was asked for is unknown
    assert "how its pools were used is not known" in flat(result)
    assert "of no different sizes" not in flat(result)
    assert (
        f"plain: {COVERAGE_TEXT[WitnessCoverage.REQUESTS if requests_seen else WitnessCoverage.POOLS]}"
        in flat(result)
    )
