"""Makes reports beside a sitting: each in a process of its own, so that what is being measured hardly notices."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from brokenpipe.stack.janitor import Janitor
from brokenpipe.stack.process import child, clean_environment

TIMEOUT_S = 600.0


class Reporter:
    """One report at a time. `on_say` is told what the report of a finished run says."""

    def __init__(self, undo: Janitor, scratch: Path, on_say: Callable[[str], None]) -> None:
        self._undo = undo
        self._scratch = scratch
        self._on_say = on_say
        self._one = threading.Lock()
        self._states: dict[Path, str] = {}
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever is being made is finished first."""
        with self._one:
            pass

    def state(self, folder: Path) -> str:
        """In a word for the page: running, being made, so far, ready or failed."""
        return self._states.get(folder, "running")

    def make(self, folder: Path, *, last: bool = False) -> None:
        """Make the report of what is recorded so far. `last`: the run is over."""
        with self._one:
            self._states[folder] = "being made"
            self._count += 1
            log = self._scratch / f"report-{self._count}.log"
            argv = [sys.executable, "-m", "brokenpipe", "report", str(folder)]
            columns = {"COLUMNS": os.environ["COLUMNS"]} if "COLUMNS" in os.environ else {}
            with child(
                "report", argv, log_path=log, janitor=self._undo, env=clean_environment(columns)
            ) as made:
                code = made.popen.wait(TIMEOUT_S)
            said = log.read_text(errors="replace").strip() if log.exists() else ""
            self._states[folder] = "failed" if code else "ready" if last else "so far"
        if last or code:
            self._on_say(said)
