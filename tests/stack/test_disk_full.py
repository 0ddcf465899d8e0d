"""A disk that is full, or becomes full, where reports are written: said in a sentence, and everything ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.stack.interrupted_soaks import (
    HANDED_OVER_S,
    answers,
    ended_requests,
    episodes,
    fill,
    missing_answers,
    resume,
    soak_scenario,
)
from tests.stack.interrupted_soaks import small_disk as small_file_system
from tests.stack.runs import BROKENPIPE, LONG, Run, Starter, eventually, write_scenario

from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.process import child


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that can be full without harm to others."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    with ExitStack() as mounted:
        try:
            disk = mounted.enter_context(small_file_system(tmp_path))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"mounting is forbidden here: {error}")
        yield disk


def _scenario(brokenpipe: Starter, project: Path) -> Path:
    return write_scenario(
        brokenpipe.folder / "full.toml",
        LONG,
        target="listed",
        locustfile=project / "scenarios" / "locustfile.py",
        env={"LEDGER": str(brokenpipe.folder / "ledger")},
    )


def _assert_it_says(run: Run, place: Path) -> None:
    """Which folder, that there is no room, what to do: and no traceback."""
    assert run.popen.returncode == 3, run.out
    assert "Traceback" not in run.out
    complaints = [line for line in run.out.splitlines() if line.startswith("error: ")]
    assert complaints
    for complaint in complaints:
        assert str(place) in complaint
        assert "cannot be written: No space left on device" in complaint
    assert "→ Make room" in run.out


def test_a_disk_that_is_full_from_the_start(brokenpipe: Starter, project: Path, small_disk: Path) -> None:
    """Nothing is started, and the message names the folder and another one's option."""
    fill(small_disk)
    run = brokenpipe.run(_scenario(brokenpipe, project), cwd=project, reports=small_disk / "reports")
    _assert_it_says(run, small_disk)
    assert "--reports" in run.out
    assert "starting Postgres" not in run.out


def test_a_disk_that_fills_up_in_mid_run(brokenpipe: Starter, project: Path, small_disk: Path) -> None:
    """The soak ends with 3, and the service never knew; with room again it is reported, and resumed to its end."""
    reports = small_disk / "reports"
    # Nothing is struck before the disk is full.
    scenario = soak_scenario(brokenpipe.folder, project, steady_s=8)
    options = ("--duration", "22s", "--users", "3", "--reports", reports)
    with brokenpipe.start("soak", scenario, *options, cwd=project, reports=reports) as run:
        eventually(lambda: _some_episode(run), "no episode ended", timeout_s=150)
        answered = answers(brokenpipe.folder)
        with suppress(subprocess.TimeoutExpired):
            run.popen.wait(HANDED_OVER_S)
        before = _outcomes(brokenpipe.folder)
        ballast = fill(small_disk)
        run.end()
    _assert_it_says(run, run.folder)
    after = _outcomes(brokenpipe.folder)
    assert after["fine"] > before["fine"] + 2
    assert after["failed"] == before["failed"]
    assert not missing_answers(answered, ended_requests(run.folder))
    _the_report_can_be_made(run, ballast)
    assert resume(brokenpipe, project, run.folder) == ("resumed", [])


def _some_episode(run: Run) -> bool:
    assert run.popen.poll() is None, run.out
    return any(episodes(path) for path in run.reports.glob("*/[0-9]*"))


def _outcomes(folder: Path) -> Counter[str]:
    """What became of the requests of both arms, by the books of the service."""
    lines = (line for path in folder.glob("answers-*") for line in path.read_text().splitlines())
    return Counter(line.split()[-1] for line in lines)


def _the_report_can_be_made(run: Run, ballast: Path) -> None:
    full = _report(run.folder)
    assert full.returncode == 3
    assert "cannot be written: No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    ballast.unlink()
    assert _report(run.folder).returncode == 0
    assert run.summary["verdict"] == "unknown"


def _report(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*BROKENPIPE, "report", str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"}
    )


def test_a_file_in_the_place_of_the_folder(brokenpipe: Starter, project: Path) -> None:
    """Reports cannot be written there, root or not: the message says so and names another way."""
    (brokenpipe.folder / "reports").write_text("I was here first.")
    run = brokenpipe.run(_scenario(brokenpipe, project), cwd=project)
    assert run.popen.returncode == 3, run.out
    assert "Traceback" not in run.out
    assert f"{brokenpipe.folder / 'reports'}" in run.out
    assert "cannot be written" in run.out
    assert "--reports" in run.out


TALKER = """
import sys
for number in range(2_000):
    print("a line of a log that nobody can write down any more", number, flush=True)
sys.exit(3)
"""


def test_a_full_disk_under_a_log_does_not_reach_who_writes_it(small_disk: Path) -> None:
    """What a service prints is taken from it to the last line, or it would block, or die of a broken pipe."""
    log = small_disk / "log"
    fill(small_disk)
    with child("talker", [sys.executable, "-c", TALKER], log_path=log, janitor=NoJanitor()) as talker:
        assert talker.popen.wait(20) == 3
