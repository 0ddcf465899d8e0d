"""Services that are not the sample: without SQLAlchemy, without a line of ours, each with books of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.stack.runs import BURSTS, STEADY, Run, Starter, write_scenario
from tests.strangers.claims import unproven
from tests.strangers.told import Report
from tests.unit.wheels import only_from, write_wheel

from brokenpipe.history.validity_codes import DOUBTS, Code

EXPECT = """
[[expect]]
arm = "*"
phase = "idle"
metric = "broken"
equals = 0
"""

TARGETS = ("listed", "threaded")
PACKAGE, VERSION = "a_package_of_its_own", "0.0.7"


@dataclass(frozen=True)
class Told:
    """What the report says about a run, and what each service wrote into its own books: how each request ended."""

    run: Run
    books: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Told:
    """Both services as the arms of one run, one of them with a package that no other has."""
    folder = tmp_path_factory.mktemp("foreign")
    write_wheel(folder, PACKAGE, VERSION)
    own = {"listed": f', with = ["{PACKAGE}=={VERSION}"]'}
    arms = (
        f'{target} = {{ target = "{target}", LEDGER = "{folder / target}"{own.get(target, "")} }}'
        for target in TARGETS
    )
    scenario = write_scenario(
        folder / "foreign.toml",
        STEADY + BURSTS + EXPECT,
        target=TARGETS[0],
        locustfile=project / "scenarios" / "locustfile.py",
        users=3,
        arms="\n".join(arms),
    )
    run = Starter(folder).run(scenario, cwd=project, html=True, env=only_from(folder))
    books = {
        target: dict(line.split(" ") for line in (folder / target).read_text().splitlines())
        for target in TARGETS
    }
    return Told(run, books)


@pytest.mark.parametrize("target", TARGETS)
def test_its_failures_are_counted_as_it_counts_them(told: Told, target: str) -> None:
    """What the report says failed is what the service itself wrote down, request by request."""
    run, books = told.run, told.books[target]
    assert _heard(run, target) == books
    phases = run.summary["arms"][target]["phases"]
    for phase in ("steady", "idle"):
        asked = _asked(run, target, phase)
        assert phases[phase]["requests"] == len(asked) > 20
        assert phases[phase]["failed"] == sum(books[request] == "failed" for request in asked)
    assert phases["steady"]["failed"] == 0
    assert phases["idle"]["failed"] > 0


def test_its_report_claims_nothing_that_its_history_does_not_prove(told: Told) -> None:
    """The second question, which is asked of all reports of strangers."""
    assert not unproven(Report.read(told.run.folder, told.run.out)), told.run.out


def test_its_arms_differ_in_what_was_installed(told: Told) -> None:
    """An arm has the package that it names, and the other has not; the report says so, and which service each runs."""
    recorded = json.loads((told.run.folder / "environment.json").read_text())["arms"]
    name = PACKAGE.replace("_", "-")
    assert [recorded[arm]["packages"].get(name) for arm in TARGETS] == [VERSION, None]
    arms = told.run.summary["arms"]
    assert arms["listed"]["differs_in"] == {"target": "listed", name: VERSION}
    assert arms["threaded"]["differs_in"] == {"target": "threaded", name: "not installed"}


def test_an_exception_that_leaves_the_service_is_a_cause(told: Told) -> None:
    """In an ASGI application it testifies to a disconnect, although its pool is a list of its own."""
    run = told.run
    idle = run.summary["arms"]["listed"]["phases"]["idle"]
    assert idle["broken"] == idle["stale"] + idle["in_use"] + idle["elsewhere"] == idle["failed"]
    (check,) = (each for each in run.summary["checks"] if each["arm"] == "listed")
    assert check["value"] == idle["failed"]
    # A machine that was too busy says that it cannot tell, whatever it counted.
    grave = [each for each in run.summary["warnings"] if DOUBTS[Code(each["code"])].unknown]
    assert check["verdict"] in ({"fail", "unknown"} if grave else {"fail"})


def test_without_testimony_nobody_calls_a_failure_broken(told: Told) -> None:
    """The service answers 500 and tells nobody why: what rests on causes is unknown, and says so."""
    run = told.run
    idle = run.summary["arms"]["threaded"]["phases"]["idle"]
    assert idle["unexplained"] == idle["failed"]
    (check,) = (each for each in run.summary["checks"] if each["arm"] == "threaded")
    assert check["verdict"] == "unknown"
    assert f"of {idle['failed']} of threaded's failed requests the cause is not known" in check["text"]


def test_its_own_interpreter_runs_it(told: Told) -> None:
    """`python` in target.toml names it; the service says on which one it runs."""
    log = told.run.folder / "logs" / "target-threaded.log"
    assert "elsewhere/bin/python" in log.read_text()


def _heard(run: Run, arm: str) -> dict[str, str]:
    """How each request for /work ended, as the load saw it."""
    return {end["id"]: "failed" if "failure" in end else "fine" for end in _ends(run, arm)}


def _ends(run: Run, arm: str) -> list[dict[str, Any]]:
    return [end for end in run.history("requests.ndjson", "end") if end["arm"] == arm]


def _asked(run: Run, arm: str, phase: str) -> set[str]:
    """The requests that began in an episode of a phase."""
    spans = [
        (each["t0"], each["t1"])
        for each in run.history("experiment.ndjson", "episode")
        if each["phase"] == phase and each["counts"]
    ]
    ends = _ends(run, arm)
    return {each["id"] for each in ends if any(t0 <= each["t0"] < t1 for t0, t1 in spans)}
