"""What a run leaves behind, if it leaves anything: processes, ports, temporary files, shared memory.

Others may use the same machine at the same time. Ours is told from theirs by its TMPDIR, which every process of
a run inherits; a server process of Postgres overwrites its environment, but works in a folder there.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

CLEAN_WITHIN_S = 5.0  # the promise
LOOK_S = 0.1  # all processes of the machine are looked at each time
POSTGRES_SHM = "PostgreSQL.*"


@dataclass
class Leftovers:
    """Of one run, whose TMPDIR is `tmp` and nobody else's. Made before it starts."""

    tmp: Path
    _segments: set[int] = field(default_factory=lambda: set(_orphaned_segments()))  # that others have left
    _files: set[Path] = field(default_factory=lambda: set(Path("/dev/shm").glob(POSTGRES_SHM)))
    _seen: dict[int, float] = field(default_factory=dict)
    _ports: set[int] = field(default_factory=set)

    def note(self, harness: int) -> None:
        """Remember what runs and listens now, for whatever hides its origin later."""
        with suppress(psutil.Error):
            for process in psutil.Process(harness).children(recursive=True):
                self._remember(process)
        for process in self._of_this_run():
            self._remember(process)

    def _remember(self, process: psutil.Process) -> None:
        with suppress(psutil.Error):
            self._seen[process.pid] = process.create_time()
            self._ports |= {c.laddr.port for c in process.net_connections("tcp") if c.status == "LISTEN"}

    @property
    def seen(self) -> int:
        """How many processes were noted."""
        return len(self._seen)

    def left(self) -> list[str]:
        """A line for each thing that is still there."""
        return [
            *(line for process in self.processes() for line in _described(process)),
            *(f"port {port} is still listened on" for port in self._ports if _answers(port)),
            *(f"{path} in TMPDIR" for path in self.tmp.iterdir()),
            *(
                f"shared memory segment {number}"
                for number, creator in _orphaned_segments().items()
                if number not in self._segments and creator in self._seen
            ),
            *(str(path) for path in Path("/dev/shm").glob(POSTGRES_SHM) if path not in self._files),
        ]

    def gone_after(self, within_s: float = CLEAN_WITHIN_S) -> tuple[float, list[str]]:
        """Seconds until nothing was left, and what was left at the deadline (nothing, if all is well)."""
        started = time.monotonic()
        while (left := self.left()) and time.monotonic() - started < within_s:
            time.sleep(LOOK_S)
        return time.monotonic() - started, left

    def processes(self) -> list[psutil.Process]:
        """Those of the run that still live."""
        found = {process.pid: process for process in self._of_this_run()}
        for pid, born in self._seen.items():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.create_time() == born and process.status() != psutil.STATUS_ZOMBIE:
                    found[pid] = process
        return list(found.values())

    def _of_this_run(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and self._is_ours(process):
                    yield process

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.environ().get("TMPDIR") == str(self.tmp):
            return True
        return Path(process.cwd()).is_relative_to(self.tmp)


def _described(process: psutil.Process) -> Iterator[str]:
    """Nothing, if it ends while it is looked at."""
    with suppress(psutil.Error):
        yield f"process {process.pid}: {' '.join(process.cmdline())[:120]}"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _orphaned_segments() -> dict[int, int]:
    """System V segments that no process has attached, each with who created it.

    One that is in use belongs to somebody who lives.
    """
    found = {}
    with suppress(FileNotFoundError):  # not Linux
        head, *rows = Path("/proc/sysvipc/shm").read_text().splitlines()
        names = head.split()
        for row in rows:
            values = dict(zip(names, row.split(), strict=True))
            if values["nattch"] == "0":
                found[int(values["shmid"])] = int(values["cpid"])
    return found
