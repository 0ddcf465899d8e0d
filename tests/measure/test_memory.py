"""Memory over time: what leaks is told from what only warms up, and from noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, scenario

from brokenpipe.history import records
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ProcessMemory
from brokenpipe.report.run import memory as told

MB = 1e6
Curve = Callable[[float], float]  # from seconds since the begin to megabytes

CURVES: dict[str, tuple[Curve, bool]] = {
    "flat": (lambda _: 100.0, False),
    "noise": (lambda at: 100.0 + 12.0 * math.sin(at), False),
    "a leak": (lambda at: 100.0 + at / 60, True),
    "a leak in steps, as allocators have": (lambda at: 100.0 + 8 * (at // 240), True),
    "a leak under noise": (lambda at: 100.0 + at / 60 + 3 * math.sin(at), True),
    "a cache that fills": (lambda at: 100.0 + 60 * (1 - math.exp(-at / 300)), False),
    "a little": (lambda at: 100.0 + at / 600, False),
    "a little of much": (lambda at: 1000.0 + at / 60, False),
    "once": (lambda at: 100.0 if at < 900 else 180.0, False),
    "shrinking": (lambda at: 200.0 - at / 60, False),
}


def _recorded(folder: Path, curve: Curve, *, seconds: int = 1800) -> Findings:
    with Recorded(folder, scenario(STEADY)) as run:
        run.phase("steady", [(1, 3, None), (3, 5, None)])
        for n, at in enumerate(range(0, seconds, 5)):
            held = round(curve(at) * MB)
            run.gauge(
                records.ProcessGauge(run.at(at), "load", None, 0.0, 3 * held, held if n % 2 == 0 else None)
            )
            run.gauge(records.ProcessGauge(run.at(at), "target", "plain", 0.0, held))
        run.finish(at=seconds)
    return run.measured()


def _of(findings: Findings, role: str) -> ProcessMemory:
    (one,) = (each for each in findings.health.memory if each.role == role)
    return one


@pytest.mark.parametrize("name", CURVES)
def test_what_grows(tmp_path: Path, name: str) -> None:
    """Half an hour of each kind of curve: only what goes on growing is doubted, and said to be a note."""
    curve, grows = CURVES[name]
    found = _recorded(tmp_path, curve)
    assert [each.grew for each in found.health.memory] == [grows, grows]
    doubted = [(each.arm, each.unknown) for each in found.warnings if each.code == "memory_grew"]
    assert doubted == ([(None, False), ("plain", False)] if grows else [])


def test_the_figures_are_those_of_five_minutes_and_of_the_end(tmp_path: Path) -> None:
    """A megabyte a minute: 105 after five minutes, 130 after thirty; the text says both."""
    found = _recorded(tmp_path, CURVES["a leak"][0])
    load = _of(found, "load")
    assert load.early_bytes == pytest.approx(105 * MB, rel=0.01)
    assert load.end_bytes == pytest.approx(130 * MB, rel=0.01)
    (text,) = (each.text for each in found.warnings if each.code == "memory_grew" and each.arm is None)
    assert "memory of load grew from 105" in text
    assert told.memory_rows(found)[0].said.endswith("still growing")
    assert told.describe_memory(found)[0].startswith("load 105")


def test_shared_pages_are_left_out_where_that_is_known(tmp_path: Path) -> None:
    """Resident memory counts them for each process: three times as much, and it is used only where nothing else is."""
    found = _recorded(tmp_path, CURVES["flat"][0])
    assert _of(found, "load").private
    assert not _of(found, "target").private
    assert {each.end_bytes for each in found.health.memory} == {100 * MB}


def test_a_short_run_is_not_judged(tmp_path: Path) -> None:
    """Before ten minutes nobody can tell a leak from a warm-up: the curve is shown, and that is all."""
    found = _recorded(tmp_path, CURVES["a leak"][0], seconds=580)
    assert [(each.grew, each.early_bytes) for each in found.health.memory] == [(None, None)] * 2
    assert told.describe_memory(found) == ()
    assert len(told.memory_rows(found)) == 2
