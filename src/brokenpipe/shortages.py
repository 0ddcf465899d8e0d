"""What a lack of memory, or of descriptors, looks like from inside, and the one sentence that is said of each.

A limit (`ulimit -v`, a container's) shows itself in many ways: a library that cannot be mapped, a thread that cannot be
started, a process that cannot be forked. None of them is a defect of ours, nor a verdict on a service.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

EXIT_NOT_STARTED = 4
SENTENCE = "out of memory: this process was refused more"
REMEDY = (
    "See `ulimit -v`, the memory limit of its container, and what else runs here; "
    "fewer arms (--only) and fewer --users take less."
)
NO_FILES = "no file descriptor was left for this process"
MORE_FILES = "Raise the limit (ulimit -n), or run fewer arms (--only) with fewer --users."
_SAID = (
    "cannot allocate memory",
    "failed to map segment",
    "can't start new thread",
    "unable to allocate",
    "pthread_create failed",
    "out of memory",
)
_MOST_CAUSES = 20
# Below it, libraries were seen to end the process: OpenBLAS with SIGINT, DuckDB with a segmentation fault.
LEAST_ADDRESS_SPACE_BYTES = 2_000_000_000


def describe_low_limit() -> str | None:
    """What is said of a limit of this process under which nothing can be measured; None without one."""
    for option, which in (("-v", resource.RLIMIT_AS), ("-d", resource.RLIMIT_DATA)):
        limit, _ = resource.getrlimit(which)
        if 0 <= limit < LEAST_ADDRESS_SPACE_BYTES:
            least = LEAST_ADDRESS_SPACE_BYTES / 1e9
            return (
                f"{SENTENCE} than {limit / 1e9:.2f} GB (`ulimit {option}`), and measuring takes {least:g} GB"
            )
    return None


def is_memory_shortage(error: BaseException) -> bool:
    """Whether this, or what it came from, is a lack of memory."""
    for _ in range(_MOST_CAUSES):
        if _is_shortage(error):
            return True
        cause = error.__cause__ or error.__context__
        if cause is None:
            return False
        error = cause
    return False


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":  # DuckDB's
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, ImportError | RuntimeError | OSError):
        said = str(error).lower()
        return any(each in said for each in _SAID)
    return False


def is_out_of_files(error: BaseException) -> bool:
    """Whether this process, or the machine, had no file descriptor left."""
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}


@contextmanager
def ignoring_lack_of_files() -> Iterator[None]:
    """A turn of a loop that looks at something: without a descriptor it looks again at the next.

    What it would have written is missing then, and that is read as a silence.
    """
    try:
        yield
    except OSError as error:
        if not is_out_of_files(error):
            raise


@contextmanager
def exit_if_short() -> Iterator[None]:
    """End the process with that sentence and the code for what did not start, by as little as that takes."""
    try:
        yield
    except Exception as error:
        if is_memory_shortage(error):
            said = f"error: {SENTENCE}\n→ {REMEDY}\n"
        elif is_out_of_files(error):
            said = f"error: {NO_FILES}\n→ {MORE_FILES}\n"
        else:
            raise
    else:
        return
    with suppress(OSError):
        sys.stderr.flush()
        os.write(2, said.encode())
    os._exit(EXIT_NOT_STARTED)
