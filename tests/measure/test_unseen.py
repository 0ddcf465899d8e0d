"""What is not seen is not known: of services whose pool, or whose requests, the witness does not know.

Each arm here fails as a service did that nobody of us had chosen: Flask, granian, asyncpg's own pool under uvicorn.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.measure.attribution_cases import CANCELLED, PORT, fails, of, opened
from tests.measure.recorded import RESET, Recorded, link
from tests.report.test_terminal import printed
from tests.unit.plans import KILL, scenario

from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.failures.witness_coverage import COVERAGE_TEXT, WitnessCoverage
from brokenpipe.measure.model.attribution import Relation
from brokenpipe.measure.model.findings import Findings
from brokenpipe.report import texts
from brokenpipe.report.ci.markdown import escape_markdown, markdown
from brokenpipe.report.ci.summary import summary
from brokenpipe.report.run import headline_sentences, table
from brokenpipe.report.run.html import render_html


def recorded(folder: Path, seen: WitnessCoverage, *, failing: int = 4, **how: Any) -> Recorded:
    """One strike on an arm of which this much was seen, and requests that failed of it, the service said nothing."""
    run = Recorded(folder, scenario(KILL | {"episodes": 1}))
    run.probe()
    run.phase("kill", [(0, 2, 0.5)])
    run.act("plain", "inject", "socket_kill", 0.5, "kill", 0)
    for arm in ("plain", "pre_ping"):
        run.land(arm, "kill", 1)
        look(run, arm, seen)
        run.requests(arm, [0.1, 0.2, 1.0, 1.2])
    opened(run, 0.05)
    for n in range(failing):
        run.request("plain", 0.6 + n / 100, **{"status": 500, "failure": "status", **how})
    run.finish()
    return run


def look(run: Recorded, arm: str, seen: WitnessCoverage) -> None:
    """What a witness writes that sees this much and of no failure anything."""
    if seen is not WitnessCoverage.NO_FILE:
        run.witness(arm, k="nothing")
    if seen.pools:
        run.connect(arm, 0)
    if seen.requests:
        sums = dict.fromkeys(
            ("requests", "checkouts", "pings", "ping_ms", "wait_ms", "held_ms", "connects"), 0
        )
        run.witness(arm, k="tally", t0=run.at(0), t=run.at(1), waits_ms=[], connect_ms=0, **sums)


@pytest.fixture(scope="module", params=WitnessCoverage, ids=lambda seen: seen.value)
def seen(request: pytest.FixtureRequest) -> WitnessCoverage:
    """How much of the arms was seen. Tests of one kind of sight run one after the other."""
    return WitnessCoverage(request.param)


@pytest.fixture(scope="module")
def findings(seen: WitnessCoverage, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Of four failed requests after a strike, measured once for each kind of sight."""
    with recorded(tmp_path_factory.mktemp("seen"), seen) as run:
        return run.measured()


def test_what_the_witness_saw_is_said_of_each_arm(findings: Findings, seen: WitnessCoverage) -> None:
    """No file, nothing it knows, pools without requests, requests without a pool: each is told apart, everywhere."""
    assert findings.witness_coverage == {"plain": seen, "pre_ping": seen}
    assert summary(findings)["arms"]["plain"]["witness"] == {  # type: ignore[index]
        "requests": seen.requests,
        "pools": seen.pools,
        "seen": seen.value,
        "libraries": None,  # a history of before
        "websockets": None,
    }
    assert COVERAGE_TEXT[seen] in render_html(findings)
    assert (COVERAGE_TEXT[seen] in " ".join(printed(findings, 120).split())) == (
        seen is not WitnessCoverage.BOTH
    )
    assert (f"- plain, pre_ping: {escape_markdown(COVERAGE_TEXT[seen])}" in markdown(findings)) == (
        seen is not WitnessCoverage.BOTH
    )
    doubts = [each.text for each in findings.warnings if each.code == "requests_unseen"]
    assert doubts == (
        []
        if seen is WitnessCoverage.BOTH
        else [f"4 requests to plain failed, and why is not known: {COVERAGE_TEXT[seen]}"]
    )


def test_the_libraries_of_an_arm_are_said(tmp_path: Path) -> None:
    """Each plane by library and version, once however many processes; a plane without one says so."""
    run = recorded(tmp_path, WitnessCoverage.REQUESTS)
    for library, version in (("gunicorn", "27.0.1"), ("uvicorn", "0.54.0"), ("uvicorn", "0.54.0")):
        run.witness("plain", k="plane", t=run.at(0), plane="requests", library=library, version=version)
    run.witness("plain", k="plane", t=run.at(0), plane="connections", library="wsgiref", version=None)
    run.witness("plain", k="websocket", t=run.at(0), pid=1)
    with run:
        findings = run.measured()
    said = summary(findings)["arms"]["plain"]["witness"]  # type: ignore[index]
    assert said["libraries"] == {
        "requests": ["gunicorn 27.0.1", "uvicorn 0.54.0"],
        "pools": [],
        "connections": ["wsgiref"],
    }
    assert said["websockets"] == 1
    text = (
        f"{COVERAGE_TEXT[WitnessCoverage.REQUESTS]}; requests: gunicorn 27.0.1, uvicorn 0.54.0; pools: none; "
        "connections: wsgiref; 1 WebSocket connection, whose messages are not followed"
    )
    assert text in render_html(findings)
    assert f"plain: {text}" in " ".join(printed(findings, 120).split())


def test_connections_outside_of_any_pool_are_no_pool(tmp_path: Path) -> None:
    """A service that keeps connections itself has been seen as one that has a pool, and it is not said to have one."""
    run = recorded(tmp_path, WitnessCoverage.BOTH)
    run.witness("plain", k="plane", t=run.at(0), plane="connections", library="psycopg", version="3.3.9")
    with run:
        said = dict.fromkeys(text for text, _ in texts.describe_coverage(run.measured()))
    assert list(said) == [
        (
            "the witness saw its requests and its connections, which are in no pool that it knows; requests: none; "
            "pools: none; connections: psycopg 3.3.9"
        ),
        "the witness saw its requests and its pools",
    ]


@pytest.mark.parametrize(
    "seen", [each for each in WitnessCoverage if each is not WitnessCoverage.BOTH], indirect=True
)
def test_an_unseen_failure_is_no_acquittal(findings: Findings, seen: WitnessCoverage) -> None:
    """A strike killed them, and nobody saw it: not "owed to no fault", not "no disconnect", not 0 broken."""
    cell = findings.cell("plain", "kill")
    assert (cell.failed, cell.unexplained, cell.otherwise, cell.known_broken) == (4, 4, 0, None)
    assert cell.attribution is not None
    assert dict(cell.attribution.by_relation) == {Relation.UNKNOWN: 4}
    assert (cell.masked, cell.pool_cost, cell.swallowed) == (None, None, None)
    assert headline_sentences.headline_sentences(findings)[0] == (
        f"Of the 4 failed requests of plain, 4 {texts.CANNOT_BE_DETERMINED} "
        f"({COVERAGE_TEXT[seen]}, so they cannot be followed)."
    )
    (group,) = findings.failures
    assert texts.describe_failure_kind(group) == texts.CAUSE_NOT_KNOWN
    page = render_html(findings)
    assert texts.NOT_A_DISCONNECT not in page
    assert texts.BY_NO_FAULT not in page
    assert [row.places[0].broke for row in table.arm_rows(findings)] == [
        "nothing seen to break",
        "nothing broke",
    ]


@pytest.mark.parametrize(
    "seen", [WitnessCoverage.NO_FILE, WitnessCoverage.POOLS, WitnessCoverage.REQUESTS], indirect=True
)
def test_what_is_unknown_is_null_and_has_a_column(findings: Findings, seen: WitnessCoverage) -> None:
    """summary.json has null, tables a column and a dash; none of them a zero."""
    place = json.loads(json.dumps(summary(findings)))["arms"]["plain"]["phases"]["kill"]
    assert {
        name: place[name] for name in ("broken", "stale", "in_use", "broken_pipe_rate", "ci95")
    } == dict.fromkeys(("broken", "stale", "in_use", "broken_pipe_rate", "ci95"))
    assert {
        name: place[name] for name in ("masked", "masked_by", "price", "swallowed", "pool")
    } == dict.fromkeys(("masked", "masked_by", "price", "swallowed", "pool"))
    assert (place["failed"], place["unexplained"], place["otherwise"]) == (4, 4, 0)
    shown = [each.split() for each in printed(findings, 80).splitlines()]
    assert ["other", "unknown", "masked", "p95"] in [each[-4:] for each in shown]
    line = next(each for each in shown if each and each[0] == "plain" and len(each) > 6)
    assert line[-7:-2] == ["–", "–", "0", "4", "–"]
    assert f"4 failed, {texts.CAUSE_NOT_KNOWN}" in markdown(findings)
    assert f"4 failed, {texts.CAUSE_NOT_KNOWN}" in render_html(findings)


@pytest.mark.parametrize(
    "how",
    [
        {"status": 0, "failure": "timeout", "ms": 1000},
        {"status": 0, "failure": "transport"},
        {"status": 404, "failure": "status"},
        {"status": 200, "failure": "declared"},
    ],
)
def test_whatever_a_client_saw_is_no_cause(tmp_path: Path, how: dict[str, Any]) -> None:
    """Unanswered, broken off, 404, declared: of a service that is not seen, any of these may have been a disconnect."""
    with recorded(tmp_path, WitnessCoverage.NO_FILE, **how) as run:
        findings = run.measured()
    (group,) = findings.failures
    assert texts.describe_failure_kind(group) == texts.CAUSE_NOT_KNOWN
    assert findings.cell("plain", "kill").known_broken is None


def test_a_wrong_result_is_known_to_its_client(tmp_path: Path) -> None:
    """The answer to another question: no witness is needed to say what that is."""
    how: dict[str, Any] = {"status": 200, "failure": "declared", "error": "wrong result: 7 instead of 8"}
    with recorded(tmp_path, WitnessCoverage.NO_FILE, **how) as run:
        findings = run.measured()
    assert (findings.cell("plain", "kill").unexplained, findings.cell("plain", "kill").known_broken) == (0, 0)
    assert [texts.describe_failure_kind(group) for group in findings.failures] == [texts.NOT_A_DISCONNECT]


def test_a_disconnect_on_a_connection_that_is_not_seen(tmp_path: Path) -> None:
    """asyncpg's own pool under uvicorn: the exception tells that it broke, nothing tells stale from in use."""
    with recorded(tmp_path, WitnessCoverage.REQUESTS, failing=0) as run:
        request = run.request("plain", 0.6, status=500, failure="status")
        raised(run, request, RESET)
        findings = run.measured()
    cell = findings.cell("plain", "kill")
    assert (cell.broken, cell.elsewhere, cell.unexplained, cell.states_known) == (1, 1, 0, False)
    assert cell.attribution is not None
    assert dict(cell.attribution.by_relation) == {Relation.UNKNOWN: 1}, (
        "no connection is known: it cannot be followed to the strike"
    )
    place = json.loads(json.dumps(summary(findings)))["arms"]["plain"]["phases"]["kill"]
    assert (place["broken"], place["stale"], place["in_use"]) == (1, None, None)
    line = next(each.split() for each in printed(findings, 120).splitlines() if "(control)" in each)
    assert line[-7:-2] == ["–", "–", "0", "1", "–"]


def raised(run: Recorded, request: str, chain: Any, **line: Any) -> None:
    """What left the application, in the course of a request that began at 0.6 s and answered 500 at 0.64 s."""
    usual = {
        "t0": run.at(0.6), "t1": run.at(0.65), "status": 500, "began": True, "began_t": run.at(0.64), "failed": True,
        "checkouts": [], "errors": [], "raised": chain, "waiting": None, "pool": None,
    }  # fmt: skip
    run.witness("plain", k="request", id=request, **usual | line)


def moment(folder: Path, status: int, failure: str, client: int, **line: Any) -> RequestStage:
    """Of a request whose service began to answer with `status`, and of which its client saw `client`."""
    with recorded(folder, WitnessCoverage.REQUESTS, failing=0) as run:
        request = run.request("plain", 0.6, status=client, failure=failure)
        raised(run, request, line.pop("chain", None), status=status, **line)
        (one,) = of(run)
    return one.stage


@pytest.mark.parametrize("status", [500, 503, 409])
@pytest.mark.parametrize("chain", [None, RESET])
def test_an_error_that_begins_is_not_the_response(tmp_path: Path, status: int, chain: Any) -> None:
    """The only thing that began is the 500 itself, or the 503 of a service that turns errors into one."""
    assert moment(tmp_path, status, "status", status, chain=chain) is RequestStage.UNKNOWN


@pytest.mark.parametrize(
    ("failure", "client", "chain"),
    [("transport", 200, RESET), ("transport", 200, None), ("declared", 200, RESET)],
)
def test_a_stream_that_began_with_success_and_broke_off(
    tmp_path: Path, failure: str, client: int, chain: Any
) -> None:
    """A success had begun: it broke off, or an exception left it after that."""
    assert moment(tmp_path, 200, failure, client, chain=chain) is RequestStage.RESPONDING


def test_a_whole_answer_that_is_not_wanted_failed_before_it_began(tmp_path: Path) -> None:
    """A 200 that says {"error": …}, whole: what went wrong did so before, and nobody knows when."""
    assert moment(tmp_path, 200, "declared", 200) is RequestStage.UNKNOWN


def test_what_comes_after_an_error_answer_is_not_its_cause(tmp_path: Path) -> None:
    """It had answered 500 already, for a reason that was not seen, when giving the connection back failed, too."""
    with recorded(tmp_path, WitnessCoverage.BOTH, failing=0) as run:
        request = run.request("plain", 0.6, status=500, failure="status")
        late = {"where": "commit", "t": run.at(0.645), "began": run.at(0.642), "port": PORT, "chain": RESET}
        raised(run, request, [link("builtins.KeyError")], errors=[late])
        findings = run.measured()
    assert [group.error_class for group in findings.failures] == ["application error"]


@pytest.mark.parametrize(
    ("port", "tie"),
    [
        (PORT, Relation.UNATTRIBUTED),  # its link is on record, and nothing happened to it
        (PORT + 5, Relation.UNKNOWN),  # no link of it is on record: what became of it nobody knows
        (None, Relation.UNKNOWN),  # the driver does not tell its port
    ],
)
def test_no_fault_is_said_of_what_was_followed(tmp_path: Path, port: int | None, tie: Relation) -> None:
    """The chain of exceptions and the connection are known: only then does "no fault on record" say something."""
    with recorded(tmp_path, WitnessCoverage.BOTH, failing=0) as run:
        fails(run, 1.5, CANCELLED, port=port)
        (one,) = of(run)
    assert one.relation is tie


@pytest.mark.parametrize(
    ("seen", "tie"),
    [(WitnessCoverage.BOTH, Relation.UNATTRIBUTED), (WitnessCoverage.REQUESTS, Relation.UNKNOWN)],
)
def test_an_error_of_the_services_own(tmp_path: Path, seen: WitnessCoverage, tie: Relation) -> None:
    """A KeyError met no database where requests and pools are seen; elsewhere it may stand for anything."""
    with recorded(tmp_path, seen, failing=0) as run:
        raised(run, run.request("plain", 0.6, status=500, failure="status"), [link("builtins.KeyError")])
        (one,) = of(run)
    assert one.relation is tie
