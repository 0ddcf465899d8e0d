"""What a PgBouncer is told, which one is taken, and what a run through one counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import STEADY, scenario

from brokenpipe.errors import PgBouncerError
from brokenpipe.history import records
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings
from brokenpipe.report.run.headline_sentences import headline_sentences
from brokenpipe.stack.pgbouncer.config import auth_file, pgbouncer_ini
from brokenpipe.stack.pgbouncer.server import BINARY_VARIABLE, find_program

TRANSACTION = PgBouncerSettings(pool_mode="transaction")


def _told(settings: PgBouncerSettings, version: str) -> dict[str, str]:
    places = {"arm_a": "host=127.0.0.1 port=5432"}
    text = pgbouncer_ini(settings, version, places, host="127.0.0.1", port=6432, users_file="/x/users")
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def test_it_is_told_what_the_scenario_says() -> None:
    """A database for each arm, on the loopback only, with the scenario's values."""
    told = _told(
        PgBouncerSettings(pool_mode="session", default_pool_size=3, query_wait_timeout=0.5), "1.18.0"
    )
    assert told["arm_a"] == "host=127.0.0.1 port=5432"
    assert told["listen_addr"] == "127.0.0.1"
    assert (told["pool_mode"], told["default_pool_size"], told["query_wait_timeout"]) == (
        "session",
        "3",
        "0.5",
    )


def test_what_is_left_out_is_pgbouncers_own_default() -> None:
    """Newer ones track prepared statements unless they are told not to; older ones do not know the word."""
    none = TRANSACTION.model_copy(update={"max_prepared_statements": 0})
    assert _told(none, "1.24.1")["max_prepared_statements"] == "0"
    for settings, version in ((TRANSACTION, "1.24.1"), (TRANSACTION, "1.20.1"), (none, "1.20.1")):
        assert "max_prepared_statements" not in _told(settings, version)


@pytest.mark.parametrize(
    ("version", "fits"), [("1.18.0", False), ("1.20.9", False), ("1.21.0", True), ("2.0", True)]
)
def test_prepared_statements_need_a_newer_one(version: str, fits: bool) -> None:
    """What is too old is named with its version, the one that is needed, and what to do."""
    wanted = TRANSACTION.model_copy(update={"max_prepared_statements": 50})
    if fits:
        assert _told(wanted, version)["max_prepared_statements"] == "50"
        return
    with pytest.raises(PgBouncerError, match=rf"1\.21 or newer, and this one is {version}") as refused:
        _told(wanted, version)
    assert BINARY_VARIABLE in refused.value.remedy


def test_who_may_log_in() -> None:
    """A line for each, in quotes."""
    assert auth_file({"a": "b-_", "c": "d"}) == '"a" "b-_"\n"c" "d"\n'


def _program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_the_named_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own path or by its folder's."""
    program = _program(tmp_path / "pgbouncer", "PgBouncer 1.23.1")
    for named in (program, tmp_path):
        monkeypatch.setenv(BINARY_VARIABLE, str(named))
        assert find_program().path == program
        assert find_program().version == "1.23.1"


def test_what_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is not there, one that is something else, and none on PATH: each with what to do."""
    for named in (tmp_path / "nowhere", _program(tmp_path / "other", "something else 1.23")):
        monkeypatch.setenv(BINARY_VARIABLE, str(named))
        with pytest.raises(PgBouncerError, match=str(named)) as refused:
            find_program()
        assert refused.value.remedy


# --- what is counted ----------------------------------------------------------------------------------

WRONG = "CatchResponseError: wrong result: asked tool 1, got tool 2"
EXPECT = [
    {"arm": "plain", "phase": "steady", "metric": "wrong_results", "equals": 2},
    {"arm": "pre_ping", "phase": "steady", "metric": "wrong_results", "equals": 0},
    {"arm": "plain", "phase": "steady", "metric": "server_connections", "at_most": 2},
]


@pytest.fixture
def pooled(tmp_path: Path) -> Findings:
    """Two answers of plain are wrong, one is declared a failure for another reason; six connections share two."""
    asked = scenario(STEADY, expect=EXPECT).model_copy(update={"pgbouncer": TRANSACTION})
    with Recorded(tmp_path / "run", asked) as run:
        run.probe()
        run.phase("steady", [(n, n + 2, None) for n in range(0, 4, 2)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [n / 10 for n in range(40)])
            for t, connections in ((1, 1), (2, 2), (3, 1), (30, 9)):  # the last one after the phase
                gauge = records.PostgresGauge(
                    t=run.at(t), arm=arm, connections=connections, active=0, idle=0, idle_in_transaction=0
                )
                run.gauge(gauge)
            for port in range(6):
                run.proxy("link_opened", 0.5, arm=arm, port=port)
            run.proxy("link_ended", 2.5, arm=arm, port=0, ender="client")
            run.proxy("link_opened", 3, arm=arm, port=7)
        run.request("plain", 1, failure="declared", error=WRONG)
        # The witness saw an error on the way, which the service made up for: it is not why the answer is wrong.
        run.request(
            "plain", 2, failure="declared", error=WRONG, errors=[error("statement", RESET, dead=False)]
        )
        run.request("plain", 3, failure="declared", error="CatchResponseError: too short")
        run.finish()
        return run.measured()


def test_wrong_results_are_a_class_of_their_own(pooled: Findings) -> None:
    """What the locustfile declares in these words is counted apart from all else that it declares."""
    assert pooled.cell("plain", "steady").failed_by_class == {"wrong result": 2, "application error": 1}
    assert [check.verdict for check in pooled.checks] == [Verdict.PASS] * 3


def test_connections_on_both_sides_are_counted(pooled: Findings) -> None:
    """The most at one time within the phase: links of the proxy, and sessions of Postgres."""
    cell = pooled.cell("plain", "steady")
    assert (cell.client_connections, cell.server_connections) == (6, 2)


def test_the_first_screen_says_both(pooled: Findings) -> None:
    """For a reader who will see no table."""
    said = headline_sentences(pooled)
    assert "Wrong results, answers that belong to other questions: 2 to plain." in said
    assert any("6 connections of" in each and "2 connections at Postgres (3 : 1)" in each for each in said), (
        said
    )
