"""A disk that is full where reports are to be written: said in a sentence. One that fills up is in test_soak.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stack.runs import LONG, write_scenario
from tests.unit.shell import brokenpipe

from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.process import child


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
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


def _refused(folder: Path, project: Path, reports: Path) -> str:
    """What is said to a run whose reports would go there: exit code 3, before anything is started."""
    scenario = write_scenario(
        folder / "full.toml",
        LONG,
        target="listed",
        locustfile=project / "scenarios" / "locustfile.py",
        env={"LEDGER": str(folder / "ledger")},
    )
    answer = brokenpipe("run", str(scenario), "--reports", str(reports))
    assert answer.exit_code == 3, answer
    assert "Traceback" not in answer.out + answer.err
    assert "starting Postgres" not in answer.out + answer.err
    assert "--reports" in answer.err
    return answer.err


def test_a_disk_that_is_full_from_the_start(
    tmp_path: Path, project: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is started, and the message names the folder and another one's option."""
    monkeypatch.chdir(project)
    fill(small_disk)
    said = _refused(tmp_path, project, small_disk / "reports")
    complaints = [line for line in said.splitlines() if line.startswith("error: ")]
    assert complaints
    for complaint in complaints:
        assert str(small_disk) in complaint
        assert "cannot be written: No space left on device" in complaint
    assert "→ Make room" in said


def test_a_file_in_the_place_of_the_folder(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports cannot be written there, root or not: the message says so and names another way."""
    monkeypatch.chdir(project)
    (tmp_path / "reports").write_text("I was here first.")
    said = _refused(tmp_path, project, tmp_path / "reports")
    assert str(tmp_path / "reports") in said
    assert "cannot be written" in said


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
