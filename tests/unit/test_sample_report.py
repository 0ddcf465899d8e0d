"""The committed sample: a history of another day, from another machine, that must still be read the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brokenpipe.measure.pipeline import measure
from brokenpipe.report.ci.summary import summary

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"

MEANS_ANOTHER = ".recovery_s"  # was the end of the last broken request: docs/decisions/0166


def flat(value: object, key: str = "") -> dict[str, object]:
    """Every leaf of a JSON document by its path, so that a difference names where it is."""
    if isinstance(value, dict):
        return {leaf: x for name, part in value.items() for leaf, x in flat(part, f"{key}.{name}").items()}
    if isinstance(value, list):
        return {leaf: x for n, part in enumerate(value) for leaf, x in flat(part, f"{key}[{n}]").items()}
    return {key: value}


def same(one: object, other: object) -> bool:
    """Equal; for measured numbers, but for the last digits: seven of a latency are kept."""
    return one == (pytest.approx(other, rel=1e-6, abs=1e-5) if isinstance(other, float) else other)


def test_an_old_history_still_says_what_it_said() -> None:
    """Measured again, the sample gives every figure of the summary that was written when it was recorded."""
    now = flat(json.loads(json.dumps(summary(measure(SAMPLE)))))
    then = flat(json.loads((SAMPLE / "summary.json").read_text()))
    then = {key: value for key, value in then.items() if not key.partition("[")[0].endswith(MEANS_ANOTHER)}
    assert then.keys() <= now.keys()  # fields are added, never renamed
    assert {key: (value, now[key]) for key, value in then.items() if not same(now[key], value)} == {}


def test_the_sample_shows_what_it_is_for() -> None:
    """It passed, and its plain arm was broken where pre-ping's was not."""
    findings = measure(SAMPLE)
    assert findings.verdict == "pass"
    assert findings.cell("plain", "idle_reset").broken > 0
    assert findings.cell("pre_ping", "idle_reset").broken == 0
