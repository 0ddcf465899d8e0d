"""A disk that is full, or becomes full, where reports are written: said in a sentence, and everything ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stack.runs import BROKENPIPE, LONG, Run, Starter, eventually, write_scenario

from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.process import child


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes: room for one report."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "small", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"mounting is forbidden here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


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
    """The run ends with 3, and the service never knew; with room again, what was recorded can be reported."""
    ledger = brokenpipe.folder / "ledger"
    reports = small_disk / "reports"
    scenario = _scenario(brokenpipe, project)
    with brokenpipe.start("run", scenario, "--reports", reports, cwd=project, reports=reports) as run:
        run.wait_for("long")
        # Its first connection was cut when the phase began, as in every arm; that is no matter here.
        before = eventually(lambda: len(_lines(ledger)) > 10 and _lines(ledger), "no request arrived")
        ballast = fill(small_disk)
        run.end()
    _assert_it_says(run, run.folder)
    after = _lines(ledger)[len(before) :]
    assert len(after) > 2
    assert [line for line in after if line.endswith("failed")] == []
    _the_report_can_be_made(run, ballast)


def _lines(ledger: Path) -> list[str]:
    return ledger.read_text().splitlines() if ledger.is_file() else []


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
