"""What is done to a part of a run that goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil
from tests.sabotage.cell import Act, Cell, Part
from tests.sabotage.parts import file, processes
from tests.stack.runs import Run

STILL_S = 2.5  # stopped and continued
BALLAST = "ballast"  # the file that fills a disk
SPARE_BYTES = 1_000_000  # that a process may still take when it is to run out of memory
ONE = frozenset({Part.BACKEND, Part.SERVICE_WORKER})  # of which there are several, and one is struck


def there(run: Run, part: Part) -> bool:
    """Whether the part can be struck now."""
    if part in {Part.REPORTS, Part.SCRATCH}:
        return True
    if part in {Part.WITNESS, Part.GAUGES}:
        with suppress(ValueError):
            return file(run, part).is_file()
        return False
    return bool(processes(run, part))


def strike(run: Run, cell: Cell, place: Path) -> bool:
    """Do it; whether there was something to do it to.

    `place` is the disk that is to be full, or the folder of the locustfile, where a clock is moved by a file.
    """
    if cell.act in _ON_PROCESSES:
        return _strike_processes(processes(run, cell.part), cell)
    if cell.act is Act.REMOVED:
        file(run, cell.part).unlink()
    elif cell.act is Act.FULL:
        fill(place)
    elif cell.act is Act.CLOCK:
        (place / "clock_ahead").touch()
    return True


def _strike_processes(found: list[psutil.Process], cell: Cell) -> bool:
    struck = found[:1] if cell.part in ONE else found
    for process in struck:
        with suppress(psutil.NoSuchProcess):
            _ON_PROCESSES[cell.act](process)
    if cell.act is Act.CONTINUED:
        time.sleep(STILL_S)
        for process in struck:
            with suppress(psutil.NoSuchProcess):
                process.resume()
    return bool(struck)


def fill(disk: Path) -> Path:
    """Leave no byte. The file that does it."""
    ballast = disk / BALLAST
    with ballast.open("ab", buffering=0) as growing, suppress(OSError):
        while True:
            growing.write(bytes(4096))
    return ballast


def _no_descriptors(process: psutil.Process) -> None:
    """What it has open stays open; the lowest number that is free is one too many."""
    taken = {int(each.name) for each in Path(f"/proc/{process.pid}/fd").iterdir()}
    free = next(number for number in count() if number not in taken)
    process.rlimit(psutil.RLIMIT_NOFILE, (free, free))


def _no_memory(process: psutil.Process) -> None:
    most = process.memory_info().vms + SPARE_BYTES
    process.rlimit(psutil.RLIMIT_AS, (most, most))


_ON_PROCESSES: Mapping[Act, Callable[[psutil.Process], None]] = {
    Act.KILLED: psutil.Process.kill,
    Act.STOPPED: psutil.Process.suspend,
    Act.CONTINUED: psutil.Process.suspend,
    Act.DESCRIPTORS: _no_descriptors,
    Act.MEMORY: _no_memory,
}
