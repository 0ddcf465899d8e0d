"""Syncing a history: what its writers handed to the kernel is on the disk a second later.

A `kill -9` loses nothing that the kernel has. A power cut loses what is not on the disk, so once a second every file
that grew is synced, those of other writers too: a load generator or a service under test should not wait for a disk,
and a file can be synced from any process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from brokenpipe.errors import RecordingError
from brokenpipe.history.records import EVERY_FILE
from brokenpipe.shortages import MORE_FILES, is_out_of_files

_ANOTHER_DISK = "See to that disk (or point --reports at another one) and run again."
EVERY_S = 0.5  # writers hand over at least every 0.2 s, so that leaves a disk 0.3 s for a sync


class Fsyncer:
    """Syncs the files of a history, and knows how much of each is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[Path, int] = {}
        self._failure: RecordingError | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        """How large each file was when it was last seen, also of one that is gone by now."""
        return {path.name: size for path, size in self._kept.items()}

    def sync(self) -> None:
        """Sync what grew since the last time. Of a disk that fails tells `check`."""
        try:
            for path in self._folder.glob(EVERY_FILE):
                size = path.stat().st_size
                if self._kept.get(path) != size:
                    _sync_file(path)
                    if path not in self._kept:
                        _sync_file(self._folder)  # its name
                    self._kept[path] = size
        except OSError as error:
            self._failure = RecordingError(
                f"{self._folder}: the history cannot be kept: {error.strerror or error}",
                remedy=f"{MORE_FILES if is_out_of_files(error) else _ANOTHER_DISK} What was recorded so far is kept.",
            )

    def check(self) -> None:
        """Raises RecordingError if the disk refused what it had taken."""
        if self._failure is not None:
            raise self._failure


@contextmanager
def syncing(folder: Path) -> Iterator[Fsyncer]:
    """Sync the files of this folder for as long as the block lasts, and once more at its end."""
    fsyncer, stop = Fsyncer(folder), threading.Event()

    def sync_until_stopped() -> None:
        while not stop.wait(EVERY_S):
            fsyncer.sync()

    thread = threading.Thread(target=sync_until_stopped, name="fsyncer", daemon=True)
    thread.start()
    try:
        yield fsyncer
    finally:
        stop.set()
        thread.join()
        fsyncer.sync()


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(InterruptedError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
