"""A power cut, as near as one can come: what the disk holds at a moment is mounted by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from brokenpipe.errors import RecordingError
from brokenpipe.history import records
from brokenpipe.history.fsync import Fsyncer, syncing
from brokenpipe.history.reader import open_history
from brokenpipe.history.writer import open_writer

WRITTEN_S = 3.0
LOST_S = 1.0
BUSY_S = 0.7  # a machine with something else to do syncs later


@contextmanager
def _mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting a file is forbidden here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file with a file system in it, which is as much of it as has reached its disk."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4")
    made = tmp_path / "image"
    with made.open("wb") as file:
        file.truncate(16_000_000)
    subprocess.run(["mkfs.ext4", "-q", str(made)], check=True)
    return made


def test_a_power_cut_costs_a_second(tmp_path: Path, image: Path) -> None:
    """Of two writers, one of whom opens its file late, everything can be read but the last second."""
    with _mounted(image, tmp_path / "disk") as disk, syncing(disk):
        begin = time.monotonic()
        with ExitStack() as files:
            files.enter_context(open_writer(disk / "experiment.ndjson", "experiment"))
            load = files.enter_context(open_writer(disk / "requests.ndjson", "load"))
            probe = None
            while time.monotonic() < begin + WRITTEN_S:
                load.write(records.LoopLag(t=time.monotonic_ns(), ms=0.0))
                if time.monotonic() > begin + WRITTEN_S / 2:
                    probe = probe or files.enter_context(open_writer(disk / "gauges.ndjson", "probe"))
                    probe.write(records.ClockReading(t=time.monotonic_ns(), wall_ns=0, boot_ns=None))
                time.sleep(0.005)
            cut = time.monotonic_ns()
            shutil.copyfile(image, tmp_path / "at the cut")
    with _mounted(tmp_path / "at the cut", tmp_path / "found") as found, open_history(found) as history:
        for table in ("lags", "ticks"):
            (last,) = history.one(f"SELECT max(t) FROM {table}")
            assert last is not None, table
            assert (cut - last) / 1e9 < LOST_S + BUSY_S, table


def test_a_disk_that_does_not_keep_what_it_took(tmp_path: Path) -> None:
    """It took the lines and fails when it is to keep them: that ends the run with a sentence."""
    (tmp_path / "requests.ndjson").symlink_to("/dev/full")
    keeper = Fsyncer(tmp_path)
    keeper.sync()
    with pytest.raises(RecordingError, match="the history cannot be kept"):
        keeper.check()
