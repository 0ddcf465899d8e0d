"""What the live pages show: of a history that is being written, by the rules of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.measure.recorded import CLOSED, Recorded, error
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history import records
from brokenpipe.live_view import RECENT_S, ArmSnapshot
from brokenpipe.measure.live import LiveReader

ARMS = ("plain", "pre_ping")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    with Recorded(tmp_path / "run", scenario(STEADY, KILL)) as recorded:
        yield recorded


def _play(run: Recorded) -> None:
    """Four good requests and two broken ones of plain; one of its dead connections was replaced in time."""
    run.connect("plain", 1)
    run.phase("kill", [(1, 5, 3.0)])
    run.requests("plain", [1.5, 2, 2.5, 3.5])
    run.request("plain", 3.1, errors=[error("statement", CLOSED, dead=True)])
    run.request("plain", 3.2, errors=[error("statement", CLOSED, dead=True)])
    run.close("plain", 3.3, pool_invalidated=True)
    run.close("plain", 3.4, dead=False, pool_invalidated=True)
    run.requests("pre_ping", [1.5, 2])


def test_what_is_shown_is_what_will_be_reported(run: Recorded) -> None:
    """Requests, failed, broken, masked and the rate are those of the report, arm by arm."""
    _play(run)
    seen = LiveReader(run.folder, ARMS).read(run.at(5))
    cells = run.measured().cells
    for arm in ARMS:
        cell, sight = cells[arm, "kill"], seen[arm]
        masked = cell.masked.total if cell.masked else 0
        assert (sight.requests, sight.failed, sight.broken) == (cell.requests, cell.failed, cell.broken)
        assert (sight.masked, sight.rate) == (masked, cell.broken_pipe_rate)
    assert (seen["plain"].broken, seen["plain"].masked) == (2, 1), "the example shows something"


def test_it_goes_on_where_it_looked_last(run: Recorded) -> None:
    """Each line is counted once, a half one not before it is whole, and a testimony may come after its request."""
    lookout = LiveReader(run.folder, ARMS)
    run.experiment(records.PhaseEdge(t=run.at(1), name="kill", edge="begin"))
    failed = run.request("plain", 2, status=500, failure="status")
    assert lookout.read(run.at(2.1))["plain"].failed == 0, "it waits for what is said of it"
    run.witness(
        "plain", k="request", id=failed, t0=run.at(2), t1=run.at(2.05), failed=True,
        errors=[error("statement", CLOSED, dead=False)], raised=None, waiting=None,
    )  # fmt: skip
    with (run.folder / "requests.ndjson").open("a") as file:
        file.write('{"k":"end","t0":')
    assert lookout.read(run.at(2.2))["plain"].broken == 1
    with (run.folder / "requests.ndjson").open("a") as file:
        file.write(f'{run.at(2.1)},"arm":"plain","name":"POST /chat","id":"User-9","ms":7.5,"status":200}}\n')
    assert _counts(lookout.read(run.at(2.3))["plain"]) == (2, 1, 1)
    assert _counts(lookout.read(run.at(2.4))["plain"]) == (2, 1, 1)


def test_without_testimony_it_waits_for_a_second_only(run: Recorded) -> None:
    """Nobody knows why it failed: it has failed, and is not called broken."""
    lookout = LiveReader(run.folder, ARMS)
    run.experiment(records.PhaseEdge(t=run.at(1), name="kill", edge="begin"))
    run.request("plain", 2, status=500, failure="status")
    assert _counts(lookout.read(run.at(2.1))["plain"]) == (0, 0, 0)
    assert _counts(lookout.read(run.at(3.2))["plain"]) == (1, 1, 0)


def test_what_happens_between_phases_does_not_count(run: Recorded) -> None:
    """There we end connections ourselves."""
    run.phase("steady", [(1, 3, None)])
    run.request("plain", 3.5, errors=[error("statement", CLOSED, dead=True)])
    run.requests("plain", [0.5, 2, 3.6])
    run.close("plain", 3.5, pool_invalidated=True)
    sight = LiveReader(run.folder, ARMS).read(run.at(5))["plain"]
    assert _counts(sight) == (1, 0, 0)
    assert sight.masked == 0


def test_lately_is_the_last_seconds(run: Recorded) -> None:
    """Rates and p95 forget; counts do not."""
    _play(run)
    lookout = LiveReader(run.folder, ARMS)
    assert lookout.read(run.at(5))["plain"].p95_ms == 50
    later = lookout.read(run.at(5 + RECENT_S))["plain"]
    assert (later.rate, later.p95_ms, later.broken) == (None, None, 2)


def test_deeds(run: Recorded) -> None:
    """Acts of one moment on several arms are one deed; what is held lasts until it is healed."""
    lookout = LiveReader(run.folder, ARMS)
    for arm in ARMS:
        run.act(arm, "inject", "socket_kill", 3, "kill", 0)
    run.land("plain", "kill", 1)
    run.land("pre_ping", "kill", 1, missed=1)
    run.act("plain", "inject", "latency", 6, "slow")
    lookout.read(run.at(7))
    kill, latency = lookout.fault_events()
    assert (kill.arms, kill.held, kill.landed, kill.watched) == (ARMS, False, 1, 2)
    assert (latency.arms, latency.held, latency.ended) == (("plain",), True, None)
    run.act("plain", "heal", "latency", 8, "slow")
    lookout.read(run.at(9))
    assert lookout.fault_events()[1].ended == run.at(8)


def _counts(sight: ArmSnapshot) -> tuple[int, int, int]:
    return sight.requests, sight.failed, sight.broken
