"""The part of `doctor` that looks at the machine: processors, memory, clocks, ports, limits and versions."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import psutil

from brokenpipe.drive.gauges.machine import Machine, tick
from brokenpipe.drive.run_folder import PACKAGES
from brokenpipe.errors import StackError
from brokenpipe.history.validity_codes.machine import JUMP_S, STOLEN, THROTTLED
from brokenpipe.plan.project import Project
from brokenpipe.stack.processes.ports import free_port

LEAST_CORES = 2
LEAST_FREE_BYTES = 1_000_000_000
LEAST_MEMORY_BYTES = 1_500_000_000
LEAST_OPEN_FILES = 1024  # Toxiproxy needs two for each connection, Locust one for each user
MOST_BUSY = 0.5
LATEST_WAKING_S = 0.05
PORTS = 40  # sixteen arms need two each, and the servers some
LOOK_S = 0.5

_AT_REST = "End other programs first."
_QUOTA = "Raise the CPU quota of the container or the unit, or run fewer arms (--only)."


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at: whether it will do, and what was found."""

    what: str
    good: bool
    found: str
    remedy: str = ""


def examine_machine(project: Project) -> Iterator[Examined]:
    """Each finding as soon as it is there; half a second in all."""
    yield _cores()
    memory = psutil.virtual_memory().available
    yield Examined("free memory", memory >= LEAST_MEMORY_BYTES, f"{memory / 1e9:.1f} GB", _AT_REST)
    free = psutil.disk_usage(str(project.root)).free
    yield Examined("free disk", free >= LEAST_FREE_BYTES, f"{free / 1e9:.1f} GB", "Make room for reports.")
    yield from _half_a_second()
    yield _open_files()
    yield _ports()
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in PACKAGES)
    yield Examined("versions", True, f"Python {platform.python_version()}, {versions}")


def _cores() -> Examined:
    """Those that this process may use: of more, a container may have lent it a few."""
    process = psutil.Process()
    cores = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1
    remedy = f"Four arms want {LEAST_CORES} cores; run fewer with --only, and fewer --users."
    return Examined("processor cores", cores >= LEAST_CORES, f"{cores}", remedy)


def _half_a_second() -> Iterator[Examined]:
    """What can only be seen while time passes: how busy, how punctual, and whether the clocks go together."""
    machine, before = Machine(), tick()
    worst_s, until = 0.0, time.monotonic() + LOOK_S
    while (asked := time.monotonic()) < until:
        time.sleep(0.01)
        worst_s = max(worst_s, time.monotonic() - asked - 0.01)
    gauge, after = machine.gauge(), tick()
    if gauge is not None:
        yield Examined("machine at rest", gauge.busy < MOST_BUSY, f"{gauge.busy:.0%} busy", _AT_REST)
        stolen = f"{gauge.stolen:.0%} stolen by a hypervisor"
        yield Examined("processor ours", gauge.stolen <= STOLEN, stolen, "Run on a quieter machine.")
        found = "no quota" if gauge.throttled is None else f"used up in {gauge.throttled:.0%} of its periods"
        yield Examined("processor quota", (gauge.throttled or 0.0) <= THROTTLED, found, _QUOTA)
    found = f"a sleep of 10 ms ended {worst_s * 1e3:.1f} ms late at worst"
    yield Examined("punctual", worst_s < LATEST_WAKING_S, found, _AT_REST)
    drift_s = ((after.wall_ns - before.wall_ns) - (after.t - before.t)) / 1e9
    yield Examined(
        "clocks in step",
        abs(drift_s) < JUMP_S,
        f"wall against monotonic {drift_s * 1e3:+.1f} ms in {LOOK_S:g} s",
        "Wait until the clock has been set: SQLAlchemy tells the age of connections by it.",
    )


def _open_files() -> Examined:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = limit == resource.RLIM_INFINITY
    found = "no limit" if unlimited else f"{limit} for each process"
    remedy = f"Raise it, for example with ulimit -n {4 * LEAST_OPEN_FILES}."
    return Examined("open files", unlimited or limit >= LEAST_OPEN_FILES, found, remedy)


def _ports() -> Examined:
    """Whether there are as many free ports on the loopback as the largest experiment needs."""
    try:
        found = {free_port() for _ in range(PORTS)}
    except (StackError, OSError) as error:
        return Examined("free ports", False, f"{error}", "Free some: see net.ipv4.ip_local_port_range.")
    return Examined("free ports", True, f"at least {len(found)} on 127.0.0.1")
