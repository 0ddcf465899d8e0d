"""Times of a history that are read on another clock: all of them are moved, whatever that clock shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import STEADY, scenario

from brokenpipe.history.clock_shift import shifted_copy
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.pipeline import measure

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"
HOUR_NS = 3_600 * 10**9
DAYS_NS = 400 * 24 * HOUR_NS
WALL_CLOCKS = {"wall", "wall_ns", "boot_ns"}  # what they show is no time of the monotonic clock


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """Every whole number of a line, with its key, in order."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, key)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _failing(folder: Path) -> None:
    """A history in which an error, a stall and a checkout have times of their own."""
    with Recorded(folder, scenario(STEADY)) as run:
        run.base += DAYS_NS  # no other number of a record is as large
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        times = {"t": run.at(0.7), "began": run.at(0.6), "handed": run.at(0.55)}
        run.request("plain", 0.5, errors=[error("statement", RESET) | times])
        run.finish()


def test_every_time_is_moved(tmp_path: Path) -> None:
    """Whatever stands near the line's own time is a time, and moves with it; nothing else does."""
    _failing(tmp_path / "failing")
    kinds = set()
    for path in [*SAMPLE.glob("*.ndjson"), *(tmp_path / "failing").glob("*.ndjson")]:
        before = _lines(path)
        after = _lines(shifted_copy(path, DAYS_NS, tmp_path))
        for line, shifted in zip(before, after, strict=True):
            if line["k"] == "clock":
                assert shifted == line | {"t": line["t"] + DAYS_NS}
                continue
            now = line.get("t", line.get("t0"))
            for (key, old), (_, new) in zip(_numbers(line), _numbers(shifted), strict=True):
                is_time = now is not None and key not in WALL_CLOCKS and abs(old - now) < HOUR_NS
                assert new - old == (DAYS_NS if is_time else 0), f"{path.name}: {key} of {line['k']}"
                kinds |= {key} if is_time else set()
    assert {"t", "t0", "t1", "strike", "began", "began_t", "handed"} <= kinds


def test_a_time_before_the_clock_began_is_moved(tmp_path: Path) -> None:
    """There and back again, across zero."""
    (line,) = [{"k": "start", "t": 5, "arm": "plain", "id": "u", "name": "GET /"}]
    path = tmp_path / "requests.ndjson"
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    (tmp_path / "there").mkdir()
    (tmp_path / "back").mkdir()
    there = shifted_copy(path, -9_000, tmp_path / "there")
    assert _lines(there)[0]["t"] == -8_995
    assert _lines(shifted_copy(there, 9_000, tmp_path / "back")) == [line]


def _comparable(findings: Findings) -> Any:
    """Everything but what a clock's digits themselves make: the wall clock's date and the size of the files."""
    found = asdict(findings) | {"started": None}
    found["health"]["history_bytes"] = None
    return _rounded(found)


def _rounded(value: Any) -> Any:
    """Sums of floats, added up in any order, agree in ten digits."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def _sample_on_a_clock(folder: Path, first_ns: int) -> Findings:
    """The sample's findings, had its machine's clock shown this at its begin."""
    opening = _lines(SAMPLE / "experiment.ndjson")[0]["t"]
    folder.mkdir()
    for path in SAMPLE.iterdir():
        if path.suffix == ".ndjson":
            shifted_copy(path, first_ns - opening, folder)
        else:
            shutil.copy(path, folder)
    return measure(folder)


@pytest.mark.parametrize(
    "first_ns", [1, HOUR_NS, DAYS_NS], ids=["booted just now", "an hour ago", "a year ago"]
)
def test_findings_do_not_depend_on_how_long_a_machine_is_up(tmp_path: Path, first_ns: int) -> None:
    """The same history says the same, wherever the clock stood when it was recorded."""
    here, there = measure(SAMPLE), _sample_on_a_clock(tmp_path / "there", first_ns)
    assert _comparable(there) == _comparable(here)
