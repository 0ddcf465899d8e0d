"""Reasons to mistrust the instrument, each with its remedy and its consequence for the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from brokenpipe.history.reader import History
from brokenpipe.measure.cells import Place
from brokenpipe.measure.findings import Cell, ContractProbe, Health, Warn
from brokenpipe.measure.health import missed_landings
from brokenpipe.measure.numbers import percent
from brokenpipe.plan.scenario import Scenario

SATURATED_CORES = 0.85  # one Locust process has one core; above this it sends later than users would
SATURATED_MACHINE = 0.9
BUSY_MACHINE = 0.6  # latencies begin to measure the machine
LAG_MS = 500.0
STOLEN = 0.05
UNEQUAL = 0.5  # of the control's requests


def doubts(
    history: History,
    scenario: Scenario,
    cells: Mapping[Place, Cell],
    health: Health,
    contract: tuple[ContractProbe, ...],
) -> tuple[Warn, ...]:
    """Every doubt about this run: those written down while it ran, then those its figures raise."""
    faulty = tuple(phase for phase in dict.fromkeys(name for _, name in cells) if scenario.phase(phase).fault)
    return (
        *_written(history),
        *_contract(contract, faulty),
        *_landing(history, tuple(scenario.arms), faulty),
        *_traffic(cells, scenario.control),
        *_saturation(health),
        *_witness(history),
        *_nothing_expected(scenario),
    )


def _written(history: History) -> Iterator[Warn]:
    for row in history.rows("SELECT code, text, remedy, unknown, phase, arm FROM doubts ORDER BY t"):
        yield Warn(*row)


def _nothing_expected(scenario: Scenario) -> Iterator[Warn]:
    if not scenario.expect:
        yield Warn(
            "nothing_expected",
            "the scenario expects nothing of these arms, so nothing can pass",
            "Add an [[expect]] to the scenario.",
            unknown=True,
        )


def _contract(contract: tuple[ContractProbe, ...], faulty: tuple[str, ...]) -> Iterator[Warn]:
    if faulty and not contract:
        yield Warn(
            "contract_not_probed",
            "no fault was tried on a raw socket before the experiment",
            "Run again; every experiment begins with that.",
            unknown=True,
        )
    for probe in contract:
        if not probe.held:
            yield Warn(
                "contract_not_held",
                f"{probe.fault} did not do what it says on a raw socket ({probe.situation}): "
                f"expected {probe.expected}, seen {probe.seen}",
                "Run `brokenpipe doctor`; if it repeats, this machine cannot measure that fault.",
                unknown=True,
            )


def _landing(history: History, arms: tuple[str, ...], faulty: tuple[str, ...]) -> Iterator[Warn]:
    for (arm, phase), (missed, total) in missed_landings(history, arms, faulty).items():
        if missed:
            yield Warn(
                "fault_did_not_land",
                f"{missed} of {total} strikes on {arm} in {phase} were not seen by a raw socket",
                "Lower the load (--users) or run again; nothing that was not hit can survive.",
                unknown=True,
                phase=phase,
                arm=arm,
            )


def _traffic(cells: Mapping[Place, Cell], control: str) -> Iterator[Warn]:
    for (arm, phase), cell in cells.items():
        expected = cells[control, phase].requests
        if cell.requests == 0:
            yield Warn(
                "no_traffic",
                f"no request was started on {arm} in {phase}",
                "Look at logs/load.log and at the locustfile.",
                unknown=True,
                phase=phase,
                arm=arm,
            )
        elif cell.requests < expected * UNEQUAL:
            yield Warn(
                "unequal_load",
                f"{arm} received {cell.requests} requests in {phase}, {control} {expected}",
                "Users wait for answers, so a slow arm asks less; compare rates, not counts.",
                unknown=False,
                phase=phase,
                arm=arm,
            )


def _saturation(health: Health) -> Iterator[Warn]:
    for process in health.processes:
        if process.role == "load" and process.mean_cores > SATURATED_CORES:
            yield Warn(
                "generator_saturated",
                f"Locust used {percent(process.mean_cores)} of its core",
                "Lower --users: a generator without room sends late, and its latencies are its own.",
                unknown=True,
            )
    if health.machine_busy is not None and health.machine_busy > BUSY_MACHINE:
        yield Warn(
            "machine_busy",
            f"the machine was {percent(health.machine_busy)} busy",
            "Lower --users or run fewer arms (--only); latencies include the wait for a core.",
            unknown=health.machine_busy > SATURATED_MACHINE,
        )
    if health.worst_lag_ms is not None and health.worst_lag_ms > LAG_MS:
        yield Warn(
            "generator_lagged",
            f"Locust's event loop once woke {health.worst_lag_ms:.0f} ms late",
            "Something else held the processor; run again if latencies matter.",
            unknown=False,
        )
    if health.machine_stolen is not None and health.machine_stolen > STOLEN:
        yield Warn(
            "machine_stolen",
            f"a hypervisor took {percent(health.machine_stolen)} of the processor away",
            "Latencies include that; run on a quieter machine.",
            unknown=False,
        )


def _witness(history: History) -> Iterator[Warn]:
    rows = history.rows("SELECT witness_arm, min(text), count(*) FROM troubles GROUP BY ALL ORDER BY ALL")
    for arm, text, count in rows:
        yield Warn(
            "witness_trouble",
            f"the witness in {arm} failed {count} times, for example: {text}",
            "Its counts are lower bounds; please report this with your versions.",
            unknown=True,
            arm=arm,
        )
