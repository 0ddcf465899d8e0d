"""Writes, counted: what clients were told, against what the database holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.measure.model.write_counts import WriteCounts

Write = Callable[..., str]
NONE_LOST = {"arm": "plain", "phase": "steady", "metric": "lost", "equals": 0}


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Any]:
    """A run of one arm with 4 s of steady load; what is written inside of the block is measured after it."""

    @contextmanager
    def record(*expect: dict[str, Any]) -> Iterator[Recorded]:
        with Recorded(tmp_path / "run", scenario(STEADY, arms=("plain",), expect=expect)) as run:
            run.phase("steady", [(10, 12, None), (12, 14, None)])
            yield run
            run.finish()

    return record


def _verdict(found: Findings, metric: str) -> Verdict:
    return next(check.verdict for check in found.checks if check.metric == metric)


def _wrong(found: Findings) -> dict[str, list[str]]:
    """The keys of the examples of each kind."""
    wrong: dict[str, list[str]] = {}
    for each in found.ledger["plain"].examples:
        wrong.setdefault(each.what, []).append(each.key)
    return wrong


def test_every_write_is_in_one_place(recording) -> None:
    """Told yes, no or nothing, and there never, once or twice: each of the nine is counted as what it is."""
    with recording(NONE_LOST) as run:
        for told, how in {
            "yes": {},
            "no": {"status": 500, "failure": "status"},
            "nothing": {"status": 0, "failure": "transport"},
        }.items():
            for count in range(3):
                run.request("plain", 11, key=f"{told} {count}", **how)
        held = {f"{told} {count}": count for told in ("yes", "no", "nothing") for count in (1, 2)}
        run.ledger("plain", held)
        found = run.measured()
    assert found.ledger["plain"].by_phase == {
        "steady": WriteCounts(acknowledged=3, refused=3, unanswered=3, lost=1, unacknowledged=4, doubled=3)
    }
    assert found.cell("plain", "steady").writes == found.ledger["plain"].total
    assert _wrong(found) == {
        "lost": ["yes 0"],
        "doubled": ["yes 2", "no 2", "nothing 2"],
        "unacknowledged": ["no 1", "nothing 1"],
    }
    assert _verdict(found, "lost") is Verdict.FAIL


def test_a_request_without_an_end_is_a_write_without_an_answer(recording) -> None:
    """Whether it was cut off by the end of the run or never answered: its client does not know."""
    with recording() as run:
        run.request("plain", 11, None, key="cut")
        run.ledger("plain", {"cut": 1})
        found = run.measured()
    assert found.ledger["plain"].total == WriteCounts(unanswered=1, unacknowledged=1)
    assert found.ledger["plain"].never_asked_for == 0


def test_a_client_that_asks_again_asks_for_the_same_write(recording) -> None:
    """Two requests with one key are one write: acknowledged if either was, doubled if both were carried out."""
    with recording() as run:
        run.request("plain", 10.5, status=500, failure="status", key="once")
        run.request("plain", 11, key="once")
        run.request("plain", 10.5, status=0, failure="timeout", key="twice")
        run.request("plain", 11, key="twice")
        run.ledger("plain", {"once": 1, "twice": 2})
        found = run.measured()
    assert found.ledger["plain"].total == WriteCounts(acknowledged=2, doubled=1)


def test_what_was_there_before_does_not_count(recording) -> None:
    """Seeded rows are no writes of this run; what nobody asked for and came meanwhile is named."""
    with recording(NONE_LOST) as run:
        run.request("plain", 11, key="asked")
        run.ledger(
            "plain",
            {"seed": 3, "asked": 1, "stranger": 1, None: 2, "reused": 1},
            begin={"seed": 3, None: 1, "reused": 1},
        )
        run.request("plain", 11.5, key="reused")
        found = run.measured()
    assert found.ledger["plain"].never_asked_for == 2
    assert _wrong(found) == {"never asked for": ["(no key)", "stranger"], "lost": ["reused"]}


def test_writes_belong_to_the_phase_in_which_they_were_first_asked_for(recording) -> None:
    """And those between phases to none: counted, and where losses are allowed left to a doubt."""
    with recording({"arm": "plain", "phase": "steady", "metric": "lost", "at_most": 3}) as run:
        run.request("plain", 5, key="warm-up")
        run.request("plain", 13.9, 50, status=500, failure="status", key="late")
        run.request("plain", 14.5, key="late")
        run.ledger("plain", {"late": 1})
        found = run.measured()
    assert found.ledger["plain"].by_phase == {
        "": WriteCounts(acknowledged=1, lost=1),
        "steady": WriteCounts(acknowledged=1),
    }
    assert "lost_between_phases" in {warning.code for warning in found.warnings if warning.unknown}


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("server closed the connection", "could not be read after the last phase: server closed"),
        (None, "was not read before the first request: the experiment ended before"),
        (
            {"A-1": 1, "A-2": 1},
            "clients sent keys such as a-1, `ledger` in target.toml gives keys such as A-1",
        ),
    ],
    ids=["unreadable", "cut off", "other keys"],
)
def test_a_ledger_that_is_not_known_decides_nothing(recording, held: Any, words: str) -> None:
    """What rests on it is unknown, and the report says why."""
    with recording(NONE_LOST) as run:
        run.request("plain", 11, key="a-1")
        run.request("plain", 11, key="a-2")
        if held is None:
            run.ledger("other", {})
        else:
            run.ledger("plain", held)
        found = run.measured()
    assert words in found.ledger["plain"].unread
    assert found.ledger["plain"].total == WriteCounts()
    assert _verdict(found, "lost") is Verdict.UNKNOWN
    assert [warning.code for warning in found.warnings if "ledger" in warning.code] == ["ledger_unknown"]


def test_without_keys_nothing_is_known(recording) -> None:
    """A locustfile that sends no Idempotency-Key cannot be compared with anything, and loses nothing by it."""
    with recording(NONE_LOST) as run:
        run.request("plain", 11)
        run.ledger("plain", {"x": 1})
        found = run.measured()
    assert "no request carried the header Idempotency-Key" in found.ledger["plain"].unread
    assert _verdict(found, "lost") is Verdict.UNKNOWN


def test_a_phase_without_writes_keeps_no_promise(recording) -> None:
    """Nothing can be lost where nothing was asked for: that is no pass."""
    with recording(NONE_LOST) as run:
        run.request("plain", 11)
        run.request("plain", 15, key="later")
        run.ledger("plain", {"later": 1})
        found = run.measured()
    assert _verdict(found, "lost") is Verdict.UNKNOWN


def test_a_lost_write_fails_a_run_that_expects_nothing_of_it(recording) -> None:
    """Unless the scenario itself says how many may be."""
    failed = {"arm": "plain", "phase": "steady", "metric": "failed", "equals": 0}
    with recording(failed) as run:
        run.request("plain", 11, key="gone")
        run.request("plain", 11, key="there")
        run.ledger("plain", {"there": 1})
        found = run.measured()
    assert {check.metric: check.verdict for check in found.checks} == {
        "failed": Verdict.PASS,
        "lost": Verdict.FAIL,
    }
    assert found.verdict is Verdict.FAIL


def test_a_target_without_a_ledger_has_no_books(recording) -> None:
    """And nothing is said about writes."""
    with recording() as run:
        run.request("plain", 11, key="x")
        found = run.measured()
    assert found.ledger == {}
    assert found.cell("plain", "steady").writes is None


def test_a_write_that_is_lost_between_phases_is_lost(recording) -> None:
    """It belongs to no phase, and fails the run all the same."""
    with recording(NONE_LOST) as run:
        run.request("plain", 5, key="warm-up")
        run.request("plain", 14.5, key="steady")
        run.ledger("plain", {"steady": 1})
        found = run.measured()
    (between,) = (check for check in found.checks if check.phase == "between phases")
    assert (between.verdict, between.value) == (Verdict.FAIL, 1)
    assert found.verdict is Verdict.FAIL
    assert "lost_between_phases" not in {warning.code for warning in found.warnings}


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (Code.GENERATOR_STARVED, Verdict.FAIL),
        (Code.TOXIPROXY_DIED, Verdict.FAIL),
        (Code.WITNESS_TROUBLE, Verdict.FAIL),
        (Code.POSTGRES_DIED, Verdict.UNKNOWN),
        (Code.LEDGER_NOT_SETTLED, Verdict.UNKNOWN),
    ],
)
def test_a_lost_write_is_lost_whatever_else_is_in_doubt(recording, code: Code, verdict: Verdict) -> None:
    """109 of 402 acknowledged writes are missing: only a doubt about the database itself can take that back."""
    with recording() as run:
        for n in range(402):
            run.request("plain", 10 + n / 110, 5, key=f"k{n}")
        run.ledger("plain", {f"k{n}": 1 for n in range(109, 402)})
        run.experiment(records.RecordedDoubt.of(code, "something else went wrong"))
        found = run.measured()
    (lost,) = (check for check in found.checks if check.metric == "lost")
    assert (lost.verdict, lost.value) == (verdict, 109)
    assert found.verdict is verdict
    assert "plain, steady: 109 acknowledged writes missing, expected exactly 0" in lost.text


def test_a_timeline_that_was_played_twice(tmp_path: Path) -> None:
    """Histories of before count its episodes from 0 twice. All are counted, and a table and the ledger agree.

    So do the strikes: four that nobody watched are four.
    """
    plan = scenario(KILL, arms=("plain",))
    with Recorded(tmp_path / "run", plan) as run:
        run.phase("kill", [(10, 11, 10.5), (11, 12, 11.5)])
        run.phase("kill", [(20, 21, 20.5), (21, 22, 21.5)])
        for at in (10.2, 11.2, 20.2, 21.2):
            run.request("plain", at, key=f"key {at}")
        run.ledger("plain", {f"key {at}": 1 for at in (10.2, 11.2, 20.2)})
        run.finish()
    found = run.measured()
    cell = found.cell("plain", "kill")
    assert (cell.requests, cell.episodes) == (4, 4)
    assert found.ledger["plain"].by_phase["kill"] == WriteCounts(acknowledged=4, lost=1)
    unseen = next(each.text for each in found.warnings if each.code == Code.FAULT_DID_NOT_LAND)
    assert "4 of 4" in unseen
