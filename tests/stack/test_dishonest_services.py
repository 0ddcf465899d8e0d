"""Services that lie about their writes are found, each by what its lie leaves behind."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.stack.runs import Run, Starter, write_scenario
from tests.strangers.claims import unproven
from tests.strangers.told import Report

ARMS = """
honest = { LIE = "honest" }
early = { LIE = "early" }
again = { LIE = "again" }
quiet = { LIE = "quiet" }
"""
CUTS = "".join(
    f"""
[[phases]]
name = "{lost}_lost"
fault = {{ name = "commit_cut", lost = "{lost}" }}
episodes = 3
every_s = 0.8
"""
    for lost in ("reply", "commit")
)
EXPECT = """
[[expect]]
arm = "*"
phase = "commit_lost"
metric = "doubled"
equals = 0
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """All four side by side, while commits are cut in either way."""
    folder = tmp_path_factory.mktemp("liars")
    scenario = write_scenario(
        folder / "liars.toml",
        CUTS + EXPECT,
        target="liar",
        locustfile=project / "scenarios" / "writers.py",
        users=3,
        arms=ARMS.strip(),
    )
    with Starter(folder).start(
        "run", scenario, "--reports", folder / "reports", cwd=project, html=True
    ) as run:
        run.end()
    return run


@pytest.fixture(scope="module")
def cuts(run: Run) -> Counter[tuple[str, str]]:
    """How many commits the proxy cut, by arm and by what was lost: what the service's books must agree with."""
    cuts = Counter((cut["arm"], cut["reason"].split()[0]) for cut in run.history("links.ndjson", "link_cut"))
    for arm in run.summary["arms"]:
        assert cuts[arm, "reply"] > 0, run.out
        assert cuts[arm, "commit"] > 0, run.out
    return cuts


def _total(run: Run, arm: str) -> dict[str, int]:
    total: dict[str, int] = run.summary["arms"][arm]["ledger"]["total"]
    return total


def _wrong(run: Run, arm: str) -> dict[str, int]:
    return {what: _total(run, arm)[what] for what in ("lost", "doubled", "unacknowledged")}


def _swallowed(run: Run, arm: str) -> int:
    return sum(phase["swallowed"] for phase in run.summary["arms"][arm]["phases"].values())


def _warned(run: Run) -> set[tuple[str, str]]:
    return {(warning["code"], warning["arm"]) for warning in run.summary["warnings"]}


def test_an_honest_one_is_only_interrupted(run: Run, cuts: Any) -> None:
    """Its client is told no, though it is there when the reply was lost: nothing lost, doubled or kept quiet."""
    assert _wrong(run, "honest") == {"lost": 0, "doubled": 0, "unacknowledged": cuts["honest", "reply"]}
    assert _total(run, "honest")["refused"] == cuts["honest", "reply"] + cuts["honest", "commit"]
    assert _swallowed(run, "honest") == 0
    assert run.summary["arms"]["honest"]["ledger"]["never_asked_for"] == 0


def test_one_that_acknowledges_before_it_commits_loses_writes(run: Run, cuts: Any) -> None:
    """Every COMMIT that was lost is a write that its client was promised, and that fails the run by itself."""
    assert _wrong(run, "early") == {"lost": cuts["early", "commit"], "doubled": 0, "unacknowledged": 0}
    assert ("early", "commit_lost", "lost") in {
        (check["arm"], check["phase"], check["metric"]) for check in run.summary["checks"]
    }
    assert f"early: {cuts['early', 'commit']} of" in run.out
    examples = run.summary["arms"]["early"]["ledger"]["examples"]
    assert {example["what"] for example in examples} == {"lost"}
    assert all(example["request_id"].startswith("Writer-") for example in examples)


def test_one_that_retries_without_a_key_doubles_writes(run: Run, cuts: Any) -> None:
    """Every reply that was lost is a write that is there twice; nobody is told, and nothing is lost."""
    assert _wrong(run, "again") == {"lost": 0, "doubled": cuts["again", "reply"], "unacknowledged": 0}
    assert _total(run, "again")["refused"] == 0
    assert _swallowed(run, "again") == 0, "a retry that succeeded has swallowed nothing"


def test_one_that_swallows_its_errors_is_named(run: Run, cuts: Any) -> None:
    """It fails no request, and yet nothing in that arm may pass; what it promised and did not do is lost."""
    assert sum(phase["failed"] for phase in run.summary["arms"]["quiet"]["phases"].values()) == 0
    assert _wrong(run, "quiet") == {"lost": cuts["quiet", "commit"], "doubled": 0, "unacknowledged": 0}
    assert 0 < _swallowed(run, "quiet") <= cuts["quiet", "reply"] + cuts["quiet", "commit"]
    assert {("errors_swallowed", "quiet"), ("errors_swallowed", "early")} <= _warned(run)
    assert {("errors_swallowed", "honest"), ("errors_swallowed", "again")}.isdisjoint(_warned(run))
    verdicts = {
        check["metric"]: check["verdict"] for check in run.summary["checks"] if check["arm"] == "quiet"
    }
    assert "pass" not in verdicts.values()
    assert verdicts["lost"] == "fail", "a proven loss is one, whatever else is in doubt"
    assert "Which errors did the service hide?" in (run.folder / "report.html").read_text()


def test_its_report_claims_nothing_that_its_history_does_not_prove(run: Run) -> None:
    """The second question, which is asked of all reports of strangers: here of writes."""
    assert not unproven(Report.read(run.folder, run.out)), run.out


def test_a_ledger_that_cannot_be_read_is_said_at_the_start(
    brokenpipe: Starter, project: Path, tmp_path: Path
) -> None:
    """Exit code 2 before any load, with target.toml, the statement and the database's own words."""
    statement = "SELECT key, count(*) FROM nodes GROUP BY key"
    own = tmp_path / "own"
    own.mkdir()
    (own / "proxies").symlink_to(project / "proxies")
    shutil.copytree(project / "scenarios", own / "scenarios")
    shutil.copytree(project / "targets" / "liar", own / "targets" / "liar")
    target = own / "targets" / "liar" / "target.toml"
    lines = [line for line in target.read_text().splitlines() if not line.startswith("ledger")]
    target.write_text("\n".join([*lines, f'ledger = "{statement}"', ""]))
    path = own / "scenarios" / "one.toml"
    scenario = write_scenario(
        path, CUTS, target="liar", locustfile="writers.py", arms='plain = { LIE = "honest" }'
    )
    run = brokenpipe.run(scenario, cwd=own)
    assert run.popen.returncode == 2
    for part in (
        f"{target}: 1 problem",
        f"ledger: found {statement}",
        'relation "nodes" does not exist',
        "→ Correct `ledger`",
    ):
        assert part in run.out
    assert not run.history("requests.ndjson", "end"), "Locust may be there, but nobody has asked anything"
