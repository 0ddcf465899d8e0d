"""Reader of the target's ledger: the writes that each arm's database holds, read directly and not through the proxy.

begin   before any load   what the service was seeded with; also the trial of the statement in target.toml
end     healed, drained   what is committed, once the target has no open transaction

It only reads: the statement is declared as a cursor in a read-only transaction.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg

from brokenpipe.drive.watch.new_connection import postgres_answers
from brokenpipe.errors import Problem, TargetError
from brokenpipe.history.ledger import LedgerEntry, LedgerSummary
from brokenpipe.history.records import RecordedDoubt
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import Writer, open_writer
from brokenpipe.stack.postgres.bounded_connection import connect_bounded
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.stack import Stack

Edge = Literal["begin", "end"]

STATEMENT_TIMEOUT_S = 120  # a statement that takes longer wants an index
ROWS_AT_ONCE = 5_000
SETTLE_S = 5.0  # how long a service may go on by itself after its last request
STANDSTILL_S = 3.0  # a server that stands still for so long is not waited for
NO_ANSWER = "Postgres did not answer"
QUIET_S = 0.3  # for so long nothing may be open: between two statements of a retry, nothing is
REMEDY = (
    "Correct `ledger`: one SELECT that the database of every arm can answer once the service is ready, "
    "with two columns, a key and a count."
)

_OPEN_TRANSACTIONS = """
SELECT datname FROM pg_stat_activity
WHERE datname = ANY(%s) AND backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
"""


class LedgerReader(Protocol):
    """Reads the ledger twice: before and after an experiment."""

    def begin(self) -> None:
        """Read the rows that exist before any request. Raises TargetError if the statement fails."""

    def end(
        self, end_connections: Callable[[], None], silent_for_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        """Read what is committed. `end_connections` ends every connection through the proxies.

        `silent_for_s`: for how long the server has stood still; such a server is not waited for.
        """


@dataclass(frozen=True, slots=True)
class ArmLedger:
    """The ledger of one arm: its database, and the statement in the target.toml of that folder."""

    arm: str
    database: str
    statement: str
    target_folder: Path


class NoLedgerReader:
    """The reader of targets without a ledger."""

    def begin(self) -> None:
        pass

    def end(
        self, end_connections: Callable[[], None], silent_for_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        pass


@dataclass(frozen=True, slots=True)
class DatabaseLedgerReader:
    """The reader of the ledgers of targets that have one. Made by `open_ledger`."""

    ledgers: Sequence[ArmLedger]
    server: Postgres
    log: Writer
    doubts: Writer

    def begin(self) -> None:
        for each in self.ledgers:
            if error := self._read(each, "begin"):
                found = Problem("ledger", each.statement, error)
                raise TargetError(each.target_folder / "target.toml", (found,), remedy=REMEDY)

    def end(
        self, end_connections: Callable[[], None], silent_for_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        if postgres_answers(self.server) is False:
            for each in self.ledgers:
                self._write_summary(each.arm, "end", 0, NO_ANSWER)
            return
        if self._arms_with_open_transactions():
            # A transaction behind a dead connection is neither committed nor rolled back until that connection ends.
            end_connections()
            for arm in self._arms_with_open_transactions():
                self._record_doubt(arm)
        for each in self.ledgers:
            self._read(each, "end", lambda: silent_for_s() > STANDSTILL_S)

    def _read(self, ledger: ArmLedger, edge: Edge, give_up: Callable[[], bool] = lambda: False) -> str | None:
        """Read and record one ledger. Returns the error that made it incomplete, if any."""
        arm, entries, error = ledger.arm, 0, None
        try:
            for key, count in _read_rows(self.server.dsn(ledger.database), ledger.statement, give_up):
                self.log.write(LedgerEntry(arm=arm, edge=edge, key=key, count=count))
                entries += 1
        except (psycopg.Error, _WrongShapeError) as problem:
            error = NO_ANSWER if give_up() else " ".join(str(problem).split())
        self._write_summary(arm, edge, entries, error)
        return error

    def _write_summary(self, arm: str, edge: Edge, entries: int, error: str | None) -> None:
        self.log.write(LedgerSummary(t=time.monotonic_ns(), arm=arm, edge=edge, entries=entries, error=error))

    def _arms_with_open_transactions(self) -> list[str]:
        """The arms that still have an open transaction after a wait. A server that does not answer has none."""
        arms = {each.database: each.arm for each in self.ledgers}
        try:
            with connect_bounded(self.server.dsn(), within_s=SETTLE_S + 2.0, autocommit=True) as connection:
                activity = _OpenTransactions(connection, list(arms))
                if poll(activity.settled, timeout_s=SETTLE_S, every_s=0.05):
                    return []
                return sorted(arms[database] for database in activity.open)
        except psycopg.Error:
            return []

    def _record_doubt(self, arm: str) -> None:
        text = (
            f"{arm} still had transactions open {SETTLE_S:g} s after its last connection was ended: "
            "what they do later is not in the ledger"
        )
        self.doubts.write(RecordedDoubt.of(Code.LEDGER_NOT_SETTLED, text, arm=arm))


@dataclass(slots=True)
class _OpenTransactions:
    """Databases with open transactions, as of the last poll that found any."""

    connection: psycopg.Connection[tuple[Any, ...]]
    databases: list[str]
    open: set[str] = field(default_factory=set)
    since: float | None = None  # when nothing was open first

    def settled(self) -> bool | None:
        """Poll once. True when no transaction was open for long enough; None: not yet."""
        names = {name for (name,) in self.connection.execute(_OPEN_TRANSACTIONS, (self.databases,))}
        now = time.monotonic()
        self.open = names or self.open
        self.since = None if names else self.since or now
        return True if self.since is not None and now - self.since >= QUIET_S else None


class _WrongShapeError(Exception):
    """The result of the statement is not a key and a count."""


def _read_rows(dsn: str, statement: str, give_up: Callable[[], bool]) -> Iterator[tuple[str | None, int]]:
    """Each key with its count, a few thousand rows in memory at a time."""
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s"
    with connect_bounded(
        dsn, within_s=STATEMENT_TIMEOUT_S + 1.0, give_up=give_up, options=options
    ) as connection:
        connection.read_only = True
        with connection.cursor("ledger") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(statement.strip().rstrip(";").encode())
            columns = [column.name for column in cursor.description or ()]
            if len(columns) != 2:
                raise _WrongShapeError(
                    f"has {len(columns)} columns ({', '.join(columns)}), not a key and a count"
                )
            for key, count in cursor:
                yield _key(key), _count(count)


def _key(value: object) -> str | None:
    if isinstance(value, bytes):
        raise _WrongShapeError("the first column, the key, is bytea: write encode(…) or a cast to text")
    return None if value is None else str(value)


def _count(value: object) -> int:
    whole = isinstance(value, int | Decimal) and not isinstance(value, bool) and math.isfinite(value)
    if not whole or value != int(value) or value < 0:  # type: ignore[operator, call-overload]
        raise _WrongShapeError(f"the second column, the count, must be a whole number: found {value!r}")
    return int(value)  # type: ignore[call-overload, no-any-return]


@contextmanager
def open_ledger(
    ledgers: Sequence[ArmLedger], stack: Stack, path: Path, doubts: Writer
) -> Iterator[LedgerReader]:
    """A reader of these ledgers that records into that file. Raises RecordingError."""
    if not ledgers:
        yield NoLedgerReader()
        return
    with open_writer(path, "ledger") as log:
        yield DatabaseLedgerReader(ledgers, stack.postgres, log, doubts)
