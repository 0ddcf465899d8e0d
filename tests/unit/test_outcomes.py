"""Which requests count, in which episode, and how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.recorded import CLOSED, KILL, REFUSED, RESET, STEADY, Recorded, error, scenario

from brokenpipe.errors import ReportError
from brokenpipe.history import reader, records
from brokenpipe.measure.cell import Cell
from brokenpipe.measure.findings import Findings
from brokenpipe.measure.interval import Interval
from brokenpipe.measure.judgement import Verdict
from brokenpipe.measure.measure import measure

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


def _plain(findings: Findings) -> Cell:
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
        recorded.experiment(records.Phase(t=recorded.at(2), name="steady", edge="begin"))
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


# --- how they ended -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Two strikes at 0.5 s and 1.5 s; in each arm ten requests an episode, some of which failed.

    plain: one stale and two in use broke in the first episode, one more elsewhere (no pool to look at), one was
    refused at connect, one had a failed ping and then no connection, one was never explained.
    """
    folder = tmp_path_factory.mktemp("struck")
    with Recorded(folder, scenario(KILL)) as recorded:
        recorded.probe()
        recorded.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        for arm in ("plain", "pre_ping"):
            recorded.connect(arm, 0)
            recorded.land(arm, "kill", 2)
        plain = [
            [error("statement", CLOSED, dead=True)],
            [error("statement", RESET, dead=False), error("rollback", RESET, dead=False)],
            [error("commit", RESET, dead=False)],
            [error("statement", RESET, dead=None)],
            [error("connect", REFUSED)],
            [error("ping", RESET, dead=True), error("connect", RESET)],
            [error("ping", RESET, dead=True)],
        ]
        for index, errors in enumerate(plain):
            recorded.request("plain", 0.45 + index / 100, ms=100 + index, errors=errors)
        recorded.request("plain", 0.6, status=500, failure="status")
        recorded.request("plain", 0.6, status=404, failure="status")
        recorded.request("plain", 0.6, status=0, failure="transport")
        recorded.request("plain", 0.6, status=200, failure="declared")
        recorded.request("plain", 0.6, status=0, failure="timeout", ms=1000)
        recorded.requests("plain", [0.1, 0.2, 0.3, *(1 + n / 10 for n in range(10))])
        recorded.requests("pre_ping", [n / 10 for n in range(20)])
        recorded.witness("pre_ping", k="request", id="User-1", t0=recorded.at(0.6), t1=recorded.at(0.7))
        for _ in range(3):
            recorded.close("pre_ping", 0.6, after="ping")
        recorded.close("pre_ping", 0.6, recycle_ms=400.0)
        recorded.close("pre_ping", 0.6, recycle_ms=400.0, dead=False)  # recycled alive: nothing was masked
        recorded.close("pre_ping", 0.6, recycle_ms=600.0)  # too young for a recycle, and no other reason
        recorded.close("pre_ping", 0.6, recycle_ms=600.0, pool_invalidated=True)
        recorded.close("pre_ping", 0.6, recycle_ms=400.0, pool_invalidated=True)  # its age is asked first
        recorded.close("pre_ping", 0.6, pool_invalidated=True, dead=False)  # replaced alive
        recorded.close("pre_ping", 0.6, after="error")  # a request saw it
        recorded.close("pre_ping", 0.6, after="reset")  # found when it was given back
        recorded.close("pre_ping", 0.6, after="ping", id=None)  # by the service itself, in no request
        recorded.close("pre_ping", 5, after="ping")  # after the phase
        recorded.finish()
    return measure(folder)


def test_broken_is_stale_or_in_use_or_elsewhere(struck: Findings) -> None:
    """Only a disconnect of a connection that was handed out as usable breaks a request; where, the witness knows."""
    cell = struck.cell("plain", "kill")
    assert (cell.stale, cell.in_use, cell.elsewhere) == (1, 2, 1)
    assert cell.broken == 4
    assert (cell.requests, cell.failed) == (12 + 13, 12)
    assert cell.broken_pipe_rate == 4 / 25


def test_failures_by_class(struck: Findings) -> None:
    """The first error of a request is its cause; without testimony, who says that it failed decides."""
    cell = struck.cell("plain", "kill")
    assert cell.failed_by_class == {
        "unexpected end of connection": 1,
        "connection reset": 5,  # three of them in use or elsewhere, one while connecting, one while pinging
        "connection refused": 1,
        "failed without testimony": 1,
        "application error": 2,  # a 404 and what the locustfile declared
        "transport between load and target": 1,
        "no answer in time": 1,
    }
    assert cell.unexplained == 1


def test_a_failed_ping_is_no_broken_request(struck: Findings) -> None:
    """The pool replaces a connection whose ping failed: what follows is the cause, and no ping ever is a break."""
    states = {(group.error_class, group.state): sum(group.count_by_arm.values()) for group in struck.failures}
    assert states["connection reset", "connecting"] == 1
    assert states["connection reset", ""] == 1 + 1  # elsewhere, and the ping after which nothing came
    assert states["connection reset", "in use"] == 2
    assert states["unexpected end of connection", "stale"] == 1
    assert states["connection refused", "connecting"] == 1


def test_the_example_of_a_group_is_real(struck: Findings) -> None:
    """Each group shows one of its own requests, outermost exception first."""
    group = next(each for each in struck.failures if each.state == "in use")
    assert [each.name for each in group.chain] == [
        "DBAPIError",
        "ConnectionDoesNotExistError",
        "ConnectionResetError",
    ]
    assert (group.example_arm, group.example_request) == ("plain", "POST /chat")
    assert group.example_at_s == pytest.approx(0.46)


def test_masked_by_what(struck: Findings) -> None:
    """A dead connection replaced during a checkout is masked, by the reason that the pool had."""
    masked = struck.cell("pre_ping", "kill").masked
    assert masked is not None
    assert (masked.pre_ping, masked.recycle, masked.invalidation) == (3, 2, 1)
    nothing = struck.cell("plain", "kill").masked
    assert nothing is not None
    assert nothing.total == 0


def test_recovery_ends_with_the_last_broken_request(struck: Findings) -> None:
    """From the strike at 0.5 s to the end of the last broken request; other failures do not prolong it."""
    # the fourth began at 0.48 s and took 103 ms; those that were refused or never explained ended later
    assert struck.cell("plain", "kill").recovery_s == (pytest.approx(0.48 + 0.103 - 0.5), 0.0)
    assert struck.cell("pre_ping", "kill").recovery_s == (0.0, 0.0)


def test_nothing_broken_has_an_upper_bound(struck: Findings) -> None:
    """With nothing broken in k episodes: (1 − 0.05^(1/k)) × the largest rate of one episode of any arm."""
    largest = 4 / 15  # plain, first episode: 4 of 12 + 3
    interval = struck.cell("pre_ping", "kill").ci95
    assert interval is not None
    assert interval.low == 0
    assert interval.high == pytest.approx((1 - 0.05 ** (1 / 2)) * largest)


def test_latencies_are_of_successful_requests(struck: Findings) -> None:
    """Every success took 50 ms; the failed ones, which took longer, are not among them."""
    assert struck.cell("plain", "kill").latency_ms.p50 == 50
    assert struck.cell("plain", "kill").latency_ms.p99 == 50


def test_where_nothing_ever_broke(calm: Recorded) -> None:
    """The bound is then made of the least that could have been seen: one request of the smallest episode."""
    calm.requests("plain", [4.1, 4.2, 4.3])
    findings = calm.measured()
    assert _plain(findings).ci95 == Interval(0.0, pytest.approx((1 - 0.05 ** (1 / 2)) * 1 / 1))


def test_without_a_witness_nothing_is_said_of_the_pool(calm: Recorded) -> None:
    """Masked and price are unknown, not zero, in an arm whose pool nobody watched."""
    calm.connect("pre_ping", 1)
    calm.witness(
        "pre_ping", k="request", id="User-2", t0=calm.at(3), t1=calm.at(3.05), checkouts=[], errors=[]
    )
    findings = calm.measured()
    assert _plain(findings).masked is None
    assert _plain(findings).price is None
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
    price = _plain(calm.measured()).price
    assert price is not None
    assert (price.checkouts, price.pings, price.connects) == (3, 2, 1)
    assert (price.ping_ms, price.wait_ms, price.connect_ms) == (2.0, pytest.approx(3.5 / 3), 20.0)
