"""Services that are not the sample: without SQLAlchemy, without a line of ours, each with books of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.stack.runs import BURSTS, STEADY, Run, Starter, write_scenario
from tests.strangers.claims import unproven
from tests.strangers.told import Report

from brokenpipe.history.validity_codes import DOUBTS, Code

EXPECT = """
[[expect]]
arm = "plain"
phase = "idle"
metric = "broken"
equals = 0
"""


TARGETS = ("listed", "threaded")


@dataclass(frozen=True)
class Told:
    """What the report says about a run, and what the service wrote into its own books: how each request ended."""

    run: Run
    books: dict[str, str]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, project: Path) -> dict[str, Told]:
    """Both services, run at the same time."""
    folders = {target: tmp_path_factory.mktemp(target) for target in TARGETS}
    with ExitStack() as running:
        runs = {target: running.enter_context(_start(target, folders[target], project)) for target in TARGETS}
        for run in runs.values():
            run.end()
    return {
        target: Told(
            run, dict(line.split(" ") for line in (folders[target] / "ledger").read_text().splitlines())
        )
        for target, run in runs.items()
    }


def _start(target: str, folder: Path, project: Path) -> AbstractContextManager[Run]:
    scenario = write_scenario(
        folder / "foreign.toml",
        STEADY + BURSTS + EXPECT,
        target=target,
        locustfile=project / "scenarios" / "locustfile.py",
        users=3,
        env={"LEDGER": str(folder / "ledger")},
    )
    return Starter(folder).start("run", scenario, "--reports", folder / "reports", cwd=project, html=True)


@pytest.mark.parametrize("target", TARGETS)
def test_its_failures_are_counted_as_it_counts_them(told: dict[str, Told], target: str) -> None:
    """What the report says failed is what the service itself wrote down, request by request."""
    run, books = told[target].run, told[target].books
    assert _heard(run) == books
    phases = run.summary["arms"]["plain"]["phases"]
    for phase in ("steady", "idle"):
        asked = _asked(run, phase)
        assert phases[phase]["requests"] == len(asked) > 20
        assert phases[phase]["failed"] == sum(books[request] == "failed" for request in asked)
    assert phases["steady"]["failed"] == 0
    assert phases["idle"]["failed"] > 0


@pytest.mark.parametrize("target", TARGETS)
def test_its_report_claims_nothing_that_its_history_does_not_prove(
    told: dict[str, Told], target: str
) -> None:
    """The second question, which is asked of all reports of strangers."""
    run = told[target].run
    assert not unproven(Report.read(run.folder, run.out)), run.out


def test_an_exception_that_leaves_the_service_is_a_cause(told: dict[str, Told]) -> None:
    """In an ASGI application it testifies to a disconnect, although its pool is not known."""
    run = told["listed"].run
    idle = run.summary["arms"]["plain"]["phases"]["idle"]
    assert idle["broken"] == idle["elsewhere"] == idle["failed"]
    (check,) = run.summary["checks"]
    assert check["value"] == idle["failed"]
    # A machine that was too busy says that it cannot tell, whatever it counted.
    grave = [each for each in run.summary["warnings"] if DOUBTS[Code(each["code"])].unknown]
    assert check["verdict"] in ({"fail", "unknown"} if grave else {"fail"})


def test_without_testimony_nobody_calls_a_failure_broken(told: dict[str, Told]) -> None:
    """The service answers 500 and tells nobody why: what rests on causes is unknown, and says so."""
    run = told["threaded"].run
    idle = run.summary["arms"]["plain"]["phases"]["idle"]
    assert idle["unexplained"] == idle["failed"]
    (check,) = run.summary["checks"]
    assert check["verdict"] == "unknown"
    assert f"of {idle['failed']} of plain's failed requests the cause is not known" in check["text"]


def test_its_own_interpreter_runs_it(told: dict[str, Told]) -> None:
    """`python` in target.toml names it; the service says on which one it runs."""
    log = told["threaded"].run.folder / "logs" / "target-plain.log"
    assert "elsewhere/bin/python" in log.read_text()


def _heard(run: Run) -> dict[str, str]:
    """How each request for /work ended, as the load saw it."""
    return {
        end["id"]: "failed" if "failure" in end else "fine" for end in run.history("requests.ndjson", "end")
    }


def _asked(run: Run, phase: str) -> set[str]:
    """The requests that began in an episode of a phase."""
    spans = [
        (each["t0"], each["t1"])
        for each in run.history("experiment.ndjson", "episode")
        if each["phase"] == phase and each["counts"]
    ]
    ends = run.history("requests.ndjson", "end")
    return {each["id"] for each in ends if any(t0 <= each["t0"] < t1 for t0, t1 in spans)}
