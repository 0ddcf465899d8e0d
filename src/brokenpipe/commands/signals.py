"""What Ctrl-C and SIGTERM do: before a command begins, during a run, and while it is reported."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

EXIT_UNKNOWN, EXIT_INTERRUPTED = 3, 130
_REACTIONS: dict[int, tuple[str, int]] = {
    signal.SIGINT: ("interrupted", EXIT_INTERRUPTED),
    signal.SIGTERM: ("terminated", EXIT_UNKNOWN),
}


def exit_on_signals() -> None:
    """Let both signals end the process at once, with a word and an exit code, even during an import."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    word, code = _REACTIONS[number]
    with suppress(OSError):
        os.write(2, f"{word}\n".encode())
    os._exit(code)


def raise_on_signals() -> None:
    """Let both signals raise exceptions from now on, so that what a command has started is ended."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, _raise)):
        if signal.getsignal(number) is _exit:  # else another program installed handlers, such as a test
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    word, code = _REACTIONS[number]
    with suppress(OSError):
        os.write(2, f"{word}\n".encode())
    raise SystemExit(code)


class InterruptHandler:
    """Handlers of Ctrl-C and SIGTERM during a run. Creating one installs it.

    The first signal ends the experiment, which keeps its history and is reported; during the report it only sets the
    exit code. A later Ctrl-C ends the process at once; the janitor cleans up.
    """

    def __init__(self, terminated: type[BaseException], *, on_terminal: bool) -> None:
        self.exit_code: int | None = None
        self.finishing = False
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
        if not self.finishing:
            raise end
