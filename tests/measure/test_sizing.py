"""The pool-size curve, its knee, and what carries over to other numbers, on figures that can be counted on fingers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded, error, link
from tests.unit.plans import STEADY, scenario

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.sizing.advice import (
    ServiceDemand,
    advise,
    measured_demand,
)
from brokenpipe.measure.sizing.curve import (
    Sizing,
    sizing_curve,
)
from brokenpipe.report.ci.summary import summary
from brokenpipe.report.run.sizing import check_rules, knee_sentence

FULL = [link("sqlalchemy.exc.TimeoutError", "QueuePool limit of size 2 overflow 0 reached")]
NO_ROOM = [link("asyncpg.exceptions.TooManyConnectionsError", "too many connections", sqlstate="53300")]
BLOCKS = 8
ARMS = {"small": 2, "fitting": 4, "large": 8}


@contextmanager
def recording(folder: Path) -> Iterator[Recorded]:
    """Eight blocks of 2 s; each arm is asked twice a block, and holds a connection for a second each time.

    In the small pool every second request waits for 900 ms, and one gives up; one is refused in the large one.
    """
    phase = {**STEADY, "seconds": 2.0 * BLOCKS}
    with Recorded(folder / "sizing" / "20260101T000000Z", scenario(phase, arms=tuple(ARMS))) as recorded:
        recorded.phase("steady", [(2.0 * n, 2.0 * n + 2, None) for n in range(BLOCKS)])
        for arm, size in ARMS.items():
            recorded.connect(arm, 0.1)
            made(recorded, arm, size)
            for n in range(BLOCKS):
                gauge(recorded, arm, 2.0 * n + 0.2, size=size, out=min(size, 3))
                gauge(recorded, arm, 2.0 * n + 0.7, size=size, out=1)
                tally(recorded, arm, 2.0 * n + 0.5, [900.0] if arm == "small" else [])
                recorded.requests(arm, [2.0 * n + 0.1, 2.0 * n + 0.3], ms=400)
        waited = error("checkout", FULL)
        began, gave_up = recorded.at(5.0), recorded.at(6.0)
        recorded.request("small", 5.0, 1000, errors=[{**waited, "began": began, "t": gave_up}])
        recorded.request("large", 5.0, 10, errors=[error("connect", NO_ROOM)])
        recorded.finish()
        yield recorded


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """Such a history of the test's own, to be added to."""
    with recording(tmp_path) as recorded:
        yield recorded


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What it adds up to, measured once for all tests that add nothing."""
    with recording(tmp_path_factory.mktemp("sizing")) as recorded:
        return recorded.measured()


def gauge(run: Recorded, arm: str, at: float, *, size: int, out: int, pid: int = 77) -> None:
    line = {"size": size, "idle": 0, "out": out, "overflow": 0, "most": size, "timeout_s": 1.0}
    run.witness(arm, k="pool", t=run.at(at), pid=pid, **line)


def made(run: Recorded, arm: str, size: int) -> None:
    arguments = {"pool_size": size, "max_overflow": 0, "pool_timeout": 1.0}
    line = {"library": "sqlalchemy", "constructor": "create_async_engine", "arguments": arguments}
    run.witness(arm, k="pool_settings", t=run.at(0.1), **line)


def tally(run: Recorded, arm: str, at: float, waits_ms: list[float]) -> None:
    nothing = {"pings": 0, "ping_ms": 0.0, "connects": 0, "connect_ms": 0.0}
    waits = {"waits_ms": waits_ms, "wait_ms": sum(waits_ms)}
    run.witness(
        arm,
        k="tally",
        t0=run.at(at),
        t=run.at(at + 0.25),
        requests=2,
        checkouts=2,
        held_ms=2000.0,
        **waits,
        **nothing,
    )


def sized(findings: Findings) -> Sizing:
    found = sizing_curve(findings)
    assert found is not None
    return found


# --- from the history -----------------------------------------------------------------------------------


def test_waits_are_those_of_everyone_who_asked(findings: Findings) -> None:
    """Listed waits, those too short to be listed, and whoever gave up: each is one checkout."""
    pools = findings.pools
    small, large = pools["small", "steady"], pools["large", "steady"]
    assert (small.checkouts, small.gave_up) == (2 * BLOCKS + 1, 1)
    assert (small.wait_p50_ms, small.wait_p95_ms, small.wait_p99_ms) == (900.0, 1000.0, 1000.0)
    assert small.episode_p95_ms == (900.0, 900.0, 1000.0, *[900.0] * (BLOCKS - 3))
    assert (large.checkouts, large.wait_p99_ms) == (2 * BLOCKS, 0.0)
    assert set(large.episode_p95_ms) == {0.0}


def test_what_is_in_use_follows_littles_law(findings: Findings) -> None:
    """Two holds of a second each in two seconds are one connection in use on average; at most there were three."""
    use = findings.pools["large", "steady"]
    assert (use.mean_out, use.peak_out, use.seconds) == (pytest.approx(1.0), 3, 2.0 * BLOCKS)
    assert (use.processes, use.size, use.most, use.timeout_s) == (1, 8, 8, 1.0)


def test_what_is_held_after_the_last_episode_is_not_in_use_while_it_counts(tmp_path: Path) -> None:
    """Four connections hang for 15 s from 1 s on, and the phase lasts 3 s: four are in use, for 2 s of 3."""
    phase = {"name": "hole", "fault": {"name": "black_hole"}, "seconds": 3}
    with Recorded(tmp_path / "run", scenario(phase, arms=("plain",))) as run:
        run.phase("hole", [(0, 3, None)])
        run.connect("plain", 0)
        gauge(run, "plain", 1.2, size=4, out=4)
        held = {
            "port": 40_000,
            "wait_ms": 0.0,
            "ping_ms": None,
            "connect_ms": None,
            "fresh": False,
            "dead": False,
            "held_ms": 15_000.0,
            "statements": 1,
        }
        for _ in range(4):
            run.request("plain", 1, 15_000, failure="timeout", checkouts=[{"t": run.at(1), **held}])
        run.finish()
        use = run.measured().pools["plain", "hole"]
    assert (use.most, use.held_ms) == (4, 60_000)
    assert use.mean_out == pytest.approx(4 * 2 / 3)


def test_no_more_are_in_use_than_there_are(run: Recorded) -> None:
    """Sums do not tell what was held after the last episode; the pool does."""
    for n in range(40):
        tally(run, "small", 15.9 - n / 100, [])
    use = run.measured().pools["small", "steady"]
    assert use.held_ms / 1000 / use.seconds > 2
    assert use.mean_out == 2


def test_two_processes_have_two_pools(run: Recorded) -> None:
    """Pools of several processes are added up: what they may open, and what is in use at the same time."""
    gauge(run, "large", 4.3, size=8, out=5, pid=78)
    use = run.measured().pools["large", "steady"]
    assert (use.processes, use.most, use.peak_out) == (2, 16, 8)


def test_a_history_that_does_not_list_waits_says_nothing(run: Recorded) -> None:
    """Recorded before waits were told: percentiles of the rest would be of the worst requests alone."""
    old = {
        "requests": 1,
        "checkouts": 1,
        "pings": 0,
        "ping_ms": 0.0,
        "wait_ms": 0.0,
        "connects": 0,
        "connect_ms": 0.0,
    }
    run.witness("small", k="tally", t0=run.at(3), t=run.at(3.2), **old)
    findings = run.measured()
    assert [arm for arm, _ in findings.pools] == ["fitting", "large"]
    assert sizing_curve(findings) is None  # two sizes are no curve


def test_the_knee_is_the_smallest_pool_in_which_nobody_waits(findings: Findings) -> None:
    """The small pool is short, the next one is enough; the larger one is too, although Postgres refused somebody."""
    sizing = sized(findings)
    assert [(size.arm, size.sufficiency.value) for size in sizing.sizes] == [
        ("small", "short"), ("fitting", "enough"), ("large", "enough"),
    ]  # fmt: skip
    assert sizing.knee is not None
    assert sizing.knee.arm == "fitting"
    assert (sizing.tolerable_ms, sizing.episodes) == (pytest.approx(100.0), BLOCKS)
    assert [size.timeouts for size in sizing.sizes] == [1, 0, 0]
    assert [size.refused for size in sizing.sizes] == [0, 0, 1]
    assert "The knee is at 4 connections" in knee_sentence(sizing)


def test_sizes_are_seen_not_read_from_variables(findings: Findings) -> None:
    """The scenario's arms say nothing of a pool's size: the witness does."""
    assert all(not any("POOL_SIZE" in name for name in env) for env in findings.arms.values())
    assert [size.most for size in sized(findings).sizes] == [2, 4, 8]


def test_rules_are_held_against_the_knee(findings: Findings) -> None:
    """Three in use at most: the rule says four, which is the knee; the average of one says two, which is short."""
    most, average = check_rules(findings, sized(findings))
    assert (most.agrees, average.agrees) == (True, False)
    assert "the knee itself" in most.measured
    assert "at 2 the wait is" in average.measured


@pytest.mark.parametrize(
    ("most", "room", "peak", "ceiling"),
    [
        (8, (True, "refused with 53300: 8: 5.9"), (True, "the knee itself"), (True, "the knee is below it")),
        (
            6,
            (True, "refused with 53300: 8: 5.9"),
            (False, "1 more than Postgres has room for"),
            (False, "too small"),
        ),
        (
            20,
            (False, "refused with 53300: 8: 5.9"),
            (True, "the knee itself"),
            (True, "the knee is below it"),
        ),
    ],
)
def test_rules_about_max_connections(
    findings: Findings, most: int, room: tuple[bool, str], peak: tuple[bool, str], ceiling: tuple[bool, str]
) -> None:
    """Refused in the pool of eight alone: right if Postgres has room for five or three, wrong if for seventeen."""
    told = replace(findings, max_connections=most)
    found = check_rules(told, sized(told))
    for rule, (agrees, words) in zip((found[0], found[1], found[3]), (room, peak, ceiling), strict=True):
        assert rule.agrees is agrees, rule
        assert words in rule.measured.replace("\u202f", " "), rule


def test_the_runs_own_numbers_get_what_was_measured(findings: Findings) -> None:
    """Nothing is scaled then; for twice the arrivals it is."""
    sizing = sized(findings)
    own = measured_demand(findings, sizing)
    assert own is not None
    assert (own.workers, own.peak_per_s, own.hold_ms) == (1, pytest.approx(1.0), pytest.approx(1000.0))
    assert sizing.knee is not None
    measured = advise(findings, sizing, own, sizing.knee)
    assert (measured.pool_size, measured.measured, measured.fits) == (4, True, None)
    twice = advise(findings, sizing, ServiceDemand(1, 2.0, 1000.0, 20), sizing.knee)
    assert (twice.measured, twice.fits) == (False, True)
    assert twice.pool_size == 8  # users of a closed load wait: in proportion


def test_the_summary_tells_the_curve(findings: Findings) -> None:
    """`summary.json` has the knee, every size, and of each cell how its pools were used."""
    told = summary(findings)
    sizing = told["sizing"]
    assert isinstance(sizing, dict)
    assert (sizing["knee"], sizing["known"], sizing["why"]) == (4, True, None)
    assert [(size["most"], size["room"]) for size in sizing["sizes"]] == [
        (2, "short"),
        (4, "enough"),
        (8, "enough"),
    ]
    arms = told["arms"]
    assert isinstance(arms, dict)
    pool = arms["small"]["phases"]["steady"]["pool"]
    assert (pool["checkouts"], pool["gave_up"], pool["wait_ms"]["p95"]) == (17, 1, 1000.0)
