"""Reading a ledger from a real Postgres: once nothing is under way, past everything, and without writing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from brokenpipe.drive import write_ledger_reader as module
from brokenpipe.drive.write_ledger_reader import ArmLedger, DatabaseLedgerReader
from brokenpipe.errors import TargetError
from brokenpipe.history.writer import open_writer
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import NoJanitor

COUNT = "SELECT key, count(*) FROM notes GROUP BY key ORDER BY key;"
ARM = {"plain": "postgres"}


def _never() -> None:
    raise AssertionError("nothing was left undecided")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Not the one of all tests here: a ledger waits until nobody else has anything open in it."""
    log_path = tmp_path_factory.mktemp("postgres") / "postgres.log"
    with postgres(log_path=log_path, janitor=NoJanitor()) as running:
        yield running


@pytest.fixture
def dsn(database: Postgres) -> str:
    with psycopg.connect(database.dsn(), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS notes")
        connection.execute("CREATE TABLE notes (key text)")
        connection.execute("INSERT INTO notes VALUES ('a'), ('b'), ('b'), (NULL)")
    return database.dsn()


Open = Callable[..., Any]


def _ledger(statement: str, folder: Path) -> list[ArmLedger]:
    return [ArmLedger(arm, database, statement, folder) for arm, database in ARM.items()]


@pytest.fixture
def books(tmp_path: Path, database: Postgres, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A ledger with this statement; a service may go on for half a second."""
    monkeypatch.setattr(module, "SETTLE_S", 0.5)

    @contextmanager
    def opened(statement: str = COUNT) -> Iterator[DatabaseLedgerReader]:
        path = tmp_path / "ledger.ndjson"
        with (
            open_writer(path, "ledger") as log,
            open_writer(tmp_path / "experiment.ndjson", "experiment") as doubts,
        ):
            yield DatabaseLedgerReader(_ledger(statement, tmp_path), database, log, doubts)

    return opened


def _records(folder: Path, file: str = "ledger") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{file}.ndjson").read_text().splitlines()][1:]


def _held(folder: Path) -> list[tuple[str | None, int]]:
    return [(each["key"], each["count"]) for each in _records(folder) if each["k"] == "entry"]


def test_each_key_with_its_count(books: Open, dsn: str, tmp_path: Path) -> None:
    """And below them a balance that says how many there are, and that they are all."""
    with books() as ledger:
        ledger.begin()
    assert _held(tmp_path) == [("a", 1), ("b", 2), (None, 1)]
    balance = _records(tmp_path)[-1]
    assert (balance["arm"], balance["edge"], balance["entries"], balance["error"]) == (
        "plain", "begin", 3, None,
    )  # fmt: skip


def test_many_keys(books: Open, dsn: str, tmp_path: Path) -> None:
    """More than are fetched at once."""
    with books("SELECT n, 1 FROM generate_series(1, 20000) AS n") as ledger:
        ledger.begin()
    assert _held(tmp_path) == [(str(n), 1) for n in range(1, 20_001)]


def test_what_is_committed_a_moment_later_is_waited_for(
    books: Open, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that is open when the load has ended may still commit."""
    monkeypatch.setattr(module, "SETTLE_S", 10.0)  # on a busy machine a moment is longer
    with psycopg.connect(dsn) as service, books() as ledger:
        service.execute("INSERT INTO notes VALUES ('late')")
        timer = threading.Timer(0.2, service.commit)
        timer.start()
        ledger.end(_never)
        timer.join()
    assert ("late", 1) in _held(tmp_path)


def test_what_hangs_is_decided(books: Open, dsn: str, tmp_path: Path) -> None:
    """A transaction that does not end is ended: then it is known not to be committed, and nothing is in doubt."""
    service = psycopg.connect(dsn)
    service.execute("INSERT INTO notes VALUES ('hanging')")
    with books() as ledger:
        ledger.end(service.close)
    assert service.closed
    assert [key for key, _ in _held(tmp_path)] == ["a", "b", None]
    assert _records(tmp_path, "experiment") == []


def test_what_cannot_be_decided_is_a_doubt(books: Open, dsn: str, tmp_path: Path) -> None:
    """A service that goes on and on past its connections' end may write what the ledger does not have."""
    with psycopg.connect(dsn) as service, books() as ledger:
        service.execute("INSERT INTO notes VALUES ('stubborn')")
        ledger.end(lambda: None)
        service.rollback()
    (doubt,) = _records(tmp_path, "experiment")
    assert (doubt["code"], doubt["arm"], doubt["unknown"]) == ("ledger_not_settled", "plain", True)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT key, count(*) FROM nodes GROUP BY key", 'relation "nodes" does not exist'),
        ("SELECT key FROM notes", "has 1 columns (key), not a key and a count"),
        ("SELECT key, 1, 2 FROM notes", "has 3 columns"),
        ("SELECT key, 'twice' FROM notes", "must be a whole number: found 'twice'"),
        ("SELECT key, 'NaN'::numeric FROM notes", "must be a whole number: found Decimal('NaN')"),
        ("SELECT 'x'::bytea, 1", "the key, is bytea"),
        ("WITH w AS (DELETE FROM notes RETURNING key) SELECT key, 1 FROM w", "data-modifying"),
        ("SELECT key, lo_create(0)::int FROM notes", "read-only transaction"),
        ("SELECT 'x', 1; DELETE FROM notes", "cannot insert multiple commands"),
        ("SELECT key,, count(*) FROM notes", "syntax error"),
    ],
)  # fmt: skip
def test_a_statement_that_is_no_ledger(
    books: Open, dsn: str, tmp_path: Path, statement: str, words: str
) -> None:
    """Named with its file and the reason; nothing is written to the database."""
    with books(statement) as ledger, pytest.raises(TargetError) as caught:
        ledger.begin()
    assert caught.value.path == tmp_path / "target.toml"
    (problem,) = caught.value.problems
    assert (problem.key, problem.found) == ("ledger", statement)
    assert words in problem.allowed
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (4,)


def test_a_database_that_is_gone(
    books: Open, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """The books say why they could not be read; nothing is raised."""
    log_path = tmp_path_factory.mktemp("gone") / "postgres.log"
    with postgres(log_path=log_path, janitor=NoJanitor()) as gone:
        pass
    with books() as any_ledger:
        ledger = DatabaseLedgerReader(_ledger(COUNT, tmp_path), gone, any_ledger.log, any_ledger.doubts)
        ledger.end(_never)
    (balance,) = _records(tmp_path)
    assert balance["edge"] == "end"
    assert "refused" in balance["error"]


def test_a_service_between_two_of_its_transactions_is_not_settled(dsn: str) -> None:
    """Nothing open at the last look is not enough: who had something open just before may begin again."""
    with psycopg.connect(dsn, autocommit=True) as ours, psycopg.connect(dsn) as service:
        activity = module._OpenTransactions(ours, ["postgres"])
        service.execute("SELECT 1")
        assert activity.settled() is None
        service.commit()
        assert activity.settled() is None
        assert activity.open == {"postgres"}
