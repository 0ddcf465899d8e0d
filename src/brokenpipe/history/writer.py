"""An append-only file of records, opened once by one writer and flushed often enough to survive a kill."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokenpipe.errors import RecordingError
from brokenpipe.history.records import Clock, Record


class Writer:
    """Writes records, one JSON object a line. Safe to share between threads.

    Every record is handed to the kernel at once: a `kill -9` of the writer loses nothing that was written.
    """

    def __init__(self, path: Path, writer: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._torn = False  # the last line is incomplete: the next one must not be glued to it
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise _write_error(path, error) from error
        try:
            self.write(Clock(t=time.monotonic_ns(), wall_ns=time.time_ns(), pid=os.getpid(), writer=writer))
        except RecordingError:
            self.close()
            raise

    def write(self, record: Record) -> None:
        """Append one record. Raises RecordingError when the disk refuses it."""
        line = memoryview(json.dumps(record.to_json(), separators=(",", ":")).encode() + b"\n")
        try:
            with self._lock:
                self._require_open()
                if self._torn:
                    self._file.write(b"\n")
                    self._torn = False
                while line:  # a disk that is about to be full takes a part and says nothing
                    line = line[self._file.write(line) :]
                    self._torn = bool(line)
        except OSError as error:
            raise _write_error(self.path, error) from error

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _require_open(self) -> None:
        """A gauge that took longer than anybody waits for it comes too late. Raises RecordingError."""
        if self._file.closed:
            raise RecordingError(
                f"{self.path}: this file of the history is closed",
                remedy="What comes after the end of an experiment is not recorded.",
            )


@contextmanager
def open_writer(path: Path, writer: str) -> Iterator[Writer]:
    """A writer for as long as the block lasts."""
    opened = Writer(path, writer)
    try:
        yield opened
    finally:
        opened.close()


def _write_error(path: Path, error: OSError) -> RecordingError:
    return RecordingError(
        f"{path}: the history cannot be written: {error.strerror or error}",
        remedy="Make room on that disk (or point --reports at another one) and run again; "
        "what was recorded so far is kept.",
    )
