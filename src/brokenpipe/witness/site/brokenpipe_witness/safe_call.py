"""The guard that keeps the witness from raising into the target: its own errors are written and swallowed."""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Callable, TypeVar

from brokenpipe_witness import ndjson_file

Function = TypeVar("Function", bound=Callable[..., Any])

MAX_ERRORS = 5  # lines in one process: an error at every request would fill the disk

_reported = 0


def never_raises(function: Function) -> Function:
    """`function`, which returns None where it would have raised."""

    @functools.wraps(function)
    def guarded(*args: Any) -> Any | None:
        try:
            return function(*args)
        except Exception as error:  # noqa: BLE001 (this is the one place that may)
            record_error(
                f"{function.__module__}.{function.__qualname__}: {type(error).__name__}: {error}"[:300]
            )
            return None

    return guarded  # type: ignore[return-value]


def record_error(text: str) -> None:
    """Write an error of the witness itself; the first few of a process."""
    global _reported  # noqa: PLW0603 (one count for the process)
    _reported += 1
    if _reported > MAX_ERRORS:
        return
    with contextlib.suppress(Exception):  # the disk is full or the folder gone: no place is left to say so
        ndjson_file.write({"k": "trouble", "t": ndjson_file.now(), "text": text})
