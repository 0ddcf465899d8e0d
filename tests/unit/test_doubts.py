"""The closed list of doubts: each is raised by what it says, not raised by what falls just short, and explained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.recorded import KILL, STEADY, Recorded, scenario

from brokenpipe.history import records
from brokenpipe.history.doubts import DOUBTS, Code
from brokenpipe.measure.findings import Findings
from brokenpipe.measure.judgement import Verdict

DOCS = Path(__file__).parents[2] / "docs" / "doubts.md"

# Written down while an experiment runs, by what sees it happen.
LIVE = frozenset(
    {
        Code.NOT_DRAINED, Code.STRIKE_LATE, Code.ACT_FAILED, Code.PROXY_RESTARTED, Code.PROXY_HUNG,
        Code.TOXIPROXY_DIED, Code.TARGET_DIED, Code.TARGET_RESTARTED, Code.POSTGRES_DIED, Code.LOAD_SHAPE,
        Code.PGBOUNCER_DIED,
        Code.CLASS_WITHOUT_USERS, Code.USER_ENDED, Code.TASK_ERROR, Code.NOTICES_CAPPED,
        Code.LEDGER_NOT_SETTLED, Code.WORKER_LOST, Code.USERS_CHANGED,
    }
)  # fmt: skip
LONG = STEADY | {"seconds": 12}
EXPECT = [
    {"arm": "*", "phase": "steady", "metric": "failed", "equals": 0},
    {"arm": "*", "phase": "steady", "metric": "failure_rate", "below": 0.9},
    {"arm": "*", "phase": "kill", "metric": "broken", "equals": 0},
]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """Two arms, twelve steady seconds and two strikes that all landed; nothing failed, nothing was odd."""
    with Recorded(tmp_path / "run", scenario(LONG, KILL, expect=EXPECT)) as recorded:
        _play(recorded)
        yield recorded


def _play(run: Recorded, *, kill: bool = True) -> None:
    run.probe()
    run.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
    for arm in ("plain", "pre_ping"):
        run.requests(arm, [n / 4 for n in range(48)])
    if kill:
        run.phase("kill", [(13, 14, 13.5), (14, 15, 14.5)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [13.1, 13.5, 13.9, 14.1, 14.5, 14.9])
            run.land(arm, "kill", 2)


def _measured(run: Recorded) -> Findings:
    run.finish()
    return run.measured()


def _codes(findings: Findings) -> set[str]:
    return {warning.code for warning in findings.warnings}


# --- what is recorded, for each doubt that figures raise ------------------------------------------------


def _machine(run: Recorded, busy: float = 0.3, stolen: float = 0.0, throttled: float | None = None) -> None:
    for at in (1, 2, 3):
        run.gauge(records.MachineGauge(run.at(at), busy, stolen, throttled))


def _cores(run: Recorded, cores: float) -> None:
    for at in (1, 3):
        run.gauge(records.ProcessGauge(run.at(at), "load", None, cpu_s=at * cores, rss_bytes=1_000))


def _lags(run: Recorded, *lags_ms: float) -> None:
    for n, ms in enumerate(lags_ms):
        run.load(records.Lag(run.at(4 + n / 2), ms))


def _sync(run: Recorded, error_ms: float) -> None:
    run.experiment(records.Sync(run.at(1), "w1", 0, round(error_ms * 1e6)))


def _clocks(run: Recorded, *, wall_s: float = 0.0, slept_s: float = 0.0) -> None:
    """Ticks a second apart. Half-way the wall clock jumps, or the machine sleeps."""
    for n in range(6):
        late = n >= 3
        wall_ns = run.at(n) + (round((wall_s + slept_s) * 1e9) if late else 0)
        boot_ns = run.at(n) + (round(slept_s * 1e9) if late else 0)
        run.gauge(records.Tick(run.at(n), wall_ns, boot_ns))


def _postgres(run: Recorded, *, each_s: int = 10, worked: int = 0, direct: int = 0, used: int = 20) -> None:
    for at in range(1, 12):
        for arm in ("plain", "pre_ping"):
            run.gauge(records.PostgresGauge(run.at(at), arm, 2, 1, 1, 0, at * each_s, worked, direct))
        run.gauge(records.Slots(run.at(at), used, 100))


def _damage(run: Recorded) -> None:
    """Half a line in the middle of a file, and at its end one that is being written."""
    with (run.folder / "nemesis.ndjson").open("ab") as file:
        file.write(b'{"k":"act","t0":1,"ar\n{"k":"finish","t":1,"how":"done"}\n{"k":"act","t0"')


def _cut_off(run: Recorded) -> None:
    """The last line of a file."""
    with (run.folder / "nemesis.ndjson").open("ab") as file:
        file.write(b'{"k":"act","t0":1,"ar')


def _opened(run: Recorded, *times: float) -> None:
    for at in times:
        run.connect("plain", at)


def _out_of_memory(run: Recorded) -> None:
    run.container(5, "agent-plain", "out_of_memory", limit_bytes=96 * 2**20)


def _paused(run: Recorded) -> None:
    run.container(5, "toxiproxy", "paused")
    run.container(6.5, "toxiproxy", "unpaused")


def _by_the_nemesis(run: Recorded) -> None:
    """Each within its act, or a little beside it, as the clock of an engine may be."""
    run.act("plain", "inject", "server_restart · kill", 13.6, "kill")
    run.container(13.61, "postgres", "ended", exit_code=137)
    run.act("plain", "inject", "server_pause · all its processes", 14.6, "kill")
    run.container(14.59, "postgres", "paused")
    run.act("plain", "restart", "none", 14.8, "kill")
    run.container(14.8, "toxiproxy", "ended", exit_code=137)


def _taken_down(run: Recorded) -> None:
    for service in ("agent-plain", "postgres"):
        run.container(16, service, "ended", exit_code=0)


def _probed(run: Recorded) -> None:
    """The contracts are tried on a server of their own."""
    run.container(1, "scratch", "ended", exit_code=137)
    run.container(2, "scratch", "paused")


def _slow_start(run: Recorded, ms: float) -> None:
    for n in range(30):
        run.request("plain", n / 16, ms)


RAISED: Mapping[Code, Callable[[Recorded], None]] = {
    Code.GENERATOR_SATURATED: lambda run: _cores(run, 0.9),
    Code.GENERATOR_STARVED: lambda run: _lags(run, 2, 1_500, 2),
    Code.GENERATOR_LAGGED: lambda run: _lags(run, 2, 800, 2),
    Code.CLOCKS_APART: lambda run: _sync(run, 21.0),
    Code.CONTRACT_NOT_HELD: lambda run: run.probe(held=False),
    Code.UNEQUAL_LOAD: lambda run: run.requests("plain", [13.2, 13.3, 13.4, 13.6, 14.2, 14.3, 14.4]),
    Code.BYPASSES_PROXY: lambda run: _postgres(run, direct=3),
    Code.NO_DATABASE_TRAFFIC: lambda run: _postgres(run, each_s=0),
    Code.WITNESS_TROUBLE: lambda run: run.witness("plain", k="trouble", t=run.at(1), text="AttributeError"),
    Code.LINES_UNREADABLE: _damage,
    Code.OUT_OF_MEMORY: _out_of_memory,
    Code.CONTAINER_PAUSED: _paused,
    Code.POSTGRES_FULL: lambda run: _postgres(run, used=99),
    Code.POSTGRES_NEARLY_FULL: lambda run: _postgres(run, used=92),
    Code.MACHINE_SATURATED: lambda run: _machine(run, busy=0.95),
    Code.MACHINE_BUSY: lambda run: _machine(run, busy=0.7),
    Code.MACHINE_THROTTLED: lambda run: _machine(run, throttled=0.4),
    Code.MACHINE_STOLEN: lambda run: _machine(run, stolen=0.1),
    Code.MACHINE_SUSPENDED: lambda run: _clocks(run, slept_s=60),
    Code.CLOCK_JUMPED: lambda run: _clocks(run, wall_s=-2),
    Code.WARM_UP_SHORT: lambda run: _opened(run, 0.1, 0.2, 0.3, 0.4, 2.1),
}


@pytest.mark.parametrize("code", RAISED)
def test_what_raises_a_doubt(run: Recorded, code: Code) -> None:
    """It raises this one and no other, with the remedy and the consequence of the list."""
    RAISED[code](run)
    findings = _measured(run)
    assert _codes(findings) == {code}
    for warning in findings.warnings:
        assert (warning.remedy, warning.unknown) == (DOUBTS[code].remedy, DOUBTS[code].unknown)
    expected = Verdict.UNKNOWN if DOUBTS[code].unknown else Verdict.PASS
    assert findings.verdict is expected


ALMOST: Mapping[str, Callable[[Recorded], None]] = {
    "nothing": lambda _: None,
    "a last line that was cut off": _cut_off,
    "a generator with a little room": lambda run: _cores(run, 0.84),
    "a worker whose clock is known": lambda run: _sync(run, 19.0),
    "late, not very": lambda run: _lags(run, 90, 90, 90, 90, 450),
    "late between phases": lambda run: run.load(records.Lag(run.at(20), 5_000)),
    "late before the first phase": lambda run: run.load(records.Lag(run.at(-1), 5_000)),
    "a machine at work": lambda run: _machine(run, busy=0.55, stolen=0.04, throttled=0.04),
    "a machine without a quota": lambda run: _machine(run, throttled=None),
    "clocks that drift": lambda run: _clocks(run, wall_s=0.2),
    "a database at work": lambda run: _postgres(run, used=89),
    "sessions too short to be seen": lambda run: _postgres(run, each_s=1),
    "sessions that touch no table": lambda run: _postgres(run, each_s=0, worked=1),
    "containers that the nemesis ended and paused": _by_the_nemesis,
    "containers that are taken down": _taken_down,
    "containers for probes": _probed,
    "a pool that recycles all the time": lambda run: _opened(run, *(n / 4 for n in range(44))),
    "a start no slower than a machine is": lambda run: _slow_start(run, 58),
    "somewhat fewer requests": lambda run: run.requests("plain", [13.2, 13.3, 13.4, 13.6]),
}


@pytest.mark.parametrize("what", ALMOST)
def test_what_raises_no_doubt(run: Recorded, what: str) -> None:
    """What falls short of a doubt is passed over, and the run passes."""
    ALMOST[what](run)
    findings = _measured(run)
    assert findings.warnings == ()
    assert findings.verdict is Verdict.PASS


def test_a_first_episode_that_is_slower(run: Recorded) -> None:
    """A warm-up that was too short shows in the medians as well, if no witness counts connections."""
    _slow_start(run, 200)
    (warning,) = _measured(run).warnings
    assert (warning.code, warning.phase, warning.arm) == (Code.WARM_UP_SHORT, "steady", "plain")


def test_starved_in_half_of_all_half_seconds(run: Recorded) -> None:
    """A generator that is always somewhat late is starved, though it is never very late."""
    _lags(run, 150, 150, 150, 20, 20)
    (warning,) = _measured(run).warnings
    assert (warning.code, warning.phase) == (Code.GENERATOR_STARVED, "steady")


def test_a_generator_that_slept_into_a_phase(run: Recorded) -> None:
    """A lag is told when it is over: one from the steady phase into the kill concerns both."""
    run.load(records.Lag(run.at(13.5), 2_000))
    assert [warning.phase for warning in _measured(run).warnings] == ["steady", "kill"]


def test_what_the_engine_tells_is_said_in_words(run: Recorded) -> None:
    """Who ran out of how much memory, how it ended, and for how long somebody stood still."""
    _out_of_memory(run)
    run.container(5.1, "agent-plain", "ended", exit_code=137)
    run.experiment(replace(records.Doubt.of(Code.TARGET_DIED, "it ended", arm="plain"), t=run.at(5.2)))
    _paused(run)
    found = _measured(run).warnings
    assert [(each.code, each.arm, each.text) for each in found] == [
        (Code.TARGET_DIED, "plain", "it ended"),  # once, by whoever saw it first
        (
            Code.OUT_OF_MEMORY,
            "plain",
            "target of arm plain was out of memory (limit 96 MiB) once: it ended with exit code 137",
        ),
        (
            Code.CONTAINER_PAUSED,
            None,
            "Toxiproxy was made to stand still once, for up to 1.5 s, and not by the nemesis",
        ),
    ]


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("agent-pre_ping", Code.TARGET_DIED), ("postgres", Code.POSTGRES_DIED), ("postgres-place", Code.POSTGRES_DIED),
        ("toxiproxy", Code.TOXIPROXY_DIED), ("pgbouncer", Code.PGBOUNCER_DIED),
    ],
)  # fmt: skip
def test_a_container_that_ended_and_nobody_told(run: Recorded, service: str, code: Code) -> None:
    """Between two calls of the roll there is room for an end; the engine has told it all the same."""
    run.container(5, service, "ended", exit_code=3)
    (warning,) = _measured(run).warnings
    assert (warning.code, "exit code 3" in warning.text) == (code, True)


def test_what_ends_a_part_ends_no_container_by_itself(run: Recorded) -> None:
    """An experiment that was cut off takes its stack down; when it is resumed, a phase follows all the same."""
    _taken_down(run)
    run.experiment(records.Resumed(run.at(20), 2, "brokenpipe resume"))
    run.phase("kill", [(21, 22, 21.5)], first=2)
    assert Code.TARGET_DIED not in _codes(_measured(run))


def test_a_strike_that_was_not_seen(tmp_path: Path) -> None:
    """A fault that did not land makes its phase unknown, and a contract that nobody tried makes all of it."""
    with Recorded(tmp_path, scenario(KILL, expect=EXPECT[2:])) as run:
        run.phase("kill", [(13, 14, 13.5), (14, 15, 14.5)])
        run.requests("plain", [13.1, 14.1])
        run.requests("pre_ping", [13.1, 14.1])
        run.land("plain", "kill", 2)
        run.land("pre_ping", "kill", 2, missed=1)
        findings = _measured(run)
    assert _codes(findings) == {Code.CONTRACT_NOT_PROBED, Code.FAULT_DID_NOT_LAND}
    assert findings.verdict is Verdict.UNKNOWN


def test_nothing_expected_and_nothing_asked(tmp_path: Path) -> None:
    """An arm without requests and a scenario without expectations cannot pass."""
    with Recorded(tmp_path, scenario(STEADY)) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        run.requests("plain", [0.1, 2.1])
        findings = _measured(run)
    assert _codes(findings) == {Code.NOTHING_EXPECTED, Code.NO_TRAFFIC}
    assert findings.verdict is Verdict.UNKNOWN


def test_few_episodes_are_remarked_where_an_interval_decides(tmp_path: Path) -> None:
    """Two blocks cannot show a difference of rates; a count needs no interval, and no remark."""
    for metric, codes in (("broken", set()), ("failure_rate", {Code.FEW_EPISODES})):
        expect = [{"arm": "*", "phase": "steady", "metric": metric, "at_most": 1}]
        with Recorded(tmp_path / metric, scenario(STEADY, expect=expect)) as run:
            run.phase("steady", [(0, 2, None), (2, 4, None)])
            run.requests("plain", [0.1, 2.1])
            run.requests("pre_ping", [0.1, 2.1])
            findings = _measured(run)
        assert _codes(findings) == codes
        assert findings.verdict is Verdict.PASS


@pytest.mark.parametrize("code", sorted(LIVE))
def test_what_was_written_down_while_it_ran(run: Recorded, code: Code) -> None:
    """A doubt of the running experiment arrives in the report as the list has it."""
    run.experiment(replace(records.Doubt.of(code, "it happened", arm="plain"), t=run.at(1)))
    (warning,) = _measured(run).warnings
    assert warning.code == code
    assert (warning.remedy, warning.unknown) == (DOUBTS[code].remedy, DOUBTS[code].unknown)


def test_every_doubt_is_tested() -> None:
    """The list is closed: what is not raised in this module is raised by a running experiment."""
    alone = {
        Code.CONTRACT_NOT_PROBED, Code.FAULT_DID_NOT_LAND, Code.NOTHING_EXPECTED, Code.NO_TRAFFIC, Code.FEW_EPISODES,
    }  # fmt: skip
    alone |= {Code.TOO_FEW_TO_COMPARE}  # in test_comparisons.py
    arrivals = {Code.ARRIVALS_LATE, Code.ARRIVALS_MISSED}  # in test_arrivals.py
    ledger = {
        Code.LEDGER_UNKNOWN,
        Code.LOST_BETWEEN_PHASES,
        Code.ERRORS_SWALLOWED,
    }  # there, and test_swallowed.py
    outcomes = {Code.REQUESTS_UNSEEN}  # in test_outcomes.py
    memory = {Code.MEMORY_GREW, Code.RESUMED}  # in test_memory.py and test_parts.py
    baseline = {Code.BASELINE_IN_DOUBT, Code.BASELINE_NOT_COVERED}  # in test_regression.py
    assert set(RAISED) | LIVE | alone | arrivals | ledger | outcomes | memory | baseline == set(Code)


def test_the_list_and_its_documentation_are_the_same() -> None:
    """docs/doubts.md has a row for each doubt, in the list's own words, and no other row."""
    rows = re.findall(r"^\| (`.*) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    listed = [f"`{code}` | {kind.when} | {kind.consequence} | {kind.remedy}" for code, kind in DOUBTS.items()]
    assert rows == listed
    assert set(DOUBTS) == set(Code)


@pytest.mark.parametrize("code", DOUBTS)
def test_every_doubt_says_what_to_do(code: Code) -> None:
    """The remedy is a sentence; when it is raised is a clause without capital or full stop."""
    assert DOUBTS[code].remedy.endswith(".")
    assert not DOUBTS[code].when.endswith(".")
