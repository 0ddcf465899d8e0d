"""What a pool-size curve must not say: a larger pool where it does not help, or any size where none is enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded, error, link
from tests.measure.test_advise import advise, flat
from tests.measure.test_sizing import BLOCKS, gauge, sized, tally
from tests.unit.plans import STEADY, arms_of, scenario
from tests.unit.test_knee import USE

from brokenpipe.interval import Interval
from brokenpipe.measure.sizing.curve import PoolSize, Sufficiency, find_knee, sizing_curve
from brokenpipe.report.ci.summary import summary
from brokenpipe.report.run.headline_sentences import headline_sentences
from brokenpipe.report.run.sizing import describe_load, knee_sentence

FULL = [link("sqlalchemy.exc.TimeoutError", "QueuePool limit of size 2 overflow 0 reached")]
SIZES = {"two": 2, "four": 4, "eight": 8}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """Three pools, of which the smallest is short and four are enough, for eight blocks of 2 s."""
    with recording(tmp_path, {arm: {"DB_POOL_SIZE": str(size)} for arm, size in SIZES.items()}) as recorded:
        for arm, size in SIZES.items():
            pool(recorded, arm, size)
        yield recorded


def recording(folder: Path, arms: Mapping[str, Mapping[str, str]]) -> Recorded:
    phase = {**STEADY, "seconds": 2.0 * BLOCKS}
    plan = scenario(phase, arms=tuple(arms)).model_copy(update={"arms": arms_of(arms)})
    recorded = Recorded(folder / "sizing" / "20260101T000000Z", plan)
    recorded.phase("steady", [(2.0 * n, 2.0 * n + 2, None) for n in range(BLOCKS)])
    recorded.finish()
    return recorded


def pool(run: Recorded, arm: str, size: int, wait_ms: float | None = None) -> None:
    """Two requests a block; below a size of four each waits for 900 ms."""
    run.connect(arm, 0.1)
    wait_ms = 900.0 if wait_ms is None and size < 4 else wait_ms
    for n in range(BLOCKS):
        gauge(run, arm, 2.0 * n + 0.2, size=size, out=min(size, 3))
        tally(run, arm, 2.0 * n + 0.5, [] if wait_ms is None else [wait_ms + n % 2])
        run.requests(arm, [2.0 * n + 0.1, 2.0 * n + 0.3], ms=400)


def checkout(run: Recorded, at: float, held_ms: float, **more: Any) -> dict[str, Any]:
    nothing = {
        "port": 40_000,
        "wait_ms": 0.0,
        "ping_ms": None,
        "connect_ms": None,
        "fresh": False,
        "dead": False,
    }
    return {**nothing, "t": run.at(at), "held_ms": held_ms, "statements": 1, **more}


# --- overloaded: no pool is enough ------------------------------------------------------------------------


def short(most: int, wait_ms: float, timeouts: int = 0) -> PoolSize:
    """A pool that is too small, of 400 requests."""
    interval = Interval(wait_ms * 0.95, wait_ms * 1.05)
    return PoolSize(
        f"size_{most}", USE, most, 400, timeouts, 0, 5.0, 100.0, wait_ms, interval, Sufficiency.TOO_SMALL
    )


@pytest.mark.parametrize(
    ("curve", "says"),
    [
        ({4: 900, 16: 400, 20: 600, 30: 800}, "waits stop falling above 16 connections, and rise"),
        ({4: 900, 16: 400, 20: 402, 30: 401}, "waits stop falling above 16 connections (16: 400"),
    ],
)
def test_where_waits_stop_falling_no_larger_pool_is_suggested(curve: dict[int, float], says: str) -> None:
    """Sixteen was best, twenty and thirty are no better or worse: the pool is not what limits it."""
    knee, said = find_knee([short(most, wait_ms) for most, wait_ms in curve.items()], 30)
    assert knee is None
    assert says in said
    assert "elsewhere, the machine, the database or the service itself" in said
    assert "add larger ones" not in said


def test_where_waits_still_fall_larger_pools_are_worth_a_try() -> None:
    """Also where nearly all wait in vain, so that each pool's wait is its time limit: the shares fall."""
    for curve in (
        [(4, 900, 0), (16, 600, 0), (30, 400, 0)],
        [(4, 1004, 300), (16, 1005, 200), (30, 1006, 90)],
    ):
        knee, said = find_knee([short(*size) for size in curve], 30)
        assert knee is None
        assert "even in the largest pool, 30, requests waited too long: add larger ones" in said


def test_more_in_vain_is_worse_whatever_the_wait() -> None:
    """All waits are the time limit; of sixteen connections fewer wait in vain than of thirty."""
    _, said = find_knee([short(4, 1004, 300), short(16, 1005, 100), short(30, 1003, 200)], 30)
    assert "waits stop falling above 16 connections, and rise" in said
    assert "30: 1,003 ms, 50 % in vain" in said.replace("\u202f", " ")


# --- two connections at once ------------------------------------------------------------------------------


def nest(run: Recorded, arm: str, at: float, *, waited_ms: float = 0.0, gave_up: bool = False) -> None:
    """A request that holds one connection for 0.4 s and asks for another meanwhile."""
    outer = checkout(run, at, 400.0)
    if gave_up:
        waited = {**error("checkout", FULL), "began": run.at(at + 0.1), "t": run.at(at + 0.4), "holding": 1}
        run.request(arm, at, 400, errors=[waited], checkouts=[outer], name="POST /chat")
    else:
        inner = checkout(run, at + 0.1, 200.0, wait_ms=waited_ms)
        more = {"nested": 1, "nested_wait_ms": waited_ms}
        run.request(arm, at, 400, checkouts=[outer, inner], name="POST /chat", testimony=more)


def test_two_connections_at_once_have_no_size(run: Recorded) -> None:
    """There is a knee by the waits, and no advice: no size is enough for requests that ask while they hold."""
    nest(run, "two", 3.0, waited_ms=80.0)
    nest(run, "two", 5.0, gave_up=True)
    nest(run, "eight", 3.0)
    findings = run.measured()
    sizing = sized(findings)
    assert sizing.knee is None
    assert not sizing.is_known
    said = knee_sentence(sizing)
    assert said.startswith(
        "No pool size is enough. Requests of POST /chat take two connections of one pool at once: 3 of "
    )
    assert "2 of them waited while they held one, 1 in vain" in said
    assert "a pool of n safely serves n − 1 of them at a time" in said
    assert "Take one connection at a time" in said
    result = advise(run.folder, "--workers", "4")
    assert result.exit_code == 3, result.output
    assert "No pool size is enough" in flat(result)
    assert "pool_size=" not in result.output


def test_any_report_says_so_where_requests_waited_so(run: Recorded) -> None:
    """In the sentences of the verdict, whatever the run was about; not where nobody had to wait."""
    nest(run, "eight", 3.0)
    assert not [
        said for said in headline_sentences(run.measured()) if said.startswith("Requests of POST /chat")
    ]
    nest(run, "two", 3.0, waited_ms=80.0)
    (said,) = [
        said for said in headline_sentences(run.measured()) if "Requests of POST /chat" in said
    ]  # and it is said once
    assert "1 of them waited while they held one, 0 in vain" in said


def test_a_request_that_hangs_so_counts_as_well(run: Recorded) -> None:
    """Its line was never written; that it was seen to hang tells of it."""
    request = run.request("two", 3.0, None, name="POST /chat")
    run.request("two", 3.1, 2000, failure="timeout", status=0, name="POST /chat")
    run.witness(
        "two", k="stall", t=run.at(4), id=request, act="checkout", since=run.at(3.1), port=None, holding=2
    )
    (found,) = run.measured().nested["two", "steady"]
    assert (found.nested, found.waited, found.most, found.gave_up) == (1, 1, 3, 0)
    assert "(n − 1) ÷ 2" in "".join(headline_sentences(run.measured()))


def test_one_connection_after_the_other_is_none_at_once(run: Recorded) -> None:
    """A request may take as many as it likes, as long as it holds one at a time; a history of before does not tell."""
    after = [checkout(run, 3.0, 100.0), checkout(run, 3.2, 100.0)]
    run.request("two", 3.0, 400, checkouts=after, testimony={"nested": 0, "nested_wait_ms": None})
    run.request("four", 3.0, 400, checkouts=[checkout(run, 3.0, 300.0), checkout(run, 3.1, 100.0)])
    findings = run.measured()
    assert not findings.nested
    assert sized(findings).knee is not None


# --- holds --------------------------------------------------------------------------------------------------


def test_a_hold_is_that_of_a_checkout(run: Recorded) -> None:
    """Of requests that were never answered, too: the holds of all are not those of the few that were."""
    for n in range(4):
        at = 3.0 + n / 10
        waited = error("checkout", FULL)
        run.request("eight", at, 900, errors=[waited], checkouts=[checkout(run, at, 1000.0)])
    use = run.measured().pools["eight", "steady"]
    assert use.hold_ms == pytest.approx(1000.0)
    assert "a connection was held for 1,000" in describe_load(run.measured(), sized(run.measured())).replace(
        "\u202f", " "
    )


def test_no_more_is_in_use_than_the_pool_has(run: Recorded) -> None:
    """Two connections that are held for 15 s in the last second of a phase were in use for that second of it."""
    for _ in range(2):
        run.request("two", 15.0, 900, checkouts=[checkout(run, 15.0, 15_000.0)])
    use = run.measured().pools["two", "steady"]
    assert use.mean_out == pytest.approx((16 * 1.0 + 2 * 1.0) / 16)  # without them, one on average
    assert use.mean_out <= 2


# --- arms that differ in more than their size ------------------------------------------------------------------


def test_only_arms_that_are_equal_in_all_else_are_compared(tmp_path: Path) -> None:
    """Others keep their line in the table, by name, and it is said why they are left out."""
    arms = {arm: {"DB_POOL_SIZE": str(size)} for arm, size in SIZES.items()}
    arms["pinging"] = {"DB_POOL_SIZE": "6", "POOL_PRE_PING": "true"}
    with recording(tmp_path, arms) as recorded:
        for arm, size in {**SIZES, "pinging": 6}.items():
            pool(recorded, arm, size, wait_ms=900.0 if arm == "pinging" else None)
    findings = recorded.measured()
    sizing = sized(findings)
    assert [size.arm for size in sizing.curve] == ["two", "four", "eight"]
    assert sizing.knee is not None
    assert sizing.knee.arm == "four"
    assert dict(sizing.left_out) == {"pinging": "other POOL_PRE_PING"}
    assert "because more than the size differs: pinging (other POOL_PRE_PING)" in describe_load(
        findings, sizing
    )
    result = advise(recorded.folder)
    lines = [line.split() for line in result.output.splitlines()]
    assert {line[0]: line[-1] for line in lines if line and line[0] in arms} == {
        "two": "short", "four": "knee", "pinging": "out", "eight": "enough",
    }  # fmt: skip
    assert max(map(len, result.output.splitlines())) <= 80


def test_an_arm_of_another_target_is_left_out(tmp_path: Path) -> None:
    """Whatever the size of its pool: it is another service."""
    with recording(tmp_path, {arm: {} for arm in (*SIZES, "other")}) as recorded:
        for arm, size in {**SIZES, "other": 6}.items():
            pool(recorded, arm, size)
    findings = replace(recorded.measured(), targets={"other": "elsewhere"})
    assert dict(sized(findings).left_out) == {"other": "another target"}


@pytest.mark.parametrize(
    ("arms", "left_out"),
    [
        ({"two": {}, "four": {"SIZE": "4"}, "eight": {"SIZE": "8"}}, {}),  # two is the service's own default
        ({"two": {"PROFILE": "s"}, "four": {"PROFILE": "m"}, "eight": {"PROFILE": "l"}}, {}),
        (
            {"two": {"SIZE": "2", "MODE": "a"}, "four": {"SIZE": "4", "MODE": "b"}, "eight": {"SIZE": "8"}},
            {"four": "other MODE", "eight": "other MODE"},
        ),
        (
            {"two": {"SIZE": "2"}, "four": {"SIZE": "4"}, "eight": {"SIZE": "8", "PING": "1"}},
            {"eight": "other PING"},
        ),
    ],
)
def test_what_sets_the_size_is_told_by_the_pools(
    tmp_path: Path, arms: dict[str, dict[str, str]], left_out: dict[str, str]
) -> None:
    """A variable whose value is the pool's own number, or the only one with a value for each size."""
    with recording(tmp_path, arms) as recorded:
        for arm, size in SIZES.items():
            pool(recorded, arm, size)
    found = sized(recorded.measured())
    assert dict(found.left_out) == left_out
    assert (found.knee is None) == bool(left_out)  # one or two sizes are no curve


# --- undecided, and asked for one's own numbers ------------------------------------------------------------------


def test_an_undecided_run_answers_for_numbers_all_the_same(tmp_path: Path) -> None:
    """Nothing is ignored in silence: what is undecided, what is certain all the same, and what to do."""
    with recording(tmp_path, {arm: {"DB_POOL_SIZE": str(size)} for arm, size in SIZES.items()}) as recorded:
        for arm, size in SIZES.items():
            pool(recorded, arm, size, wait_ms=0.5)
    mine = ("--workers", "4", "--peak-per-s", "40", "--hold-ms", "1500", "--max-connections", "63")
    result = advise(recorded.folder, *mine)
    assert result.exit_code == 3
    said = flat(result)
    assert "For 4 workers, 40 requests/s at peak, 1,500 ms hold, max_connections 63: no size follows" in said
    assert "Undecided: which size is enough" in said
    assert (
        "60 connections are in use on average (40/s × 1,500 ms), so that a pool of less than 15 for each"
        in said
    )
    assert "Postgres has 60 for services: 15 for each worker" in said
    assert "What to do:" in said
    fewer = flat(advise(recorded.folder, *mine[:-1], "50"))
    assert "Postgres has 47 for services: less than are in use" in fewer


def test_what_is_left_out_is_the_runs_own(tmp_path: Path) -> None:
    """Also of an undecided run: two requests in two seconds, a second each."""
    with recording(tmp_path, {arm: {"DB_POOL_SIZE": str(size)} for arm, size in SIZES.items()}) as recorded:
        for arm, size in SIZES.items():
            pool(recorded, arm, size, wait_ms=0.5)
    assert "For 3 workers, 1 requests/s at peak, 1,000 ms hold" in flat(
        advise(recorded.folder, "--workers", "3")
    )


# --- no pool -----------------------------------------------------------------------------------------------------


def test_without_a_pool_that_can_be_seen_it_cannot_be_told(tmp_path: Path) -> None:
    """Exit code 3: the report is not wrong, what was asked for is unknown. Of each arm it is said why."""
    with recording(tmp_path, {arm: {} for arm in SIZES}) as recorded:
        for arm in SIZES:
            recorded.requests(arm, [3.0])
        recorded.request(
            "four", 3.5, checkouts=[], errors=[]
        )  # its witness knows the server, and no such pool
    result = advise(recorded.folder)
    assert result.exit_code == 3, result.output
    assert "how its pools were used is not known, so how large one should be cannot be told" in flat(result)
    assert "two: the witness left no file: it did not run in this service" in flat(result)
    assert "four: the witness saw its requests, but no pool that it knows" in flat(result)


def test_the_summary_tells_who_was_left_out(run: Recorded) -> None:
    """By arm, with the reason; and how long a checkout held."""
    told: Any = summary(
        replace(run.measured(), arms={**run.measured().arms, "two": {"DB_POOL_SIZE": "2", "X": "y"}})
    )
    assert told["sizing"]["left_out"] == {"two": "other X"}
    assert {size["held_ms"] for size in told["sizing"]["sizes"]} == {1000.0}
    assert sizing_curve(run.measured()) is not None
