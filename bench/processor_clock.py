"""The processor time of another process, to the nanosecond: /proc counts in hundredths of a second."""

from __future__ import annotations

import time


def processor_ns(pid: int) -> int:
    """What all threads of the process have used so far; its clock as clock_getcpuclockid(3) makes it (Linux)."""
    return time.clock_gettime_ns((~pid << 3) | 2)
