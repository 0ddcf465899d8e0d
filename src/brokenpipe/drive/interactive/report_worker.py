"""Makes reports during a web session: each in a child process, so that a run is hardly disturbed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from brokenpipe.errors import StackError
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.process import child, clean_environment

TIMEOUT_S = 600.0


class ReportWorker:
    """Makes one report at a time. `on_message` is called with the output of a finished run's report."""

    def __init__(self, janitor: Janitor, scratch: Path, on_message: Callable[[str], None]) -> None:
        self._janitor = janitor
        self._scratch = scratch
        self._on_message = on_message
        self._lock = threading.Lock()
        self._states: dict[Path, str] = {}
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the report that is being made."""
        with self._lock:
            pass

    def state(self, folder: Path) -> str:
        """The state of a report, as the page shows it: running, being made, so far, ready or failed."""
        return self._states.get(folder, "running")

    def make(self, folder: Path, *, last: bool = False) -> None:
        """Make the report of what is recorded so far. `last`: the run is over."""
        with self._lock:
            self._states[folder] = "being made"
            self._count += 1
            done, text = self._run_report(folder, self._scratch / f"report-{self._count}.log")
            self._states[folder] = "failed" if not done else "ready" if last else "so far"
        if last or not done:
            self._on_message(text)

    def _run_report(self, folder: Path, log: Path) -> tuple[bool, str]:
        """Whether the report was made, and the text to print."""
        later = f"`brokenpipe report {folder}` makes it."
        argv = [sys.executable, "-m", "brokenpipe", "report", str(folder)]
        columns = {"COLUMNS": os.environ["COLUMNS"]} if "COLUMNS" in os.environ else {}
        try:
            with child(
                "report", argv, log_path=log, janitor=self._janitor, env=clean_environment(columns)
            ) as report:
                code = report.popen.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return False, f"The report was not made within {TIMEOUT_S:g} s. {later}"
        except StackError as error:
            return False, f"The report was not made: {error.message}. {later}"
        return code == 0, log.read_text(errors="replace").strip() if log.exists() else ""
