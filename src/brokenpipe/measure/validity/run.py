"""All warnings about the validity of a run: those recorded while it ran, then those that its figures raise.

The codes, their conditions and consequences: `history/validity_codes/`. Their detection is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from brokenpipe.formatting import plural
from brokenpipe.history.reader import History
from brokenpipe.history.records import SelfTest
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.load import UNEQUAL
from brokenpipe.history.validity_codes.plan import FEWEST_EPISODES
from brokenpipe.measure.failures.witness_coverage import COVERAGE_TEXT, WitnessCoverage
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.validity import Health, ValidityWarning
from brokenpipe.measure.silences.warnings import silence_warnings
from brokenpipe.measure.tables.requests import select_with_episode
from brokenpipe.measure.validity.containers import container_warnings
from brokenpipe.measure.validity.database import database_warnings
from brokenpipe.measure.validity.health import undetected_strikes
from brokenpipe.measure.validity.machine import machine_warnings
from brokenpipe.measure.validity.memory import memory_warnings
from brokenpipe.measure.validity.never_sent import never_sent_warnings
from brokenpipe.measure.validity.resumed_run import resumption_warnings
from brokenpipe.measure.validity.unknown_faults import unknown_fault_warnings
from brokenpipe.measure.validity.warm_up import warm_up_warnings
from brokenpipe.plan.scenario import Scenario


def run_warnings(
    history: History,
    scenario: Scenario,
    cells: Mapping[ArmPhase, ArmPhaseStats],
    seen: Mapping[str, WitnessCoverage],
    health: Health,
    contract: tuple[SelfTest, ...],
) -> tuple[ValidityWarning, ...]:
    """Every warning about this run."""
    begun = tuple(dict.fromkeys(name for _, name in cells))
    faulty = tuple(phase for phase in begun if scenario.phase(phase).fault)
    return (
        *_recorded_warnings(history),
        *_unreadable(history),
        *_contract(contract, faulty),
        *_landing(history, scenario, faulty),
        *_traffic(history, cells, scenario.control),
        *never_sent_warnings(history),
        *_repeated(history),
        *container_warnings(history),
        *database_warnings(history, scenario, cells),
        *silence_warnings(history),
        *machine_warnings(history, health),
        *memory_warnings(health.memory),
        *_witness(history),
        *_unwitnessed(cells, seen),
        *_expectation_warnings(scenario, cells),
        *unknown_fault_warnings(history.folder, scenario),
        *resumption_warnings(history),
        *warm_up_warnings(history, scenario, begun),
    )


def _recorded_warnings(history: History) -> Iterator[ValidityWarning]:
    for row in history.rows("SELECT code, text, remedy, unknown, phase, arm FROM doubts ORDER BY t"):
        yield ValidityWarning(*row)


def _unreadable(history: History) -> Iterator[ValidityWarning]:
    for files, lines in history.rows("SELECT files, lines FROM unreadable ORDER BY files"):
        yield ValidityWarning.of(Code.LINES_UNREADABLE, f"{plural(lines, 'line')} of {files} cannot be read")


def _contract(contract: tuple[SelfTest, ...], faulty: tuple[str, ...]) -> Iterator[ValidityWarning]:
    if faulty and not contract:
        yield ValidityWarning.of(
            Code.CONTRACT_NOT_PROBED, "no fault was tried on a raw socket before the experiment"
        )
    for probe in contract:
        if not probe.held:
            yield ValidityWarning.of(
                Code.CONTRACT_NOT_HELD,
                f"{probe.fault_text} did not do what it says on a raw socket ({probe.situation}): "
                f"expected {probe.expected}, seen {probe.seen}",
            )


def _landing(history: History, scenario: Scenario, faulty: tuple[str, ...]) -> Iterator[ValidityWarning]:
    for (arm, phase), (missed, total) in undetected_strikes(history, tuple(scenario.arms), faulty).items():
        if missed and arm in (scenario.phase(phase).arms or scenario.arms):
            not_seen = f"{'was' if missed == 1 else 'were'} not seen by a raw socket"
            text = f"{missed} of {plural(total, 'strike')} on {arm} in {phase} {not_seen}"
            yield ValidityWarning.of(Code.FAULT_DID_NOT_LAND, text, phase=phase, arm=arm)


_STILL_WAITING = """
WITH p AS (FROM stretches)
SELECT r.arm, p.name, count(*) FROM p JOIN requests r
ON r.t < p.t0 AND (r.t_end IS NULL OR r.t_end > p.t0)
GROUP BY ALL
"""


def _traffic(
    history: History, cells: Mapping[ArmPhase, ArmPhaseStats], control: str
) -> Iterator[ValidityWarning]:
    silent = any(cell.requests == 0 for cell in cells.values())
    waiting = {(arm, phase): n for arm, phase, n in history.rows(_STILL_WAITING)} if silent else {}
    for (arm, phase), cell in cells.items():
        expected = cells[control, phase].requests
        if cell.requests == 0:
            why = _why_silent(waiting.get((arm, phase), 0))
            text = f"no request was started on {arm} in {phase}{why}"
            yield ValidityWarning.of(Code.NO_TRAFFIC, text, phase=phase, arm=arm)
        elif cell.requests < expected * UNEQUAL:
            text = f"{arm} received {plural(cell.requests, 'request')} in {phase}, {control} {expected:,}"
            yield ValidityWarning.of(Code.UNEQUAL_LOAD, text, phase=phase, arm=arm)


def _why_silent(waiting: int) -> str:
    """The known reason: users that wait for an answer send no other request."""
    if not waiting:
        return ""
    return f": when it began, users still waited for the answers to {plural(waiting, 'request')} of before"


_REPEATS = f"""
SELECT witness_arm, phase, count(*) FROM ({select_with_episode("FROM repeats", "t")})
WHERE phase IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


def _repeated(history: History) -> Iterator[ValidityWarning]:
    for arm, phase, count in history.rows(_REPEATS):
        again = "was" if count == 1 else "were"
        text = f"at least {plural(count, 'request')} to {arm} in {phase} {again} sent again by the client's library"
        yield ValidityWarning.of(Code.REQUESTS_REPEATED, text, phase=phase, arm=arm)


def _witness(history: History) -> Iterator[ValidityWarning]:
    rows = history.rows("SELECT witness_arm, min(text), count(*) FROM troubles GROUP BY ALL ORDER BY ALL")
    for arm, text, count in rows:
        said = f"the witness in {arm} failed {plural(count, 'time')}, for example: {text}"
        yield ValidityWarning.of(Code.WITNESS_TROUBLE, said, arm=arm)


def _unwitnessed(
    cells: Mapping[ArmPhase, ArmPhaseStats], seen: Mapping[str, WitnessCoverage]
) -> Iterator[ValidityWarning]:
    """A service under another server, or with another pool: its requests cannot be followed to a cause."""
    for arm, what in seen.items():
        unexplained = sum(cell.unexplained for (other, _), cell in cells.items() if other == arm)
        if unexplained and what is not WitnessCoverage.BOTH:
            text = f"{plural(unexplained, 'request')} to {arm} failed, and why is not known: {COVERAGE_TEXT[what]}"
            yield ValidityWarning.of(Code.REQUESTS_UNSEEN, text, arm=arm)


def _expectation_warnings(
    scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats]
) -> Iterator[ValidityWarning]:
    if not scenario.expect:
        yield ValidityWarning.of(
            Code.NOTHING_EXPECTED,
            "the scenario expects nothing of these arms, so nothing can pass",
        )
    on_intervals = dict.fromkeys(each.phase for each in scenario.expect if not each.metric.is_fact)
    for phase in on_intervals:
        counted = max((cell.episodes for (_, name), cell in cells.items() if name == phase), default=None)
        if counted is not None and counted < FEWEST_EPISODES:
            text = f"what is expected of {phase} is decided on {counted} of its episodes"
            yield ValidityWarning.of(Code.FEW_EPISODES, text, phase=phase)
