"""The closed list of doubts: each is raised by what it says, not raised by what falls just short, and explained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.measure import warning_cases
from tests.measure.recorded import Recorded
from tests.measure.warning_cases import EXPECT, calm, codes_of, measured
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history import records
from brokenpipe.history.validity_codes import DOUBTS, Code
from brokenpipe.measure.model.verdict import Verdict

DOCS = Path(__file__).parents[2] / "docs" / "doubts.md"

# Written down while an experiment runs, by what sees it happen.
LIVE = frozenset(
    {
        Code.NOT_DRAINED, Code.STRIKE_LATE, Code.ACT_FAILED, Code.PROXY_RESTARTED, Code.PROXY_HUNG,
        Code.TOXIPROXY_DIED, Code.TARGET_DIED, Code.TARGET_RESTARTED, Code.POSTGRES_DIED, Code.LOAD_SHAPE,
        Code.PGBOUNCER_DIED, Code.NOT_BACK_AFTER_RENEWAL,
        Code.CLASS_WITHOUT_USERS, Code.USER_ENDED, Code.TASK_ERROR, Code.NOTICES_CAPPED,
        Code.LEDGER_NOT_SETTLED, Code.WORKER_LOST, Code.USERS_CHANGED,
    }
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    with calm(tmp_path / "run") as recorded:
        yield recorded


RAISED: Mapping[Code, Callable[[Recorded], None]] = {
    Code.GENERATOR_SATURATED: lambda run: warning_cases.cores(run, 0.9),
    Code.GENERATOR_STARVED: lambda run: warning_cases.lags(run, 2, 1_500, 2),
    Code.GENERATOR_LAGGED: lambda run: warning_cases.lags(run, 2, 800, 2),
    Code.GENERATOR_OUT_OF_FILES: lambda run: warning_cases.not_sent(run, "no_files"),
    Code.GENERATOR_OUT_OF_PORTS: lambda run: warning_cases.not_sent(run, "no_ports"),
    Code.GENERATOR_OUT_OF_MEMORY: lambda run: warning_cases.not_sent(run, "no_memory"),
    Code.CLOCKS_APART: lambda run: warning_cases.sync(run, 21.0),
    Code.CONTRACT_NOT_HELD: lambda run: run.probe(held=False),
    Code.UNEQUAL_LOAD: lambda run: run.requests("plain", [13.2, 13.3, 13.4, 13.6, 14.2, 14.3, 14.4]),
    Code.LOAD_STOPPED: lambda run: run.silence("load", 2, 11.5),
    Code.TOXIPROXY_STOPPED: lambda run: run.silence("toxiproxy", 2, None),
    Code.OUT_OF_FILES: lambda run: run.silence("toxiproxy", 2, 2.25, how="no_files"),
    Code.SERVICE_STOPPED: lambda run: run.silence("target", 2, 2.75, arm="plain"),
    Code.PGBOUNCER_HUNG: lambda run: run.silence("pgbouncer", 2, 4, how="no_answer", pid=None),
    Code.POSTGRES_HUNG: lambda run: run.silence("postgres", 2, 11.5),
    Code.HARNESS_STOPPED: lambda run: run.silence("harness", 2, 3.5, how="late", pid=None),
    Code.JANITOR_LOST: lambda run: run.silence("janitor", 2, None, how="ended"),
    Code.BYPASSES_PROXY: lambda run: warning_cases.postgres(run, direct=3),
    Code.NO_DATABASE_TRAFFIC: lambda run: warning_cases.postgres(run, each_s=0),
    Code.WITNESS_TROUBLE: lambda run: run.witness("plain", k="trouble", t=run.at(1), text="AttributeError"),
    Code.LINES_UNREADABLE: warning_cases.damage,
    Code.POSTGRES_CRASHED: warning_cases.crashed,
    Code.SESSIONS_TERMINATED: warning_cases.killed,
    Code.OUT_OF_MEMORY: warning_cases.out_of_memory,
    Code.CONTAINER_PAUSED: warning_cases.paused,
    Code.POSTGRES_FULL: lambda run: warning_cases.postgres(run, used=99),
    Code.POSTGRES_NEARLY_FULL: lambda run: warning_cases.postgres(run, used=92),
    Code.MACHINE_SATURATED: lambda run: warning_cases.machine(run, busy=0.95),
    Code.MACHINE_BUSY: lambda run: warning_cases.machine(run, busy=0.7),
    Code.MACHINE_THROTTLED: lambda run: warning_cases.machine(run, throttled=0.4),
    Code.MACHINE_STOLEN: lambda run: warning_cases.machine(run, stolen=0.1),
    Code.MACHINE_SUSPENDED: lambda run: warning_cases.clocks(run, slept_s=60),
    Code.CLOCK_JUMPED: lambda run: warning_cases.clocks(run, wall_s=-2),
    Code.WARM_UP_SHORT: lambda run: warning_cases.opened(run, 0.1, 0.2, 0.3, 0.4, 2.1),
}


# What lies in other files, or at other times, and does not explain each other, stands together in one history.
TOGETHER: tuple[frozenset[Code], ...] = (
    frozenset(
        {
            Code.LOAD_STOPPED, Code.TOXIPROXY_STOPPED, Code.SERVICE_STOPPED, Code.PGBOUNCER_HUNG, Code.POSTGRES_HUNG,
            Code.HARNESS_STOPPED, Code.JANITOR_LOST,
        }
    ),
    frozenset(
        {
            Code.GENERATOR_SATURATED, Code.CLOCKS_APART, Code.CONTRACT_NOT_HELD, Code.GENERATOR_OUT_OF_FILES,
            Code.MACHINE_SATURATED, Code.WITNESS_TROUBLE, Code.OUT_OF_MEMORY, Code.LINES_UNREADABLE,
            Code.SESSIONS_TERMINATED,
        }
    ),
    frozenset(
        {
            Code.GENERATOR_STARVED, Code.GENERATOR_OUT_OF_PORTS, Code.BYPASSES_PROXY, Code.POSTGRES_CRASHED,
            Code.MACHINE_BUSY,
        }
    ),
    frozenset(
        {
            Code.GENERATOR_LAGGED, Code.GENERATOR_OUT_OF_MEMORY, Code.NO_DATABASE_TRAFFIC, Code.MACHINE_THROTTLED,
            Code.UNEQUAL_LOAD,
        }
    ),
    frozenset({Code.POSTGRES_FULL, Code.MACHINE_STOLEN, Code.CLOCK_JUMPED, Code.WARM_UP_SHORT, Code.OUT_OF_FILES}),
    frozenset({Code.POSTGRES_NEARLY_FULL, Code.CONTAINER_PAUSED, Code.MACHINE_SUSPENDED}),
)  # fmt: skip


@pytest.mark.parametrize("codes", TOGETHER, ids=lambda codes: ", ".join(sorted(codes)))
def test_what_raises_a_doubt(run: Recorded, codes: frozenset[Code]) -> None:
    """Each cause raises its doubt and no other, with the remedy and the consequence of the list."""
    for code in sorted(codes):
        RAISED[code](run)
    findings = measured(run)
    assert codes_of(findings) == codes
    for warning in findings.warnings:
        kind = DOUBTS[Code(warning.code)]
        assert (warning.remedy, warning.unknown) == (kind.remedy, kind.unknown)
    unknown = any(DOUBTS[code].unknown for code in codes)
    assert findings.verdict is (Verdict.UNKNOWN if unknown else Verdict.PASS)


def test_each_cause_is_in_one_history() -> None:
    """None is left out, and none is tried beside itself."""
    assert sorted(code for codes in TOGETHER for code in codes) == sorted(RAISED)


def _a_generator_at_work(run: Recorded) -> None:
    """It has a little room, its worker's clock is known, and it is late: not very, between phases, before the first."""
    warning_cases.cores(run, 0.84)
    warning_cases.sync(run, 19.0)
    run.load(records.LoopLag(run.at(-1), 5_000))
    warning_cases.lags(run, 90, 90, 90, 90, 450)
    run.load(records.LoopLag(run.at(20), 5_000))


def _a_machine_without_a_quota(run: Recorded) -> None:
    """And with clocks that drift."""
    warning_cases.machine(run, throttled=None)
    warning_cases.clocks(run, wall_s=0.2)


def _containers(run: Recorded) -> None:
    """Those for probes, those that the nemesis ended and paused, and those that are taken down."""
    warning_cases.probed(run)
    warning_cases.by_the_nemesis(run)
    warning_cases.taken_down(run)


def _a_service_at_work(run: Recorded) -> None:
    """Its pool recycles all the time, and its sessions touch no table."""
    warning_cases.postgres(run, each_s=0, worked=1)
    warning_cases.opened(run, *(n / 4 for n in range(44)))


def _much_at_once(run: Recorded) -> None:
    """The generator, the machine and the database have little room, containers end on purpose, a line is cut off."""
    _a_generator_at_work(run)
    warning_cases.machine(run, busy=0.55, stolen=0.04, throttled=0.04)
    warning_cases.postgres(run, used=89)
    _containers(run)
    warning_cases.cut_off(run)


def _a_server_that_was_restarted(run: Recorded) -> None:
    """With its postmaster; the machine has no quota, and sessions are too short to be seen."""
    _a_machine_without_a_quota(run)
    warning_cases.postgres(run, each_s=1)
    warning_cases.crashed(run, postmaster=True)


def _sessions_ended_by_the_nemesis(run: Recorded) -> None:
    """Beside them one arm had somewhat fewer requests."""
    warning_cases.killed(run, act="backend_kill")
    run.requests("plain", [13.2, 13.3, 13.4, 13.6])


def _sessions_that_ended_with_the_server(run: Recorded) -> None:
    """Beside them a start no slower than a machine is."""
    warning_cases.killed(run, act="server_restart")
    warning_cases.slow_start(run, 58)


# What lies in other files, or at other times, stands together: each doubt would be seen beside the others.
ALMOST: Mapping[str, Callable[[Recorded], None]] = {
    "nothing": lambda _: None,
    "much at once": _much_at_once,
    "a server that was restarted": _a_server_that_was_restarted,
    "sessions that the nemesis terminated": _sessions_ended_by_the_nemesis,
    "sessions that ended with the server": _sessions_that_ended_with_the_server,
    "a service at work": _a_service_at_work,
}


@pytest.mark.parametrize("what", ALMOST)
def test_what_raises_no_doubt(run: Recorded, what: str) -> None:
    """What falls short of a doubt is passed over, and the run passes."""
    ALMOST[what](run)
    findings = measured(run)
    assert findings.warnings == ()
    assert findings.verdict is Verdict.PASS


def test_a_first_episode_that_is_slower(run: Recorded) -> None:
    """A warm-up that was too short shows in the medians as well, if no witness counts connections."""
    warning_cases.slow_start(run, 200)
    (warning,) = measured(run).warnings
    assert (warning.code, warning.phase, warning.arm) == (Code.WARM_UP_SHORT, "steady", "plain")


def test_starved_in_half_of_all_half_seconds(run: Recorded) -> None:
    """A generator that is always somewhat late is starved, though it is never very late."""
    warning_cases.lags(run, 150, 150, 150, 20, 20)
    (warning,) = measured(run).warnings
    assert (warning.code, warning.phase) == (Code.GENERATOR_STARVED, "steady")


def test_a_generator_that_slept_into_a_phase(run: Recorded) -> None:
    """A lag is told when it is over: one from the steady phase into the kill concerns both."""
    run.load(records.LoopLag(run.at(13.5), 2_000))
    assert [warning.phase for warning in measured(run).warnings] == ["steady", "kill"]


def test_a_strike_that_was_not_seen(tmp_path: Path) -> None:
    """A fault that did not land makes its phase unknown, and a contract that nobody tried makes all of it."""
    with Recorded(tmp_path, scenario(KILL, expect=EXPECT[2:])) as run:
        run.phase("kill", [(13, 14, 13.5), (14, 15, 14.5)])
        run.requests("plain", [13.1, 14.1])
        run.requests("pre_ping", [13.1, 14.1])
        run.land("plain", "kill", 2)
        run.land("pre_ping", "kill", 2, missed=1)
        findings = measured(run)
    assert codes_of(findings) == {Code.CONTRACT_NOT_PROBED, Code.FAULT_DID_NOT_LAND}
    assert findings.verdict is Verdict.UNKNOWN


def test_nothing_expected_and_nothing_asked(tmp_path: Path) -> None:
    """An arm without requests and a scenario without expectations cannot pass."""
    with Recorded(tmp_path, scenario(STEADY)) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        run.requests("plain", [0.1, 2.1])
        findings = measured(run)
    assert codes_of(findings) == {Code.NOTHING_EXPECTED, Code.NO_TRAFFIC}
    assert findings.verdict is Verdict.UNKNOWN


def test_few_episodes_are_remarked_where_an_interval_decides(tmp_path: Path) -> None:
    """Two blocks cannot show a difference of rates; a count needs no interval, and no remark."""
    for metric, codes in (("broken", set()), ("failure_rate", {Code.FEW_EPISODES})):
        expect = [{"arm": "*", "phase": "steady", "metric": metric, "at_most": 1}]
        with Recorded(tmp_path / metric, scenario(STEADY, expect=expect)) as run:
            run.phase("steady", [(0, 2, None), (2, 4, None)])
            run.requests("plain", [0.1, 2.1])
            run.requests("pre_ping", [0.1, 2.1])
            findings = measured(run)
        assert codes_of(findings) == codes
        assert findings.verdict is Verdict.PASS


def test_what_was_written_down_while_it_ran(run: Recorded) -> None:
    """Each doubt of the running experiment arrives in the report as the list has it."""
    for code in sorted(LIVE):
        run.experiment(replace(records.RecordedDoubt.of(code, "it happened", arm="plain"), t=run.at(1)))
    arrived = {warning.code: (warning.remedy, warning.unknown) for warning in measured(run).warnings}
    assert arrived == {code: (DOUBTS[code].remedy, DOUBTS[code].unknown) for code in LIVE}


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
    service = {Code.SERVICE_BROKEN}  # in test_broken_service.py
    repeated = {Code.REQUESTS_REPEATED}  # in test_leaving.py
    silences = {Code.GAUGES_SILENT}  # in test_silences.py
    outcomes |= {Code.FAULT_NOT_INSTALLED}  # in test_fault_not_installed.py
    memory = {Code.MEMORY_GREW, Code.RESUMED}  # in test_memory.py and test_parts.py
    memory |= {
        Code.HISTORY_INCOMPLETE,
        Code.HISTORY_CHANGED,
    }  # in test_missing_files.py, sabotage/test_folders.py
    baseline = {Code.BASELINE_IN_DOUBT, Code.BASELINE_NOT_COVERED}  # in test_regression.py
    elsewhere = alone | arrivals | ledger | outcomes | service | repeated | silences | memory | baseline
    assert set(RAISED) | LIVE | elsewhere == set(Code)


def test_the_list_and_its_documentation_are_the_same() -> None:
    """docs/doubts.md has a row for each doubt, in the list's own words, and no other row."""
    rows = re.findall(r"^\| (`.*) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    listed = [f"`{code}` | {kind.when} | {kind.consequence} | {kind.remedy}" for code, kind in DOUBTS.items()]
    assert rows == listed
    assert set(DOUBTS) == set(Code)


@pytest.mark.parametrize("stands", ["counts", "nothing"])
def test_what_a_doubt_cannot_hide_is_documented(stands: str) -> None:
    """docs/doubts.md names the doubts beside which every count stands, and those beside which nothing does."""
    what = {"counts": "every count above its bound", "nothing": "nothing"}[stands]
    (row,) = re.findall(rf"^\| ([a-z_, ]+) \| {what} \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {code.value for code, kind in DOUBTS.items() if kind.unknown and kind.stands == stands}
    assert set(row.split(", ")) == listed


@pytest.mark.parametrize("code", DOUBTS)
def test_every_doubt_says_what_to_do(code: Code) -> None:
    """The remedy is a sentence; when it is raised is a clause without capital or full stop."""
    assert DOUBTS[code].remedy.endswith(".")
    assert not DOUBTS[code].when.endswith(".")
