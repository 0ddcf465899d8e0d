"""The process that makes the report of a run: by the time the run is over, it has imported all that this takes.

    run         ──last seconds──▶ starts it ──▶ … ──▶ tells it the folder ──▶ ends the rest ──▶ waits for its exit code
    the report  imports, on idle processors only ──▶ waits ──▶ measures, writes, prints

Its end of the pipe also says that the run's process is gone: nothing then waits for the report, and it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from brokenpipe.commands.reporting.prepared_report import HTML
from brokenpipe.commands.reporting.report import write_report
from brokenpipe.progress import Progress

LEAD_S = 6.0  # its imports take 2 s of a processor


class ReportProcess:
    """Makes the report of one run in a process of its own or, where that cannot be started or ended, in this one."""

    def __init__(self, html: bool) -> None:
        self._html = html
        self._popen: subprocess.Popen[str] | None = None
        self._begun = False
        self.told = False  # of the folder: the report is being made, or is made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it if it still waits to be told, else wait for its report."""
        if self._popen is not None:
            if self.told:
                self._popen.wait()
            else:
                self._popen.kill()
            with suppress(OSError):  # what was not read is of no use
                self._popen.communicate()

    def prepare(self, progress: Progress) -> None:
        """Start it if the end of the run is near. Returns at once."""
        near = 0 < progress.total_s < progress.elapsed_s + LEAD_S
        if near and progress.episode and not self._begun:
            self._begun = True
            with suppress(OSError):
                self._popen = _started(self._html)
        elif self._popen is not None and not progress.phase:  # the load is over
            _use_all_processors(self._popen.pid)

    def begin(self, folder: Path) -> None:
        """Tell the prepared process, if there is one, to make the report. Returns at once."""
        if self.told or self._popen is None or self._popen.stdin is None:
            return
        sys.stdout.flush()
        _use_all_processors(self._popen.pid)
        with suppress(OSError):  # it was killed
            self._popen.stdin.write(json.dumps(str(folder.absolute())) + "\n")
            self._popen.stdin.flush()
            self.told = True

    def write_report(self, folder: Path) -> int:
        """Make the report, or wait for it. Returns the exit code of the verdict, or of an error that was printed."""
        self.begin(folder)
        code = self._popen.wait() if self._popen is not None and self.told else -1
        return code if code >= 0 else write_report(folder, self._html)


def _started(html: bool) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "brokenpipe.commands.reporting.prepared_report", *([HTML] if html else [])],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C reaches the run only, which decides what it ends
    )


def _use_all_processors(pid: int) -> None:
    """While the load plays, the process keeps to idle processors by itself (prepared_report.py)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
