"""Doubts about the machine, its clocks and its disk, and the figures from which they are raised."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.kind import Code, DoubtKind

SATURATED_MACHINE = 0.9
BUSY_MACHINE = 0.6  # latencies begin to measure the machine
STOLEN = 0.05
THROTTLED = 0.05
EARLY_S = 300.0  # by then a process has warmed up
GROWN_BYTES = 8e6
GROWN_SHARE = 0.05
JUMP_S = 0.25

MACHINE: Mapping[Code, DoubtKind] = {
    Code.MACHINE_SATURATED: DoubtKind(
        "all cores together were more than 90 % busy",
        "unknown",
        "Lower --users or run fewer arms (--only); latencies are those of the wait for a core.",
    ),
    Code.MACHINE_BUSY: DoubtKind(
        "all cores together were more than 60 % busy",
        "note",
        "Lower --users or run fewer arms (--only); latencies include the wait for a core.",
    ),
    Code.MACHINE_THROTTLED: DoubtKind(
        "the processor quota of the control group kept processes waiting for more than 5 % of the time",
        "unknown",
        "Raise the container's or the unit's CPU quota, or lower --users.",
    ),
    Code.MACHINE_STOLEN: DoubtKind(
        "a hypervisor took more than 5 % of the processor away",
        "note",
        "Latencies include that; run on a quieter machine.",
    ),
    Code.MEMORY_GREW: DoubtKind(
        "the memory of a process went on growing from the fifth minute to the end, by 5 % and 8 MB at least",
        "note",
        "What keeps it is not known: of a service its code, its server or a library; of ours, please report it.",
    ),
    Code.MACHINE_SUSPENDED: DoubtKind(
        "the machine slept during the run",
        "unknown",
        "Run again with suspending switched off; nothing was measured while it slept.",
    ),
    Code.CLOCK_JUMPED: DoubtKind(
        "the wall clock moved against the monotonic clock by more than 0.25 s within a few seconds",
        "unknown",
        "Run again when the clock is in step: SQLAlchemy tells the age of a connection by it, so recycle is off.",
    ),
    Code.RESUMED: DoubtKind(
        "the run was cut off and resumed: its services and its database were new from then on",
        "note",
        "Writes are compared with the last database only; run again if they, or drift over time, matter.",
    ),
    Code.LINES_UNREADABLE: DoubtKind(
        "lines of the history cannot be read; a last line that was cut off does not count",
        "unknown",
        "Find out what damaged that file: a full disk, or another program that wrote to it. Then run again.",
        stands="nothing",
    ),
    Code.HISTORY_INCOMPLETE: DoubtKind(
        "a file of the history is missing, or shorter than it was when the run ended",
        "unknown",
        "Take the whole folder of the run, all its files; if it is whole, find out what removed them. Then run again.",
        stands="nothing",
    ),
    Code.HISTORY_CHANGED: DoubtKind(
        "a file of the history, or the plan, is not what it was when the run ended: its checksum is another",
        "unknown",
        "Take the folder as the run left it: something changed that file since. If nothing did, look after that disk.",
        stands="nothing",
    ),
}
