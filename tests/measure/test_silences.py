"""What stood still is a doubt for as long as no fault of the plan was the reason, and a short stop is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, scenario

from brokenpipe.formatting import plain
from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning

CALM = STEADY | {"seconds": 12}
EXPECT = [{"arm": "*", "phase": "steady", "metric": "broken", "equals": 0}]
EVERY = [n / 4 for n in range(48)]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """Two arms and twelve seconds in which nothing is odd."""
    with Recorded(tmp_path / "run", scenario(CALM, expect=EXPECT)) as recorded:
        recorded.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
        for arm in ("plain", "pre_ping"):
            recorded.requests(arm, EVERY)
        yield recorded


def doubts(run: Recorded, at: float = 13) -> Mapping[str, ValidityWarning]:
    """By code; there is one of each."""
    run.finish(at=at)
    warnings = run.measured().warnings
    found = {each.code: each for each in warnings}
    assert len(found) == len(warnings), warnings
    return found


def test_how_long_it_stood_still_is_said(run: Recorded) -> None:
    """Which part, which process, for how long, and that it did not go on."""
    run.silence("load", 2, 11.5, pid=812)
    run.silence("load", 1, 1.6, pid=812)
    run.silence("target", 3, 4, arm="plain", pid=818)
    run.silence("target", 3, None, arm="plain", pid=815)
    run.silence("postgres", 4, 8, how="no_answer", pid=None)
    run.silence("worker w1", 5, 6, pid=816)
    found = doubts(run)
    said = {code: plain(each.text) for code, each in found.items()}
    assert said == {
        "load_stopped": "process 812 of Locust stood still for 9.5 s; so did 1 of its other processes",
        "service_stopped": "process 815 of the service of plain stood still for 10 s, until the end; "
        "so did 1 of its other processes",
        "postgres_hung": "Postgres answered no new connection for 4 s",
    }
    assert found["service_stopped"].arm == "plain"
    assert found["load_stopped"].arm is None


def test_a_stop_shorter_than_half_a_second_is_no_doubt(run: Recorded) -> None:
    """It shows as lateness, which is measured by who was late."""
    for part in ("load", "toxiproxy", "postgres"):
        run.silence(part, 2, 2.3)
    assert doubts(run) == {}


@pytest.mark.parametrize("fault", ["server_pause", "server_restart"])
def test_a_server_that_a_fault_stopped(run: Recorded, fault: str) -> None:
    """The fault of the plan is the reason for as long as it was held, and shortly after."""
    run.act("plain", "inject", fault, 3, "steady")
    if "pause" in fault:
        run.act("plain", "heal", fault, 7, "steady")
    ends = 7 if "pause" in fault else 3.4
    run.silence("postgres", 3.001, ends)
    run.silence("postgres", 2.9, ends + 2, how="no_answer", pid=None)
    assert doubts(run) == {}


def test_a_server_that_stands_still_for_longer_than_its_fault(run: Recorded) -> None:
    """What is left when the fault was healed is nobody's plan; and no fault of a server stops the load."""
    fault = "server_pause"
    run.act("plain", "inject", fault, 1, "steady")
    run.act("plain", "heal", fault, 3, "steady")
    run.silence("postgres", 1.1, 11)
    run.silence("load", 1.1, 3)
    assert set(doubts(run)) == {"postgres_hung", "load_stopped"}


@pytest.mark.parametrize("code", ["proxy_hung", "proxy_restarted"])
def test_a_toxiproxy_of_which_a_call_has_told(run: Recorded, code: str) -> None:
    """One doubt is enough."""
    run.experiment(records.RecordedDoubt.of(Code(code), "no answer"))
    run.silence("toxiproxy", 2, 6)
    assert set(doubts(run)) == {code}


def test_a_paused_container_is_told_by_the_engine(run: Recorded) -> None:
    """That Postgres answers nobody follows from it."""
    run.container(2, "postgres", "paused")
    run.container(6, "postgres", "unpaused")
    run.silence("postgres", 2.5, 6.1, how="no_answer", pid=None)
    assert set(doubts(run)) == {"container_paused"}


def test_a_silence_of_the_first_part_ends_with_it(tmp_path: Path) -> None:
    """A run that was cut off and resumed has new processes: the old ones stand still no longer."""
    with Recorded(tmp_path / "run", scenario(CALM, expect=EXPECT)) as run:
        run.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
        run.requests("plain", EVERY)
        run.requests("pre_ping", EVERY)
        run.silence("load", 2, None)
        run.experiment(records.Resumed(run.at(6), 2, "brokenpipe resume"))
        found: dict[str, Any] = dict(doubts(run))
    assert plain(found["load_stopped"].text) == "process 77 of Locust stood still for 4 s"


def written(run: Recorded, *, silent: tuple[float, float] = (0, 0), what: Sequence[str] = ()) -> None:
    """A watched run in which everybody writes once a second or oftener, but some of them for a while nothing."""
    run.watch("load", "postgres", looks=[at for at in range(14) if _writes(at, silent, "looks" in what)])
    for at in range(28):
        if _writes(at / 2, silent, "lags" in what):
            run.load(records.LoopLag(run.at(at / 2), 3.0))
    for at in range(14):
        if _writes(at, silent, "ticks" in what):
            run.gauge(records.ClockReading(run.at(at), run.at(at), run.at(at)))
        if _writes(at, silent, "slots" in what):
            run.gauge(records.ConnectionSlots(run.at(at), 20, 100))
        for arm in ("plain", "pre_ping"):
            if _writes(at, silent, arm in what):
                run.witness(arm, k="tick", t=run.at(at), pid=4)


def _writes(at: float, silent: tuple[float, float], concerned: bool) -> bool:
    return not (concerned and silent[0] < at < silent[1])


GAPS = {
    "lags": ("load_stopped", "Locust wrote nothing for 5 s"),
    "ticks": ("gauges_silent", "the gauges of machine and processes wrote nothing for 5 s"),
    "looks": ("gauges_silent", "the gauges of the watch wrote nothing for 5 s"),
    "slots": ("gauges_silent", "the gauges of Postgres wrote nothing for 5 s"),
    "plain": ("service_stopped", "the witness in plain wrote nothing for 5 s"),
}


# Each has its own doubt but the gauges, which share one.
SILENT = (("lags", "ticks", "plain"), ("looks",), ("slots",))


@pytest.mark.parametrize("what", SILENT, ids="+".join)
def test_who_writes_nothing_stands_still(run: Recorded, what: tuple[str, ...]) -> None:
    """Nobody looked, and it is seen all the same: what is written at regular times is missing."""
    written(run, silent=(4, 9), what=what)
    assert {code: plain(each.text) for code, each in doubts(run).items()} == dict(GAPS[each] for each in what)


@pytest.mark.parametrize("what", SILENT, ids="+".join)
def test_who_writes_nothing_to_the_end(run: Recorded, what: tuple[str, ...]) -> None:
    """A part that never went on leaves no line behind its silence: the end of the phase is one."""
    written(run, silent=(6, 99), what=what)
    assert set(doubts(run)) == {GAPS[each][0] for each in what}


def test_everybody_writes(run: Recorded) -> None:
    """A line that is a second late is no gap."""
    written(run, silent=(4, 6), what=["ticks"])
    assert doubts(run) == {}


def test_a_gap_that_was_told_already(run: Recorded) -> None:
    """A harness that stood still gauged nothing, and Postgres that hung was not gauged: one doubt for each reason."""
    run.silence("harness", 4, 9, how="late", pid=None)
    written(run, silent=(4, 9), what=["ticks"])
    assert set(doubts(run)) == {"harness_stopped"}


def test_postgres_that_a_fault_stopped_is_not_gauged(run: Recorded) -> None:
    """That is what the fault does."""
    run.act("plain", "inject", "server_pause", 4, "steady")
    run.act("plain", "heal", "server_pause", 9, "steady")
    written(run, silent=(4, 9), what=["slots"])
    assert doubts(run) == {}


def test_a_history_of_before_has_no_gaps(run: Recorded) -> None:
    """Without a watch it is not known what should be there."""
    for at in (1, 11):
        run.load(records.LoopLag(run.at(at), 3.0))
        run.gauge(records.ClockReading(run.at(at), run.at(at), run.at(at)))
    assert doubts(run) == {}


def test_what_follows_from_a_silence_says_so(tmp_path: Path) -> None:
    """Nobody is sent to the locustfile for what a part that stood still did; what lies far from it is on its own."""
    later = STEADY | {"name": "later"}
    with Recorded(tmp_path / "run", scenario(STEADY, later, expect=EXPECT)) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        run.phase("later", [(60, 62, None), (62, 64, None)])
        run.requests("plain", [0.1])
        run.requests("pre_ping", [60.1])
        run.silence("postgres", 1, 6)
        for phase in ("steady", "later"):
            doubt = records.RecordedDoubt.of(Code.NOT_DRAINED, "requests were still under way", phase=phase)
            run.experiment(doubt)
        run.ledger("plain", "Postgres did not answer")
        run.finish(at=70)
        remedies = {(each.code, each.phase): each.remedy for each in run.measured().warnings}
    follows = "This can follow from postgres_hung: look into that first."
    assert remedies["no_traffic", "steady"] == remedies["not_drained", "steady"] == follows
    assert "look into that" not in remedies["no_traffic", "later"] + remedies["not_drained", "later"]
    assert "SIGSTOP" in remedies["postgres_hung", None]
