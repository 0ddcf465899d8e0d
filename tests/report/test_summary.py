"""`summary.json`, read the way a stranger's program reads it: strictly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report import samples
from tests.report.summary_schema import Summary

from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report.ci.summary import summary, write_summary


@pytest.mark.parametrize("name", samples.EVERY)
def test_every_summary_follows_the_schema(name: str, tmp_path: Path) -> None:
    """What is written is JSON of exactly the fixed fields and types, whatever the experiment was like."""
    path = tmp_path / "summary.json"
    write_summary(samples.EVERY[name](), path)
    Summary.model_validate_json(path.read_text())
    assert [each.name for each in tmp_path.iterdir()] == ["summary.json"], "no temporary file stays behind"


def test_totals_are_the_sums_of_the_phases() -> None:
    """An arm's requests and failures are those of its phases together."""
    found = samples.default()
    arm = Summary.model_validate(summary(found)).arms["recycle"]
    assert arm.requests == sum(phase.requests for phase in arm.phases.values())
    assert arm.failed == sum(phase.failed for phase in arm.phases.values())
    assert arm.failed > sum(phase.broken or 0 for phase in arm.phases.values()) > 0, (
        "not every failure is a disconnect"
    )
    assert list(arm.phases) == [phase.name for phase in found.phases]


def test_what_is_not_a_number_becomes_null(tmp_path: Path) -> None:
    """JSON has no word for NaN or infinity: a value that is none is null, not a file nobody can parse."""
    found = samples.default()
    check = replace(found.checks[0], value=float("nan"), verdict=Verdict.UNKNOWN)
    path = tmp_path / "summary.json"
    write_summary(replace(found, checks=(check,), duration_s=float("inf")), path)
    read = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} in the file"))
    assert read["checks"][0]["value"] is None
    assert read["duration_s"] is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """When the file cannot be put in its place, nothing changes and no temporary file stays behind."""
    taken = tmp_path / "summary.json"
    taken.mkdir()
    with pytest.raises(OSError, match=r"summary\.json"):
        write_summary(samples.default(), taken)
    assert list(tmp_path.iterdir()) == [taken]
