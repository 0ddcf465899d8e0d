"""Samples of the machine: how busy, stolen or throttled its processors are, and its clocks."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil

from brokenpipe.history.records import ClockReading, MachineGauge

CGROUPS = Path("/sys/fs/cgroup")
_ONE_MOMENT_NS = (
    5_000_000  # readings of several clocks that lie further apart than this are not of one moment
)
_ATTEMPTS = 3


class MachineSampler:
    """Samples all cores. Each sample counts from the one before."""

    def __init__(self) -> None:
        self._spent = psutil.cpu_times()
        self._throttling = _throttling_files()
        self._periods = _quota_periods(self._throttling)

    def sample(self) -> MachineGauge | None:
        """Shares of processor time since the last sample; None when no time has passed."""
        before, self._spent = self._spent, psutil.cpu_times()
        spent = {
            name: now - then for name, now, then in zip(before._fields, self._spent, before, strict=True)
        }
        # Linux counts guest time in user time as well.
        total = sum(spent.values()) - spent.get("guest", 0) - spent.get("guest_nice", 0)
        if total <= 0:
            return None
        idle = spent["idle"] + spent.get("iowait", 0)
        return MachineGauge(
            t=time.monotonic_ns(),
            busy=1 - idle / total,
            stolen=spent.get("steal", 0) / total,
            throttled=self._throttled(),
        )

    def _throttled(self) -> float | None:
        """The share of the quota's periods in which it was used up; of nested groups, the worst."""
        before, self._periods = self._periods, _quota_periods(self._throttling)
        shares = [
            (now[1] - then[1]) / max(1, now[0] - then[0])
            for then, now in zip(before, self._periods, strict=True)
        ]
        return max(shares, default=None)


def read_clocks() -> ClockReading:
    """One moment on every clock: of a few attempts, the one whose readings lie closest together."""
    ticks = []
    for _ in range(_ATTEMPTS):
        t = time.monotonic_ns()
        wall_ns, boot_ns = time.time_ns(), _boot_ns()
        took_ns = time.monotonic_ns() - t
        ticks.append((took_ns, ClockReading(t, wall_ns, boot_ns)))
        if took_ns < _ONE_MOMENT_NS:
            break
    return min(ticks, key=lambda each: each[0])[1]


def _boot_ns() -> int | None:
    """The clock that goes on while the machine sleeps, where there is one beside the monotonic clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return None


def _throttling_files() -> tuple[Path, ...]:
    """`cpu.stat` of our control group and of those it lies in, where a quota can be.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files; version 1 has the same two keys.
    """
    found = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            root = CGROUPS / controllers if controllers else CGROUPS
            here = Path(path.strip("/"))
            found += [root / each / "cpu.stat" for each in (here, *here.parents)]
    return tuple(file for file in dict.fromkeys(found) if _read_periods(file))


def _quota_periods(files: tuple[Path, ...]) -> list[tuple[int, int]]:
    return [_read_periods(file) or (0, 0) for file in files]


def _read_periods(file: Path) -> tuple[int, int] | None:
    """Periods of the quota so far, and those of them in which it was used up; None without a quota."""
    with suppress(OSError, ValueError, KeyError):
        values = dict(line.split() for line in file.read_text().splitlines())
        return int(values["nr_periods"]), int(values["nr_throttled"])
    return None
