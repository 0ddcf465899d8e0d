"""Which requests count, in which episode, and what is known where a witness saw them, and where none did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.errors import ReportError
from brokenpipe.history import reader, records
from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.measure.pipeline import measure

NO_FAILURE = {"arm": "plain", "phase": "steady", "metric": "failed", "equals": 0}


@pytest.fixture
def calm(tmp_path: Path) -> Iterator[Recorded]:
    """Two arms, one phase of two blocks: 2 to 4 s and 4 to 6 s. A request each at 3 s and 5 s, and one at 9 s."""
    with Recorded(tmp_path / "run", scenario(STEADY, expect=[NO_FAILURE])) as recorded:
        recorded.phase("steady", [(2, 4, None), (4, 6, None)])
        for arm in ("plain", "pre_ping"):
            recorded.requests(arm, [3, 5, 9])
        recorded.finish()
        yield recorded


def _plain(findings: Findings) -> ArmPhaseStats:
    return findings.cell("plain", "steady")


def test_requests_belong_to_the_episode_of_their_start(calm: Recorded) -> None:
    """A request that began in an episode belongs to it, however long it took; an edge belongs to what follows it."""
    calm.request("plain", 3.99, ms=900)  # ends in the second episode
    calm.request("plain", 5.99, ms=900)  # ends after the phase
    calm.request("plain", 4.0)  # the first instant of the second
    findings = calm.measured()
    assert _plain(findings).requests == 2 + 3
    assert _plain(findings).episodes == 2
    assert findings.cell("pre_ping", "steady").requests == 2
    assert (findings.finished, findings.verdict) == ("done", Verdict.PASS)


def test_what_lies_outside_does_not_count(calm: Recorded) -> None:
    """Before the first episode, between phases and after the last, requests are made but not counted, even failed."""
    for at in (0.5, 1.99, 6.0, 8):
        calm.request("plain", at, errors=[error("statement", RESET, dead=True)])
    findings = calm.measured()
    assert _plain(findings).requests == 2
    assert _plain(findings).failed == 0
    assert findings.failures == ()


def test_a_lead_in_does_not_count(tmp_path: Path) -> None:
    """An episode that does not count is a lead-in: its requests are in no cell."""
    with Recorded(tmp_path, scenario(STEADY)) as recorded:
        recorded.phase("steady", [(0, 2, None)], counts=False)
        recorded.phase("steady", [(2, 4, None), (4, 6, None)])
        recorded.requests("plain", [1, 1.5, 3, 5])
        recorded.finish()
    cell = _plain(measure(tmp_path))
    assert (cell.requests, cell.episodes) == (2, 2)


def test_no_answer_within_the_time_limit_has_failed(calm: Recorded) -> None:
    """A request without an end failed if it could have ended (the limit is 1 s), and else says nothing."""
    calm.request("plain", 5.5, ms=None)  # the log goes on until 9.05 s
    cell = _plain(calm.measured())
    assert (cell.requests, cell.failed, cell.broken) == (3, 1, 0)
    assert cell.failed_by_class == {"no answer in time": 1}


def test_cut_off_by_the_end_is_no_failure(tmp_path: Path) -> None:
    """A request that was under way when the log ended, within its limit, is neither started nor failed."""
    with Recorded(tmp_path, scenario(STEADY)) as recorded:
        recorded.phase("steady", [(2, 4, None), (4, 6, None)])
        recorded.request("plain", 4.9, ms=None)  # 1.1 s before the log's last line: over the limit of 1 s
        recorded.request("plain", 5.1, ms=None)  # 0.9 s before it
        recorded.request("plain", 5.95, ms=50)
        recorded.finish()
    cell = _plain(measure(tmp_path))
    assert (cell.requests, cell.failed) == (2, 1)


def test_a_large_history_says_what_it_would_say_if_it_were_small(
    calm: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large ones are read into a database on disk: every finding is the same."""
    calm.request("plain", 5.5, ms=None)
    calm.request("pre_ping", 8.9, ms=None)
    calm.request("plain", 3.2, failure="status", status=500)
    calm.connect("plain", 1)
    small = calm.measured()
    assert (_plain(small).requests, _plain(small).failed) == (4, 2)
    monkeypatch.setattr(reader, "SMALL_BYTES", 0)
    assert calm.measured() == small
    sample = Path(__file__).parents[2] / "reports" / "sample"
    large = measure(sample)
    monkeypatch.undo()
    assert _rounded(asdict(large)) == _rounded(asdict(measure(sample)))


def _rounded(found: Any) -> Any:
    """In what order a database adds up is its own affair, and shows in the last digits."""
    if isinstance(found, float):
        return float(f"{found:.9g}")
    if isinstance(found, dict):
        return {key: _rounded(value) for key, value in found.items()}
    return [_rounded(each) for each in found] if isinstance(found, list | tuple) else found


@pytest.mark.parametrize("large", [False, True])
def test_a_history_that_does_not_fit_is_an_error_that_says_so(
    calm: Recorded, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Without enough memory the error names the folder and what it takes; nothing is measured by halves."""
    monkeypatch.setattr(reader, "MEMORY", "1MB")
    if large:
        monkeypatch.setattr(reader, "SMALL_BYTES", 0)
    with pytest.raises(ReportError, match="the history cannot be read") as caught:
        calm.measured()
    assert "1MB of memory" in caught.value.remedy


def test_a_torn_last_line_is_dropped(calm: Recorded) -> None:
    """A line that a kill cut in two changes nothing about those before it, in any file."""
    calm.connect("plain", 1)
    before = calm.measured()
    torn = {
        "requests.ndjson": b'{"k":"end","t":123,"arm":"pla',
        "experiment.ndjson": b'{"k":"episode","phase":"steady","n":7,"t0":1',
        "nemesis.ndjson": b'{"k":"landing","t":',
        "gauges.ndjson": b'{"k":"process","t":1,"role":"lo',
        "witness-plain-77.ndjson": '{"k":"request","id":"Ü'.encode()[:-1],
    }
    for name, line in torn.items():
        with (calm.folder / name).open("ab") as file:
            file.write(line)
    after = calm.measured()
    assert replace(after, health=replace(after.health, history_bytes=before.health.history_bytes)) == before


def test_a_torn_line_in_the_middle_takes_no_other_with_it(calm: Recorded) -> None:
    """A disk that was full for a moment leaves half a line; what was written after it counts."""
    with (calm.folder / "requests.ndjson").open("ab") as file:
        file.write(b'{"k":"start","t":1,"ar\n')
    assert _plain(calm.measured()).requests == 2


@pytest.mark.parametrize("how", ["interrupted", "terminated", "failed"])
def test_an_unfinished_run_is_unknown(calm: Recorded, how: str) -> None:
    """What was recorded is measured, but a run that did not reach its end is no pass."""
    calm.finish(how, at=101)
    findings = calm.measured()
    assert findings.finished == how
    assert findings.verdict is Verdict.UNKNOWN
    assert _plain(findings).requests == 2
    assert any(how in note for note in findings.notes)


def test_a_run_cut_off_before_its_first_phase(tmp_path: Path) -> None:
    """A history of nothing but its opening line can be measured: no cell, everything unknown, no crash."""
    expected = {"arm": "*", "phase": "steady", "metric": "failed", "equals": 0}
    with Recorded(tmp_path, scenario(STEADY, KILL, expect=[expected])):
        pass
    findings = measure(tmp_path)
    assert findings.cells == {}
    assert findings.verdict is Verdict.UNKNOWN
    assert [check.verdict for check in findings.checks] == [Verdict.UNKNOWN] * 2
    assert "Not reached: steady, kill." in findings.notes
    assert findings.best is None


def test_a_run_cut_off_within_a_phase(tmp_path: Path) -> None:
    """Of a phase that began but did not end, the episodes that were over count."""
    with Recorded(tmp_path, scenario(STEADY, expect=[NO_FAILURE])) as recorded:
        recorded.experiment(records.PhaseEdge(t=recorded.at(2), name="steady", edge="begin"))
        recorded.experiment(
            records.Episode(
                phase="steady", n=0, t0=recorded.at(2), t1=recorded.at(4), strike=None, counts=True
            )
        )
        recorded.requests("plain", [3, 5])
    findings = measure(tmp_path)
    assert (findings.finished, findings.verdict) == ("cut off", Verdict.UNKNOWN)
    assert (_plain(findings).requests, _plain(findings).episodes) == (1, 1)
    assert _plain(findings).ci95 is None, "one episode has no interval"


# --- what is known of a place -------------------------------------------------------------------------


def test_where_nothing_ever_broke(calm: Recorded) -> None:
    """The bound is then made of the least that could have been seen: one request of the smallest episode."""
    calm.requests("plain", [4.1, 4.2, 4.3])
    findings = calm.measured()
    assert _plain(findings).ci95 == Interval(0.0, pytest.approx(1 - 0.05 ** (1 / 2)))  # type: ignore[arg-type]


def test_without_a_witness_nothing_is_said_of_the_pool(calm: Recorded) -> None:
    """Masked and price are unknown, not zero, in an arm whose pool nobody watched."""
    calm.connect("pre_ping", 1)
    calm.witness(
        "pre_ping", k="request", id="User-2", t0=calm.at(3), t1=calm.at(3.05), checkouts=[], errors=[]
    )
    findings = calm.measured()
    assert _plain(findings).masked is None
    assert _plain(findings).pool_cost is None
    assert findings.cell("pre_ping", "steady").masked is not None


def test_a_pool_without_requests_explains_nothing(calm: Recorded) -> None:
    """A service under a server that the witness does not know: its pool is seen, and yet no failure has a cause.

    So how many are broken is not known, however many were seen to be: none.
    """
    calm.connect("plain", 1)
    calm.request("plain", 3, status=500, failure="status")
    findings = calm.measured()
    cell = _plain(findings)
    assert (cell.unexplained, cell.broken, cell.broken_pipe_rate, cell.masked) == (1, 0, None, None)
    (unseen,) = [warning for warning in findings.warnings if warning.code == "requests_unseen"]
    assert unseen.text.startswith("1 request to plain failed")
    assert "its pool, but none of its requests" in unseen.text


def test_the_price_of_a_setting(calm: Recorded) -> None:
    """Waits, pings and connects are counted by checkout; a ping that failed is not the price of one that works."""
    calm.connect("plain", 1)

    def checkout(**changes: object) -> dict[str, object]:
        usual: dict[str, object] = {
            "t": 1, "port": 1, "wait_ms": 0.5, "ping_ms": None, "connect_ms": None, "fresh": False,
            "dead": False, "held_ms": 3.0, "statements": 2,
        }  # fmt: skip
        return usual | changes

    calm.request("plain", 3, checkouts=[checkout(ping_ms=1.0), checkout(ping_ms=3.0, wait_ms=2.5)])
    calm.request("plain", 3, checkouts=[checkout(ping_ms=900.0, connect_ms=20.0, fresh=True)])
    calm.request("plain", 7, checkouts=[checkout(ping_ms=5.0)])  # after the phase
    price = _plain(calm.measured()).pool_cost
    assert price is not None
    assert (price.checkouts, price.pings, price.connects) == (3, 2, 1)
    assert (price.ping_ms, price.wait_ms, price.connect_ms) == (2.0, pytest.approx(3.5 / 3), 20.0)
