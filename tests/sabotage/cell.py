"""A cell of the table: one part of the instrument, what is done to it, when, and what may come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """What something is done to. Files are parts as well: a disk, or a record, can fail like a process."""

    HARNESS = "harness"
    JANITOR = "janitor"
    LOAD = "Locust, one process"
    LOAD_MASTER = "Locust, master"
    LOAD_WORKER = "Locust, worker"
    TOXIPROXY = "Toxiproxy"
    POSTGRES = "Postgres, all processes"
    POSTMASTER = "Postgres, postmaster"
    BACKEND = "Postgres, one backend"
    PGBOUNCER = "PgBouncer"
    SERVICE = "service of one arm"
    SERVICE_WORKER = "worker process of one service"
    WITNESS = "witness, its file"
    GAUGES = "gauges, their file"
    REPORTS = "folder of the reports"
    SCRATCH = "TMPDIR"


class Act(StrEnum):
    """What is done to it."""

    NOTHING = "nothing"
    KILLED = "killed"
    STOPPED = "stopped"
    CONTINUED = "stopped and continued"
    DESCRIPTORS = "out of descriptors"
    MEMORY = "out of memory"
    FULL = "disk full"
    REMOVED = "removed"
    CLOCK = "clock 3 s ahead"


class Moment(StrEnum):
    """When."""

    START_UP = "start-up"
    PHASE = "phase"
    PAUSE = "pause"
    REPORT = "report"


@dataclass(frozen=True)
class Cell:
    """`codes`: doubts, one of which must make the verdict unknown.

    `passes`: it has no effect on what is measured, so a pass is right, and so is any doubt. `ends`: it is right that
    the run ends early, with exit code 3 or 4 and a sentence; or by the signal that killed the harness.
    """

    part: Part
    act: Act
    moment: Moment
    codes: frozenset[str] = frozenset()
    passes: bool = False
    ends: bool = False

    def __str__(self) -> str:
        return f"{self.part} · {self.act} · {self.moment}"


Line = tuple[Cell, ...]
"""A run, and what is done to it: one cell, or several that cannot be taken for each other."""
