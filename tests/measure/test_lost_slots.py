"""Connections that never come back: which are lost, which come back late, and what cannot be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded
from tests.measure.test_request_time import checkout
from tests.unit.plans import STEADY, scenario

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.lost_slots import LostSlot, LostSlots
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report.ci.summary import summary

PLACE = ("plain", "steady")


@pytest.fixture
def run(tmp_path: Path) -> Recorded:
    """A phase of 20 s, in which no connection is to be lost."""
    expected = {"arm": "plain", "phase": "steady", "metric": "slots_lost", "equals": 0}
    recorded = Recorded(tmp_path / "run", scenario(STEADY, arms=("plain",), expect=[expected]))
    recorded.phase("steady", [(0, 10, None), (10, 20, None)])
    recorded.connect("plain", 0.1)
    return recorded


def keep_one(run: Recorded, arm: str, at: float, **more: Any) -> str:
    """A request of 100 ms that does not give back what it took."""
    taken = checkout(run, at, held_ms=None)
    return run.request(arm, at, 100, checkouts=[taken], testimony={"unreturned": 1}, **more)


def keep(
    run: Recorded, at: float, *, back_after: float | None = None, collected: bool = False, **more: Any
) -> str:
    """Such a request; `back_after` its end, the connection comes back."""
    request = keep_one(run, "plain", at, **more)
    if back_after is not None:
        run.witness(
            "plain", k="returned", t=run.at(at + 0.1 + back_after), id=request, port=40_000, of=1,
            handed=run.at(at), ms=back_after * 1000, collected=collected,
        )  # fmt: skip
    return request


def measured(run: Recorded) -> Findings:
    with run:
        run.finish(at=20)
    return run.measured()


def test_what_never_came_back_is_lost(run: Recorded) -> None:
    """By the name of the request that took it, with one as an example; the check fails."""
    first = keep(run, 2)
    keep(run, 5)
    keep(run, 5, name="GET /stream")
    run.request("plain", 3, 100, checkouts=[checkout(run, 3)], testimony={"unreturned": 0})
    findings = measured(run)
    found = findings.cell(*PLACE).lost_slots
    assert found is not None
    assert (found.count, found.collected) == (3, 0)
    assert found.by_request == {"POST /chat": 2, "GET /stream": 1}
    assert found.example is not None
    assert found.example == LostSlot("POST /chat", first, 40_000, None, found.example.out_s)
    assert found.example.out_s == pytest.approx(17.9)
    (check,) = findings.checks
    assert (check.verdict, check.value) == (Verdict.FAIL, 3.0)
    assert check.text.startswith("plain, steady: 3 connections never given back by the service, expected")
    assert summary(findings)["arms"]["plain"]["phases"]["steady"]["slots_lost"] == 3  # type: ignore[index]


def test_what_was_lost_before_a_phase_is_lost_in_it(tmp_path: Path) -> None:
    """In the load that leads in to it; a pool that is empty when a phase begins was emptied by somebody."""
    run = Recorded(tmp_path / "run", scenario(STEADY, {**STEADY, "name": "again"}, arms=("plain",)))
    run.phase("steady", [(2, 4, None)])
    run.phase("again", [(6, 20, None)])
    run.connect("plain", 0.1)
    for at in (1, 3, 5, 7):
        keep(run, at)
    run.requests("plain", [3, 7])
    cells = measured(run).cells
    counts = {phase: cells["plain", phase].lost_slots_count for phase in ("steady", "again")}
    assert counts == {"steady": 2, "again": 2}


def test_what_comes_back_late_is_not_lost(run: Recorded) -> None:
    """A task in the background gives back after 4 s: others of its kind may be about to, when the run ends."""
    keep(run, 2, back_after=4)
    keep(run, 13)  # out for 6.9 s at the end, less than twice as long
    assert measured(run).cell(*PLACE).lost_slots == LostSlots(0)
    assert [check.verdict for check in run.measured().checks] == [Verdict.PASS]


def test_what_is_out_for_much_longer_than_others_is_lost(run: Recorded) -> None:
    """More than twice as long as the latest that came back."""
    keep(run, 2, back_after=4)
    keep(run, 11)
    found = measured(run).cell(*PLACE).lost_slots
    assert found is not None
    assert found.count == 1


def test_what_was_taken_last_is_not_called_lost(run: Recorded) -> None:
    """Within two seconds of the end nothing can be told of it."""
    keep(run, 18.5)
    assert measured(run).cell(*PLACE).lost_slots == LostSlots(0)


def test_what_only_the_garbage_collector_gave_back_is_lost(run: Recorded) -> None:
    """The service had forgotten it; that it came back says nothing about the next one."""
    request = keep(run, 2, back_after=3, collected=True)
    found = measured(run).cell(*PLACE).lost_slots
    assert found is not None
    assert (found.count, found.collected) == (1, 1)
    assert found.example is not None
    assert found.example.id == request
    assert found.example.out_s == pytest.approx(3.0)


def test_what_comes_back_after_the_run_did_not_in_it(run: Recorded) -> None:
    """A service that is ended may give back everything."""
    keep(run, 2, back_after=30)
    found = measured(run).cell(*PLACE).lost_slots
    assert found is not None
    assert (found.count, found.collected) == (1, 0)


def test_in_an_old_history_it_is_not_known(run: Recorded) -> None:
    """There a connection did not tell when it came back; the check is undecided."""
    run.request("plain", 2, 100, checkouts=[checkout(run, 2, held_ms=None)])
    findings = measured(run)
    assert findings.cell(*PLACE).lost_slots is None
    assert [check.verdict for check in findings.checks] == [Verdict.UNKNOWN]
    assert summary(findings)["arms"]["plain"]["phases"]["steady"]["slots_lost"] is None  # type: ignore[index]


def test_without_requests_it_is_not_known(tmp_path: Path) -> None:
    """A pool whose requests are not seen."""
    run = Recorded(tmp_path / "run", scenario(STEADY, arms=("plain",)))
    run.phase("steady", [(0, 20, None)])
    run.connect("plain", 0.1)
    run.request("plain", 2, 100)
    assert measured(run).cell(*PLACE).lost_slots is None
