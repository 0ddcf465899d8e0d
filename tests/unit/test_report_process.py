"""The process that makes the report of a run: it says what the run's own would, and no report is lost with it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from brokenpipe.commands.running import report_process
from brokenpipe.commands.running.report_process import ReportProcess
from brokenpipe.progress import Progress

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"
LAST_EPISODE = Progress(phase="steady", episode=2, episodes=2, elapsed_s=10.0, total_s=12.0)
FIRST_EPISODE = Progress(phase="steady", episode=1, episodes=9, elapsed_s=10.0, total_s=100.0)
PASS, NO_REPORT = 0, 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recorded run."""
    copy = shutil.copytree(SAMPLE, tmp_path / "run")
    (copy / "report.html").unlink(missing_ok=True)
    return copy


@pytest.mark.parametrize("html", [True, False])
def test_it_is_started_when_the_end_is_near(
    folder: Path, capfd: pytest.CaptureFixture[str], html: bool
) -> None:
    """Not at the begin, when it would wait for long; once; and the exit code and the last line are the report's."""
    with ReportProcess(html) as report:
        report.prepare(FIRST_EPISODE)
        assert report._popen is None
        report.prepare(LAST_EPISODE)
        prepared = report._popen
        report.prepare(LAST_EPISODE)
        assert prepared is not None
        assert report._popen is prepared
        assert report.write_report(folder) == PASS
        assert prepared.returncode == PASS
    assert (folder / "report.html").exists() is html
    assert capfd.readouterr().out.splitlines()[-1].endswith("report.html" if html else "summary.json")


def test_a_report_that_was_begun_is_waited_for(folder: Path) -> None:
    """Something fails meanwhile, such as the end of a server: the report is complete all the same."""
    with pytest.raises(RuntimeError):
        _fail_after_begin(folder)
    assert (folder / "report.html").exists()
    assert (folder / "summary.json").exists()


def _fail_after_begin(folder: Path) -> None:
    with ReportProcess(html=True) as report:
        report.prepare(LAST_EPISODE)
        report.begin(folder)
        assert report.told
        raise RuntimeError


def test_what_cannot_be_read_is_said_with_its_own_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error that is no defect: one line, its remedy, and the code that the same error has elsewhere."""
    with ReportProcess(html=True) as report:
        report.prepare(LAST_EPISODE)
        assert report.write_report(tmp_path) == NO_REPORT
    assert str(tmp_path) in capfd.readouterr().err


def test_one_that_is_killed_is_done_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's own process makes the report then."""
    made: list[Path] = []

    def write_report(folder: Path, html: bool) -> int:
        assert html
        made.append(folder)
        return PASS

    monkeypatch.setattr(report_process, "write_report", write_report)
    with ReportProcess(html=True) as report:
        report.prepare(LAST_EPISODE)
        assert report._popen is not None
        report._popen.send_signal(signal.SIGKILL)
        report._popen.wait()
        assert report.write_report(folder) == PASS
    assert made == [folder]


def test_one_that_is_told_nothing_is_ended(folder: Path) -> None:
    """A run that is interrupted leaves none behind."""
    with ReportProcess(html=True) as report:
        report.prepare(LAST_EPISODE)
        prepared = report._popen
    assert prepared is not None
    assert prepared.returncode == -signal.SIGKILL
    assert not (folder / "report.html").exists()


def test_it_ends_with_the_process_that_started_it(folder: Path) -> None:
    """At once, whatever it is importing: nothing waits for a report when the run's process was killed."""
    with ReportProcess(html=True) as report:
        report.prepare(LAST_EPISODE)
        prepared = report._popen
        assert prepared is not None
        assert prepared.stdin is not None
        prepared.stdin.close()
        assert prepared.wait(30) == 0
