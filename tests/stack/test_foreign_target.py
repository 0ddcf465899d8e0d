"""Services that are not the sample: without SQLAlchemy, without a line of ours, each with books of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stack.runs import BURSTS, STEADY, Run, Starter, write_scenario

EXPECT = """
[[expect]]
arm = "plain"
phase = "idle"
metric = "broken"
equals = 0
"""


@pytest.fixture(params=["listed", "threaded"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_its_failures_are_counted_as_it_counts_them(brokenpipe: Starter, project: Path, target: str) -> None:
    """What the report says failed is what the service itself wrote down, request by request."""
    ledger = brokenpipe.folder / "ledger"
    scenario = write_scenario(
        brokenpipe.folder / "foreign.toml",
        STEADY + BURSTS + EXPECT,
        target=target,
        locustfile=project / "scenarios" / "locustfile.py",
        users=3,
        env={"LEDGER": str(ledger)},
    )
    run = brokenpipe.run(scenario, cwd=project)
    books = dict(line.split(" ") for line in ledger.read_text().splitlines())
    assert _heard(run) == books
    phases = run.summary["arms"]["plain"]["phases"]
    for phase in ("steady", "idle"):
        asked = _asked(run, phase)
        assert phases[phase]["requests"] == len(asked) > 20
        assert phases[phase]["failed"] == sum(books[request] == "failed" for request in asked)
    assert phases["steady"]["failed"] == 0
    assert phases["idle"]["failed"] > 0
    _CAUSES[target](run)


def _causes_of_listed(run: Run) -> None:
    """The exception that leaves an ASGI application testifies to a disconnect, without a pool that is known."""
    idle = run.summary["arms"]["plain"]["phases"]["idle"]
    assert idle["broken"] == idle["elsewhere"] == idle["failed"]
    (check,) = run.summary["checks"]
    assert check["verdict"] == "fail"


def _causes_of_threaded(run: Run) -> None:
    """Nobody in there testifies, so nobody knows whether a request was broken: the check says that."""
    idle = run.summary["arms"]["plain"]["phases"]["idle"]
    assert idle["unexplained"] == idle["failed"]
    (check,) = run.summary["checks"]
    assert check["verdict"] == "unknown"
    assert "testimony" in check["text"] or "cause" in check["text"], check["text"]
    assert "elsewhere/bin/python" in (run.folder / "logs" / "target-plain.log").read_text()


_CAUSES = {"listed": _causes_of_listed, "threaded": _causes_of_threaded}


def _heard(run: Run) -> dict[str, str]:
    """How each request for /work ended, as the load saw it."""
    return {
        end["id"]: "failed" if end["failure"] else "fine" for end in run.history("requests.ndjson", "end")
    }


def _asked(run: Run, phase: str) -> set[str]:
    """The requests that began in an episode of a phase."""
    spans = [
        (each["t0"], each["t1"])
        for each in run.history("experiment.ndjson", "episode")
        if each["phase"] == phase and each["counts"]
    ]
    starts = run.history("requests.ndjson", "start")
    return {each["id"] for each in starts if any(t0 <= each["t"] < t1 for t0, t1 in spans)}
