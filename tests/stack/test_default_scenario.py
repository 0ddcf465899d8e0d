"""What the default scenario must show, on fewer episodes: the promise of `make loadtest`, for both drivers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.stack.runs import REPOSITORY, Run, Starter

from brokenpipe.commands.signals import EXIT_UNKNOWN
from brokenpipe.history.reader import open_history
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.pipeline import measure
from brokenpipe.measure.tables.requests import create_request_tables, select_with_episode

pytestmark = [
    pytest.mark.exclusive,
    pytest.mark.timeout(600),
]  # two drivers, and a second run of each in need

SHORTER = (('"steady"\nseconds = 14', '"steady"\nseconds = 4'), ("episodes = 12", "episodes = 4"))
ATTEMPTS = 3
DELAY_MS = 25
LIMIT_S = 10.0  # no request of these takes that long
ROUND_TRIPS_OF_A_PING = {"asyncpg": 3, "psycopg": 1}


@dataclass(frozen=True)
class Outcome:
    """A finished run, and what was found."""

    run: Run
    findings: Findings

    def phase(self, name: str) -> Mapping[str, ArmPhaseStats]:
        return {arm: self.findings.cell(arm, name) for arm in self.findings.arms}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The same scenario, once with each driver."""
    folder = tmp_path_factory.mktemp("default")
    text = (REPOSITORY / "scenarios/default.toml").read_text()
    for long, short in SHORTER:
        assert long in text
        text = text.replace(long, short)
    locustfile = REPOSITORY / "scenarios/locustfile.py"
    (folder / "short.toml").write_text(text.replace('"locustfile.py"', f'"{locustfile}"'))
    return {driver: _outcome(folder, driver) for driver in ROUND_TRIPS_OF_A_PING}


def _outcome(folder: Path, driver: str) -> Outcome:
    """Of the first run that decided. An unknown says nothing of what is tested here: the machine was taken away."""
    for attempt in range(ATTEMPTS):
        place = folder / f"{driver}-{attempt}"
        place.mkdir()
        run = Starter(place).run(folder / "short.toml", "--env", f"DB_DRIVER={driver}")
        if run.popen.returncode != EXIT_UNKNOWN:
            break
    return Outcome(run, measure(run.folder))


@pytest.mark.parametrize("driver", ROUND_TRIPS_OF_A_PING)
class TestDefaultScenario:
    """Each claim for each driver."""

    def test_it_passes_and_says_so_last(self, outcomes: dict[str, Outcome], driver: str) -> None:
        """Exit code 0, and the last line is the verdict and the path of the report, which has no page here."""
        run = outcomes[driver].run
        assert run.popen.returncode == 0, run.out
        assert re.search(rf"PASS\s+{re.escape(str(run.folder))}/summary\.json$", run.last_line)

    def test_nothing_fails_without_a_fault(self, outcomes: dict[str, Outcome], driver: str) -> None:
        """In the steady phase and under latency no arm has a failed request."""
        for phase in ("steady", "latency"):
            assert {arm: cell.failed for arm, cell in outcomes[driver].phase(phase).items()} == dict.fromkeys(
                outcomes[driver].findings.arms, 0
            )

    def test_an_idle_limit_breaks_the_plain_pool_only(
        self, outcomes: dict[str, Outcome], driver: str
    ) -> None:
        """plain's interval lies above 0, and every break is of a stale connection; pre-ping masks them all."""
        cells = outcomes[driver].phase("idle_reset")
        plain = cells["plain"]
        assert plain.ci95 is not None
        assert plain.ci95.low > 0
        assert plain.broken == plain.stale
        assert [cells[arm].broken for arm in ("pre_ping", "both")] == [0, 0]
        assert all(
            masked is not None and masked.total for masked in (cells["pre_ping"].masked, cells["both"].masked)
        )

    def test_a_kill_is_split_into_stale_and_in_use(self, outcomes: dict[str, Outcome], driver: str) -> None:
        """Every broken request is one or the other, and not one connection was refused."""
        for cell in outcomes[driver].phase("socket_kill").values():
            assert cell.broken == cell.stale + cell.in_use
            assert cell.unexplained == 0
            assert "connection refused" not in cell.failed_by_class
        assert sum(cell.in_use for cell in outcomes[driver].phase("socket_kill").values()) > 0

    def test_a_ping_costs_its_round_trips(self, outcomes: dict[str, Outcome], driver: str) -> None:
        """Under latency a ping takes its round trips longer, to the quarter of one: no more and no fewer.

        Medians of what the witness timed in each quarter of a second: a busy machine delays some of them.
        """
        took_ms = _ping_ms(outcomes[driver].run.folder)
        trips = (took_ms["latency"] - took_ms["steady"]) / DELAY_MS
        assert trips == pytest.approx(ROUND_TRIPS_OF_A_PING[driver], rel=0, abs=0.25)

    def test_the_client_waits_for_them(self, outcomes: dict[str, Outcome], driver: str) -> None:
        """POST /chat takes that much longer with pre-ping, request by request: a pair has the same seeded LLM delay."""
        trips = _longer_with_a_ping_ms(outcomes[driver].run.folder) / DELAY_MS
        assert trips == pytest.approx(ROUND_TRIPS_OF_A_PING[driver], rel=0, abs=0.5)

    def test_every_strike_was_seen_by_a_raw_socket(self, outcomes: dict[str, Outcome], driver: str) -> None:
        """All faults held their contracts before the run, and every landing was witnessed in it."""
        findings = outcomes[driver].findings
        assert findings.contract_results
        assert all(probe.held for probe in findings.contract_results)
        assert findings.health.landed == findings.health.landings > 0


def _ping_ms(folder: Path) -> dict[str, float]:
    """The median of the pings of the arm that pings and does not recycle, by phase."""
    tallies = select_with_episode("FROM tallies WHERE pings > 0 AND witness_arm = 'pre_ping'", "t0")
    with open_history(folder) as history:
        create_request_tables(history, limit_s=LIMIT_S)
        return dict(history.rows(f"SELECT phase, median(ping_ms / pings) FROM ({tallies}) GROUP BY phase"))


def _longer_with_a_ping_ms(folder: Path) -> float:
    """The median difference of the two arms' requests of the same id, under latency."""
    with open_history(folder) as history:
        create_request_tables(history, limit_s=LIMIT_S)
        (median_ms,) = history.one(
            """SELECT median(pinged.ms - plain.ms) FROM outcomes plain JOIN outcomes pinged USING (id_hash, phase)
            WHERE phase = 'latency' AND plain.arm = 'plain' AND pinged.arm = 'pre_ping' AND plain.name = 'POST /chat'
            AND plain.failure IS NULL AND pinged.failure IS NULL"""
        )
        return float(median_ms)


def test_psycopg_suffers_more_than_asyncpg(outcomes: dict[str, Outcome]) -> None:
    """asyncpg notices a closed connection by itself and drops the whole pool; psycopg finds out once for each."""
    rates = {
        driver: outcome.phase("idle_reset")["plain"].broken_pipe_rate for driver, outcome in outcomes.items()
    }
    assert rates["psycopg"] > 2 * rates["asyncpg"]  # type: ignore[operator]
