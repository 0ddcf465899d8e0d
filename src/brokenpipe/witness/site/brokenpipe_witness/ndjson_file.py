"""The witness's file: whole lines handed to the kernel at once, so that `kill -9` loses none.

One file for each process, opened at its start, and in a child of a fork at its first record. So an arm without a file
had no witness, and an empty file means that the witness met no library that it knows.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from typing import Any

HISTORY_FORMAT = 2  # FORMAT of brokenpipe/history/records/base.py

now = time.monotonic_ns

_encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: no text can break the encoding


def write(*records: dict[str, Any]) -> None:
    """Append records, at once. Raises OSError when the disk refuses them; callers are guarded by `never_raises`."""
    lines = "".join([_encode(record) + "\n" for record in records]).encode("ascii")
    written = os.write(_FILE.descriptor(), lines)
    if written < len(lines):  # the disk is full: close the torn line, so that the next one is whole
        os.write(_FILE.descriptor(), b"\n")


def open_file() -> None:
    """Open the file now, to prove that the witness runs. A disk that refuses it is ignored."""
    with contextlib.suppress(OSError):
        _FILE.descriptor()


class _NdjsonFile:
    """The open file of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def descriptor(self) -> int:
        """The file's descriptor. Opened again if the target has closed it, so that no line goes into its sockets."""
        if self._identity is None or _identity(self._descriptor) != self._identity:
            with self._lock:
                if self._identity is None or _identity(self._descriptor) != self._identity:
                    self._open()
        return self._descriptor

    def _open(self) -> None:
        arm = os.environ.get("BROKENPIPE_ARM", "")
        part = os.environ.get("BROKENPIPE_PART", "")
        name = f"witness-{re.sub(r'[^A-Za-z0-9_.-]', '_', arm)}-{os.getpid()}{part}.ndjson"
        path = f"{os.environ['BROKENPIPE_WITNESS']}/{name}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._identity = _identity(self._descriptor)
        clock = {"k": "clock", "t": now(), "wall_ns": time.time_ns(), "pid": os.getpid()}
        clock |= {"writer": f"witness {arm}", "format": HISTORY_FORMAT}
        os.write(self._descriptor, _encode(clock).encode("ascii") + b"\n")

    def _forget(self) -> None:
        """In a forked child: the parent's file is not ours, and its lock may have been held."""
        self._lock = threading.Lock()
        if self._identity is not None and _identity(self._descriptor) == self._identity:
            os.close(self._descriptor)
        self._descriptor, self._identity = -1, None


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


_FILE = _NdjsonFile()
