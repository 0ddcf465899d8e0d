"""`doctor` for the machine: processors, memory, clocks, ports, limits and versions."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from brokenpipe.drive.gauges.machine import MachineSampler, read_clocks
from brokenpipe.drive.run_folder import installed_versions
from brokenpipe.errors import StackError
from brokenpipe.history.validity_codes.machine import JUMP_S, STOLEN, THROTTLED
from brokenpipe.plan.project import Project
from brokenpipe.stack.processes.ports import free_port

MIN_CORES = 2
MIN_FREE_BYTES = 1_000_000_000
MIN_MEMORY_BYTES = 1_500_000_000
MIN_OPEN_FILES = 1024  # Toxiproxy needs two for each connection, Locust one for each user
MAX_BUSY = 0.5
MAX_WAKE_DELAY_S = 0.05
PORTS = 40  # sixteen arms need two each, and the servers some
TIMING_S = 0.5

_END_OTHER_PROGRAMS = "End other programs first."
_QUOTA = "Raise the CPU quota of the container or the unit, or run fewer arms (--only)."


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check: whether it passed, and what was found."""

    name: str
    passed: bool
    finding: str
    remedy: str = ""


def check_machine(project: Project) -> Iterator[CheckResult]:
    """Each result as soon as it is known; half a second in all."""
    yield _check_cores()
    memory = psutil.virtual_memory().available
    yield CheckResult(
        "free memory", memory >= MIN_MEMORY_BYTES, f"{memory / 1e9:.1f} GB", _END_OTHER_PROGRAMS
    )
    free = psutil.disk_usage(str(_existing(project.reports))).free
    yield CheckResult("free disk", free >= MIN_FREE_BYTES, f"{free / 1e9:.1f} GB", "Make room for reports.")
    yield from _check_timing()
    yield _check_open_files()
    yield _check_ports()
    versions = ", ".join(f"{package} {version}" for package, version in installed_versions().items())
    yield CheckResult("versions", True, f"Python {platform.python_version()}, {versions}")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)


def _check_cores() -> CheckResult:
    """The cores that this process may use, which in a container may be fewer than the machine has."""
    process = psutil.Process()
    cores = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1
    remedy = f"Four arms want {MIN_CORES} cores; run fewer with --only, and fewer --users."
    return CheckResult("processor cores", cores >= MIN_CORES, f"{cores}", remedy)


def _check_timing() -> Iterator[CheckResult]:
    """Checks that take a while: how busy, how punctual, and whether the clocks agree."""
    machine, before = MachineSampler(), read_clocks()
    worst_s, until = 0.0, time.monotonic() + TIMING_S
    while (asked := time.monotonic()) < until:
        time.sleep(0.01)
        worst_s = max(worst_s, time.monotonic() - asked - 0.01)
    gauge, after = machine.sample(), read_clocks()
    if gauge is not None:
        yield CheckResult(
            "machine at rest", gauge.busy < MAX_BUSY, f"{gauge.busy:.0%} busy", _END_OTHER_PROGRAMS
        )
        stolen = f"{gauge.stolen:.0%} stolen by a hypervisor"
        yield CheckResult("processor ours", gauge.stolen <= STOLEN, stolen, "Run on a quieter machine.")
        finding = (
            "no quota" if gauge.throttled is None else f"used up in {gauge.throttled:.0%} of its periods"
        )
        yield CheckResult("processor quota", (gauge.throttled or 0.0) <= THROTTLED, finding, _QUOTA)
    finding = f"a sleep of 10 ms ended {worst_s * 1e3:.1f} ms late at worst"
    yield CheckResult("punctual", worst_s < MAX_WAKE_DELAY_S, finding, _END_OTHER_PROGRAMS)
    drift_s = ((after.wall_ns - before.wall_ns) - (after.t - before.t)) / 1e9
    yield CheckResult(
        "clocks in step",
        abs(drift_s) < JUMP_S,
        f"wall against monotonic {drift_s * 1e3:+.1f} ms in {TIMING_S:g} s",
        "Wait until the clock has been set: SQLAlchemy tells the age of connections by it.",
    )


def _check_open_files() -> CheckResult:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = limit == resource.RLIM_INFINITY
    finding = "no limit" if unlimited else f"{limit} for each process"
    remedy = f"Raise it, for example with ulimit -n {4 * MIN_OPEN_FILES}."
    return CheckResult("open files", unlimited or limit >= MIN_OPEN_FILES, finding, remedy)


def _check_ports() -> CheckResult:
    """Check that the loopback has as many free ports as the largest experiment needs."""
    try:
        ports = {free_port() for _ in range(PORTS)}
    except (StackError, OSError) as error:
        return CheckResult("free ports", False, f"{error}", "Free some: see net.ipv4.ip_local_port_range.")
    return CheckResult("free ports", True, f"at least {len(ports)} on 127.0.0.1")
