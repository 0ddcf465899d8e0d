"""What `doctor` and the probe see of the machine they run on."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokenpipe.drive.doctor.machine import check_machine
from brokenpipe.drive.gauges import machine as machine_gauge
from brokenpipe.drive.gauges.machine import MachineSampler, read_clocks
from brokenpipe.plan.project import find_project

PROJECT = find_project(Path(__file__).parent)


@contextmanager
def _open_files(soft: int) -> Iterator[None]:
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def test_everything_is_looked_at() -> None:
    """Processors and who else has them, memory, disk, clocks, limits, ports and versions, with a remedy for each."""
    findings = {finding.name: finding for finding in check_machine(PROJECT)}
    assert list(findings) == [
        "processor cores", "free memory", "free disk", "machine at rest", "processor ours", "processor quota",
        "punctual", "clocks in step", "open files", "free ports", "versions",
    ]  # fmt: skip
    assert findings["clocks in step"].passed
    assert "locust" in findings["versions"].finding
    assert all(finding.remedy for what, finding in findings.items() if what not in {"free ports", "versions"})


def test_too_few_open_files_are_no_good() -> None:
    """A limit of 512 would end an experiment in the middle: it is named, with what to do."""
    with _open_files(512):
        (finding,) = (each for each in check_machine(PROJECT) if each.name == "open files")
    assert not finding.passed
    assert finding.finding == "512 for each process"
    assert "ulimit -n" in finding.remedy


def test_a_quota_that_is_used_up(tmp_path: Path, monkeypatch) -> None:
    """Of nested control groups the one that throttles most counts, since the gauge before."""
    stats = tuple(tmp_path / name for name in ("inner", "outer"))
    for stat in stats:
        stat.write_text("usage_usec 9\nnr_periods 100\nnr_throttled 10\nthrottled_usec 5\n")
    monkeypatch.setattr(machine_gauge, "_throttling_files", lambda: stats)
    machine = MachineSampler()
    stats[0].write_text("nr_periods 200\nnr_throttled 20\n")
    stats[1].write_text("nr_periods 110\nnr_throttled 14\n")
    assert _gauged(machine) == 0.4
    assert _gauged(machine) == 0.0


def test_no_quota_is_not_a_quota_of_nothing(monkeypatch) -> None:
    """Where there is none, nothing is known to be throttled, and nothing is said."""
    monkeypatch.setattr(machine_gauge, "_throttling_files", tuple)
    assert _gauged(MachineSampler()) is None


def test_a_tick_is_one_instant_on_every_clock() -> None:
    """Two ticks are as far apart on one clock as on the other, within what reading them takes."""
    before, after = read_clocks(), read_clocks()
    assert abs((after.wall_ns - before.wall_ns) - (after.t - before.t)) < 20e6


def _gauged(machine: MachineSampler) -> float | None:
    """The share of throttled periods since the last gauge, once the kernel has counted some time."""
    deadline = time.monotonic() + 5
    while (gauge := machine.sample()) is None:
        assert time.monotonic() < deadline, "no processor time passes"
    return gauge.throttled
