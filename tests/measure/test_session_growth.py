"""Sessions at Postgres: do they grow with requests, level off, or can it not be told?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.measure.test_sizing import gauge
from tests.unit.plans import STEADY, scenario

from brokenpipe.history.records import PostgresGauge
from brokenpipe.measure.model.findings import Findings
from brokenpipe.report.ci.summary import summary
from brokenpipe.report.run.headline_sentences import headline_sentences

USERS = 2  # of each arm, as the plan of these tests has it

GROWING = (4, 4, 4, 11, 11, 11, 19, 19, 20, 27, 28, 29)
POOLED = (4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4)
FILLING_UP = (3, 6, 9, 11, 13, 15, 16, 17, 18, 18, 19, 19)  # twenty threads that keep a connection each
LATE = (4, 4, 4, 4, 4, 4, 4, 4, 4, 9, 15, 20)  # nothing, and then much
PROCESSES = (2, 2, 2, 4, 4, 4, 6, 6, 6, 8, 8, 8)  # four of them, each with a pool, and two users
FEW = (1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2)


def history(
    folder: Path, sessions: Sequence[int], *, requests: int = 96, fault: bool = False, most: int | None = None
) -> Findings:
    """A phase with a look at Postgres each second."""
    seconds = float(len(sessions))
    phase = {**STEADY, "seconds": seconds} | ({"fault": {"name": "latency", "ms": 5}} if fault else {})
    with Recorded(folder / "run", scenario(phase, arms=("plain",))) as run:
        run.phase("steady", [(0, seconds / 2, None), (seconds / 2, seconds, None)])
        for second, count in enumerate(sessions):
            run.gauge(
                PostgresGauge(
                    t=run.at(second + 0.5), arm="plain", connections=count, active=0, idle=count,
                    idle_in_transaction=0,
                )
            )  # fmt: skip
        if most is not None:
            run.connect("plain", 0.1)
            gauge(run, "plain", 0.2, size=most, out=1)
            run.witness(
                "plain", k="tally", t0=run.at(0.5), t=run.at(0.75), requests=1, checkouts=1, pings=0, ping_ms=0.0,
                wait_ms=0.0, waits_ms=[], held_ms=10.0, connects=0, connect_ms=0.0,
            )  # fmt: skip
        run.requests("plain", [seconds * n / requests for n in range(requests)])
        run.finish(at=seconds)
        return run.measured()


def told(findings: Findings) -> list[str]:
    return [said for said in headline_sentences(findings) if said.startswith("Sessions of")]


def test_sessions_that_grow_are_named_with_the_figures(tmp_path: Path) -> None:
    """29 where two users are, one more every three requests, and each quarter has more."""
    findings = history(tmp_path, GROWING)
    assert findings.sessions["plain", "steady"].grows is True
    (said,) = told(findings)
    assert said.startswith(
        "Sessions of plain at Postgres grow with its requests and did not level off: at most 4, 11, 20, 29 in the "
        "quarters of steady, about one more every 3 requests, while no more than 2 requests were under way at once. "
        "A longer run ends at the server's limit"
    )
    cell = summary(findings)["arms"]["plain"]["phases"]["steady"]  # type: ignore[index]
    assert cell["sessions"] == {"quarters": [4, 11, 20, 29], "grow": True}


def test_what_its_pools_may_open_is_said_beside_it(tmp_path: Path) -> None:
    """A pool that is known, and exceeded."""
    (said,) = told(history(tmp_path, GROWING, most=4))
    assert "Its pools may open 4." in said


@pytest.mark.parametrize("sessions", [POOLED, FEW], ids=["a pool", "no more than users"])
def test_sessions_that_level_off_do_not_grow(sessions: Sequence[int], tmp_path: Path) -> None:
    """At a pool's maximum, or where there are no more than requests can be under way."""
    findings = history(tmp_path, sessions)
    assert findings.sessions["plain", "steady"].grows is False
    assert told(findings) == []


@pytest.mark.parametrize(
    ("sessions", "requests"),
    [(FILLING_UP, 96), (LATE, 96), (PROCESSES, 96), (GROWING[:6], 96), (GROWING, 40)],
    ids=["filling up", "late", "several processes", "too short", "too few requests"],
)
def test_what_cannot_be_told_is_not_said(sessions: Sequence[int], requests: int, tmp_path: Path) -> None:
    """Null in the summary, and no sentence."""
    findings = history(tmp_path, sessions, requests=requests)
    assert findings.sessions["plain", "steady"].grows is None
    assert told(findings) == []


def test_below_what_its_pools_may_open_nothing_is_said(tmp_path: Path) -> None:
    """It may level off there."""
    findings = history(tmp_path, GROWING, most=30)
    assert findings.sessions["plain", "steady"].grows is None


def test_under_a_fault_nothing_is_said(tmp_path: Path) -> None:
    """Sessions that a fault has left behind at the server are not the service's."""
    findings = history(tmp_path, GROWING, fault=True)
    assert findings.sessions == {}
    assert summary(findings)["arms"]["plain"]["phases"]["steady"]["sessions"] is None  # type: ignore[index]
