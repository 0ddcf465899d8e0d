"""Ctrl-C and SIGTERM, while an experiment runs and while it is reported."""

from __future__ import annotations

import os
import signal
from types import FrameType

EXIT_UNKNOWN, EXIT_INTERRUPTED = 3, 130


class AskedToEnd:
    """What Ctrl-C and SIGTERM do to a run. Installed by being made.

    The first ends the experiment, which keeps its history and is reported; while it is being reported the first
    is only noted. A Ctrl-C after that leaves at once: what is left to clean up is the janitor's.
    """

    def __init__(self, terminated: type[BaseException], *, on_terminal: bool) -> None:
        self.exit_code: int | None = None
        self.only_noted = False
        self._terminated, self._on_terminal = terminated, on_terminal
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._terminate)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.exit_code is not None:
            if self._on_terminal:
                os.write(1, b"\x1b[?25h\n")  # the display has hidden the cursor
            os._exit(EXIT_INTERRUPTED)
        self._ask(EXIT_INTERRUPTED, KeyboardInterrupt)

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        if self.exit_code is None:
            self._ask(EXIT_UNKNOWN, self._terminated)

    def _ask(self, exit_code: int, end: type[BaseException]) -> None:
        self.exit_code = exit_code
        if not self.only_noted:
            raise end
