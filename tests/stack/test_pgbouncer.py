"""A run through PgBouncer: the whole chain, what it counts, and what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from tests.stack.runs import REPOSITORY, Run, Starter, write_scenario

from brokenpipe.errors import PgBouncerError
from brokenpipe.plan.settings.pgbouncer import MIN_VERSION_FOR_PREPARED
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings as Settings
from brokenpipe.stack.pgbouncer.server import BINARY_VARIABLE, find_program, pgbouncer
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import NoJanitor

pytestmark = pytest.mark.low_load

TOOLS = REPOSITORY / "scenarios" / "tools_locustfile.py"
ARMS = """
asyncpg = { WEB_CONCURRENCY = "2" }
unique = { DB_PREPARED_STATEMENT_CACHE_SIZE = "0", DB_STATEMENT_CACHE_SIZE = "0", DB_PREPARED_NAMES = "unique" }
"""
PHASES = """
[pgbouncer]
pool_mode = "transaction"
default_pool_size = 2
max_prepared_statements = 0

[[phases]]
name = "steady"
seconds = 6

[[phases]]
name = "restart"
fault = { name = "server_restart" }
episodes = 1
every_s = 4
"""


def _version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in find_program().version.split(".")[:2])
    except PgBouncerError as error:
        pytest.skip(f"{error.message}: {error.remedy}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two arms behind PgBouncer in transaction mode, one of them with two processes; then a restart of Postgres."""
    _version()
    folder = tmp_path_factory.mktemp("pooled")
    scenario = write_scenario(
        folder / "pooled.toml", PHASES, target="agent", locustfile=TOOLS, users=16, arms=ARMS.strip()
    )
    done = Starter(folder).run(scenario, html=True)
    assert (done.folder / "summary.json").is_file(), done.out
    return done


def test_wrong_results_are_seen(run: Run) -> None:
    """Two processes count their statements alike, and one is answered what the other asked; unique names are not."""
    arms = run.summary["arms"]
    assert arms["asyncpg"]["phases"]["steady"]["wrong_results"] > 0, run.out
    assert arms["unique"]["phases"]["steady"]["failed"] == 0, run.out


def test_many_connections_share_two(run: Run) -> None:
    """At Postgres no arm has more than PgBouncer's pool, however many its service has."""
    for arm in run.summary["arms"].values():
        assert arm["phases"]["steady"]["server_connections"] <= 2
    assert run.summary["arms"]["asyncpg"]["phases"]["steady"]["client_connections"] > 2


def test_a_restart_behind_it_lands(run: Run) -> None:
    """It is witnessed at Postgres itself, and the links of the proxies, which lead to PgBouncer, live through it."""
    assert [landing["landed"] for landing in run.history("nemesis.ndjson", "landing")] == [True, True]
    assert {act["error"] for act in run.history("nemesis.ndjson", "act")} == {None}
    ended = run.history("links.ndjson", "link_ended")
    assert not [end for end in ended if end["arm"] in {"asyncpg", "unique"} and end["ender"] == "no_server"]


def test_it_is_part_of_the_record(run: Run) -> None:
    """Its version, its log and its gauges are kept, nothing went past it, and nobody's password is."""
    environment = json.loads((run.folder / "environment.json").read_text())
    assert environment["versions"]["pgbouncer"] == find_program().version
    assert "login" in (run.folder / "logs" / "pgbouncer.log").read_text()
    assert "pgbouncer" in {gauge["role"] for gauge in run.history("gauges.ndjson", "process")}
    codes = {warning["code"] for warning in run.summary["warnings"]}
    assert not codes & {"bypasses_proxy", "pgbouncer_died", "toxiproxy_died", "postgres_died", "act_failed"}
    page = (run.folder / "report.html").read_text()
    assert "connections at Postgres (" in page
    assert "[pgbouncer]" in page
    assert "pgbouncer max_prepared_statements" in page


# --- prepared statements, one after the other ---------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with postgres(log_path=tmp_path_factory.mktemp("server") / "log", janitor=NoJanitor()) as running:
        yield running


def test_none_on_this_machine(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named with what to do, as everything that does not start."""
    monkeypatch.setenv(BINARY_VARIABLE, "/nowhere/pgbouncer")
    database = server.create_database("absent")
    settings = Settings(pool_mode="transaction")
    with pytest.raises(PgBouncerError) as refusal:
        pgbouncer(settings, [database], log_path=tmp_path / "log", janitor=NoJanitor()).__enter__()
    assert refusal.value.exit_code == 4
    assert "/nowhere/pgbouncer: cannot be started" in refusal.value.message
    assert BINARY_VARIABLE in refusal.value.remedy


@pytest.mark.parametrize("tracked", [0, 100], ids=["not tracked", "tracked"])
def test_max_prepared_statements_keeps_clients_apart(server: Postgres, tmp_path: Path, tracked: int) -> None:
    """Each of two clients prepares another statement, under the driver's same name, on a connection of its own, and
    then is lent the other one: untracked it is answered what the other prepared, tracked what it asked.
    """
    if tracked and _version() < MIN_VERSION_FOR_PREPARED:
        pytest.skip("this PgBouncer is older than 1.21; .ci/pgbouncer gets a newer one on Debian")
    _version()
    database = server.create_database(f"tracked_{tracked}")
    settings = Settings(pool_mode="transaction", default_pool_size=2, max_prepared_statements=tracked)
    with (
        pgbouncer(settings, [database], log_path=tmp_path / "log", janitor=NoJanitor()) as bouncer,
        ExitStack() as clients,
    ):
        place = (
            f"postgresql://{database.user}:{database.password}@{bouncer.host}:{bouncer.port}/{database.name}"
        )
        one, other, third = (
            clients.enter_context(closing(psycopg.connect(place, autocommit=True))) for _ in range(3)
        )
        with ExitStack() as first, ExitStack() as second, ExitStack() as occupied:
            first.enter_context(one.transaction())
            assert _asked(one, "one") == "one"
            second.enter_context(other.transaction())  # on the second connection: the first is lent
            assert _asked(other, "other") == "other"
            first.close()
            occupied.enter_context(third.transaction())  # on the first connection
            third.execute("SELECT 1", prepare=False)
            second.close()
            assert _asked(one, "one") == ("one" if tracked else "other")


@pytest.mark.parametrize("wanted", [0, 50, None])
def test_what_is_in_force_is_asked(server: Postgres, tmp_path: Path, wanted: int | None) -> None:
    """The value that was written, or PgBouncer's own default where none was; one too old for the setting says none."""
    version = _version()
    if wanted and version < MIN_VERSION_FOR_PREPARED:
        pytest.skip("this PgBouncer is older than 1.21; .ci/pgbouncer gets a newer one on Debian")
    database = server.create_database(f"in_force_{wanted}")
    settings = Settings(pool_mode="transaction", max_prepared_statements=wanted)
    with pgbouncer(settings, [database], log_path=tmp_path / "log", janitor=NoJanitor()) as bouncer:
        told = bouncer.max_prepared_statements
    if version < MIN_VERSION_FOR_PREPARED:
        assert told is None
    else:
        its_own = 200 if version >= (1, 24) else 0
        assert told == str(its_own if wanted is None else wanted)


def _asked(client: psycopg.Connection[tuple[object, ...]], word: str) -> object:
    """Through a prepared statement, which the driver calls _pg3_0 in every client."""
    (answer,) = client.execute(f"SELECT '{word}'".encode(), prepare=True).fetchone() or (None,)
    return answer
