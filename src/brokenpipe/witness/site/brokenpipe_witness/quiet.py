"""The promise that the witness never raises into the target: what fails is written down and swallowed."""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Callable, TypeVar

from brokenpipe_witness import tape

Function = TypeVar("Function", bound=Callable[..., Any])

MOST = 5  # lines of trouble in one process: what fails at every request would fill the disk

_reported = 0


def quietly(function: Function) -> Function:
    """`function`, which returns None where it would have raised."""

    @functools.wraps(function)
    def guarded(*args: Any) -> Any | None:
        try:
            return function(*args)
        except Exception as error:  # noqa: BLE001 (this is the one place that may)
            trouble(f"{function.__module__}.{function.__qualname__}: {type(error).__name__}: {error}"[:300])
            return None

    return guarded  # type: ignore[return-value]


def trouble(text: str) -> None:
    """Write down that the witness itself does not see all it should; the first few times."""
    global _reported  # noqa: PLW0603 (one count for the process)
    _reported += 1
    if _reported > MOST:
        return
    with contextlib.suppress(Exception):  # the disk is full or the folder gone: no place is left to say so
        tape.write({"k": "trouble", "t": tape.now(), "text": text})
