"""The report over histories of 0.1, 1 and 10 million requests: time, processor time, peak memory, size of the page."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import history

SIZES = (100_000, 1_000_000, 10_000_000)


def rows(sizes: tuple[int, ...] = SIZES) -> Iterator[str]:
    """A line for each size."""
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as scratch:
            folder = Path(scratch) / "any_size" / "20260101T000000Z"
            history.write(folder, size)
            recorded = sum(path.stat().st_size for path in folder.iterdir())
            yield f"{size:>10,} requests, {recorded / 1e6:,.0f} MB: {_reported(folder)}"


def _reported(folder: Path) -> str:
    began = time.monotonic()
    command = [sys.executable, "-m", "brokenpipe", "report", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"`brokenpipe report` ended with {process.returncode}")
    page = (folder / "report.html").stat().st_size
    return (
        f"{time.monotonic() - began:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processor, "
        f"{used.ru_maxrss / 1024:.0f} MB at most, page {page / 1e6:.1f} MB"
    )
