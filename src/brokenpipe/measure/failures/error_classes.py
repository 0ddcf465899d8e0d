"""Error classes: maps a chain of exceptions to one class. One table, read from top to bottom.

Order of evidence: SQLSTATE (the server's own word), then errno (the kernel's), then the type, then
`connection_invalidated` (the dialect's judgement), and text last: wording differs between versions, so text
only decides where nothing else does. The operation that met it decides between two readings of a time limit.

Provoked with each driver on real servers in tests/pools; what each driver reports is in docs/error-classes.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokenpipe.error_class import DISCONNECTS, ErrorClass


@dataclass(frozen=True, slots=True)
class ChainedException:
    """One exception of a chain: `type` is module and class, `errno` the kernel's number."""

    type: str
    text: str = ""
    sqlstate: str | None = None
    errno: int | None = None
    invalidated: bool | None = None

    @property
    def name(self) -> str:
        return self.type.rpartition(".")[2]


def chain_of(raw: Sequence[Mapping[str, Any]] | None) -> tuple[ChainedException, ...]:
    """A chain from the witness's JSON, outermost first."""
    return tuple(
        ChainedException(
            type=str(link.get("type") or ""),
            text=str(link.get("text") or ""),
            sqlstate=link.get("sqlstate"),
            errno=link.get("errno"),
            invalidated=link.get("invalidated"),
        )
        for link in raw or ()
    )


_SQLSTATES: Mapping[str, ErrorClass] = {
    "57P01": ErrorClass.SERVER_SHUTDOWN,
    "57P02": ErrorClass.SERVER_CRASH,
    "57P03": ErrorClass.NOT_ACCEPTING,
    "57P04": ErrorClass.SERVER_SHUTDOWN,  # the database was dropped
    "25P04": ErrorClass.SERVER_SHUTDOWN,  # transaction_timeout: the session is ended, at work or idle
    "57P05": ErrorClass.IDLE_SESSION,
    "25P03": ErrorClass.IDLE_IN_TRANSACTION,
    "25P02": ErrorClass.ABORTED_TRANSACTION,
    "25006": ErrorClass.READ_ONLY,
    "53300": ErrorClass.TOO_MANY_CONNECTIONS,
    "57014": ErrorClass.STATEMENT_CANCELLED,
    "55P03": ErrorClass.STATEMENT_CANCELLED,
    "28P01": ErrorClass.AUTHENTICATION,
    "28000": ErrorClass.AUTHENTICATION,
    "26000": ErrorClass.PROTOCOL_STATE,  # a prepared statement that the server does not know (any more)
    "42P05": ErrorClass.PROTOCOL_STATE,  # … or knows already
    "08P01": ErrorClass.POOLER,  # PgBouncer's only code; from Postgres it would be a defect of the driver
}

# PgBouncer's message when Postgres ends a connection that a client uses; the client's connection ends, too.
_PGBOUNCER_SERVER_ENDED = "server conn crashed"

# errno differs between systems; the witness writes numbers, so both are listed: Linux, macOS.
_ERRNOS: Mapping[int, ErrorClass] = {
    104: ErrorClass.RESET,
    54: ErrorClass.RESET,
    32: ErrorClass.BROKEN_PIPE,
    111: ErrorClass.REFUSED,
    61: ErrorClass.REFUSED,
    110: ErrorClass.CONNECT_TIMEOUT,
    60: ErrorClass.CONNECT_TIMEOUT,
    113: ErrorClass.CONNECT_TIMEOUT,  # no route to the host: nobody answered
    65: ErrorClass.CONNECT_TIMEOUT,
    101: ErrorClass.CONNECT_TIMEOUT,  # nor to its network
    51: ErrorClass.CONNECT_TIMEOUT,
}

_TYPES: Mapping[str, ErrorClass] = {
    "sqlalchemy.exc.TimeoutError": ErrorClass.POOL_EXHAUSTED,
    "sqlalchemy.exc.PendingRollbackError": ErrorClass.ABORTED_TRANSACTION,
    "sqlalchemy.exc.IllegalStateChangeError": ErrorClass.PROTOCOL_STATE,  # one session in two tasks
    "asyncpg.exceptions.InvalidCachedStatementError": ErrorClass.PROTOCOL_STATE,  # a plan from before DDL
    "psycopg.errors.ConnectionTimeout": ErrorClass.CONNECT_TIMEOUT,
    # Raised without a cause, and the same for a full pool, for one whose connections have died, and without a server.
    "psycopg_pool.PoolTimeout": ErrorClass.NO_CONNECTION,
    "psycopg_pool.TooManyRequests": ErrorClass.NO_CONNECTION,
    "builtins.ConnectionResetError": ErrorClass.RESET,
    "builtins.BrokenPipeError": ErrorClass.BROKEN_PIPE,
    "builtins.ConnectionRefusedError": ErrorClass.REFUSED,
    "socket.gaierror": ErrorClass.DNS,
    "ssl.SSLEOFError": ErrorClass.EOF,
    "ssl.SSLZeroReturnError": ErrorClass.EOF,
    "ssl.SSLCertVerificationError": ErrorClass.TLS,
    "ssl.SSLError": ErrorClass.TLS,
    "builtins.TimeoutError": ErrorClass.CLIENT_TIMEOUT,
    "asyncio.exceptions.TimeoutError": ErrorClass.CLIENT_TIMEOUT,
    "asyncio.exceptions.CancelledError": ErrorClass.CLIENT_TIMEOUT,  # what a time limit does to its task
}

# Last resort: libpq has no codes for what happens before a session exists, nor for how one ended.
_TEXTS: Sequence[tuple[str, ErrorClass]] = (
    ("connection refused", ErrorClass.REFUSED),
    ("connection reset", ErrorClass.RESET),
    ("broken pipe", ErrorClass.BROKEN_PIPE),
    ("pgbouncer", ErrorClass.POOLER),
    ("bouncer config error", ErrorClass.POOLER),
    ("query_wait_timeout", ErrorClass.POOLER),
    ("max_client_conn", ErrorClass.POOLER),
    ("no such database", ErrorClass.POOLER),  # Postgres says: database "x" does not exist
    ("too many clients", ErrorClass.TOO_MANY_CONNECTIONS),
    ("too many connections for", ErrorClass.TOO_MANY_CONNECTIONS),
    ("remaining connection slots", ErrorClass.TOO_MANY_CONNECTIONS),
    ("the database system is", ErrorClass.NOT_ACCEPTING),
    ("authentication failed", ErrorClass.AUTHENTICATION),
    ("no pg_hba.conf entry", ErrorClass.AUTHENTICATION),
    ("is not permitted to log in", ErrorClass.AUTHENTICATION),
    ("could not translate host name", ErrorClass.DNS),
    ("failed to resolve host", ErrorClass.DNS),
    ("ssl syscall error: eof", ErrorClass.EOF),
    ("unexpected eof while reading", ErrorClass.EOF),
    ("ssl connection has been closed", ErrorClass.EOF),
    ("certificate verify failed", ErrorClass.TLS),
    ("does not match host name", ErrorClass.TLS),
    ("does not support ssl", ErrorClass.TLS),
    ("rejected ssl upgrade", ErrorClass.TLS),
    ("root certificate file", ErrorClass.TLS),
    ("timeout expired", ErrorClass.CONNECT_TIMEOUT),
    ("connection timed out", ErrorClass.CONNECT_TIMEOUT),
    ("no route to host", ErrorClass.CONNECT_TIMEOUT),
    ("network is unreachable", ErrorClass.CONNECT_TIMEOUT),
    ("server closed the connection", ErrorClass.EOF),
    ("the connection is closed", ErrorClass.EOF),
    ("connection is closed", ErrorClass.EOF),
    ("connection was closed", ErrorClass.EOF),
    ("connection not open", ErrorClass.EOF),
    ("unexpected connection_lost() call", ErrorClass.EOF),
    ("the connection is lost", ErrorClass.EOF),
    ("no connection to the server", ErrorClass.EOF),
    ("flush request failed", ErrorClass.EOF),
    ("terminating connection due to administrator", ErrorClass.SERVER_SHUTDOWN),
    ("canceling statement due to", ErrorClass.STATEMENT_CANCELLED),
    ("another operation is in progress", ErrorClass.PROTOCOL_STATE),
    ("another command is already in progress", ErrorClass.PROTOCOL_STATE),
    ("concurrent operations are not permitted", ErrorClass.PROTOCOL_STATE),
    ("cached plan must not change", ErrorClass.PROTOCOL_STATE),
)

# Common words: they mean the end of a connection only in errors of these libraries.
_TEXTS_OF: Sequence[tuple[str, str, ErrorClass]] = (
    ("pg8000.", "network error", ErrorClass.EOF),
    ("psqlpy.", "connection closed", ErrorClass.EOF),
    ("psycopg2.pool.PoolError", "connection pool exhausted", ErrorClass.POOL_EXHAUSTED),
    # Of a pipeline whose connection is gone; elsewhere of a cursor that was asked for rows before its first statement.
    ("psycopg.ProgrammingError", "no result available", ErrorClass.EOF),
)

# Libraries that talk to others than Postgres. Their network errors say nothing about the database.
_OTHER_PEERS = (
    "aiohttp.", "anthropic.", "botocore.", "google.api_core.", "google.genai.", "grpc.", "httpcore.", "httpx.",
    "kafka.", "openai.", "pymongo.", "redis.", "requests.", "urllib.", "urllib3.", "websockets.",
)  # fmt: skip
_DATABASE = ("asyncpg.", "django.db.", "pg8000.", "psqlpy.", "psycopg", "sqlalchemy.")

_WIRE = frozenset({"builtins.OSError", "builtins.ConnectionError"})

# The same exception means one thing while connecting and another on an open connection.
_CONNECTING: Mapping[ErrorClass, ErrorClass] = {ErrorClass.CLIENT_TIMEOUT: ErrorClass.CONNECT_TIMEOUT}
_CONNECTED: Mapping[ErrorClass, ErrorClass] = {
    ErrorClass.CONNECT_TIMEOUT: ErrorClass.EOF  # ETIMEDOUT: the kernel gave up on a peer that fell silent
}


def classify(chain: Sequence[ChainedException], where: str | None = None) -> ErrorClass:
    """The class of a chain of exceptions, outermost first. An empty chain is UNEXPLAINED.

    `where`: the operation that met it, in the witness's words: connect, ping, statement, commit, rollback or checkout.
    """
    if not chain:
        return ErrorClass.UNEXPLAINED
    if _is_of_another_peer(chain):
        return ErrorClass.APPLICATION
    for rule in (_by_sqlstate, _by_errno, _by_type, _by_invalidation, _by_text):
        if found := rule(chain):
            return _reinterpretation(where).get(found, found)
    return ErrorClass.APPLICATION


def _is_of_another_peer(chain: Sequence[ChainedException]) -> bool:
    """Whether it comes from a library for another peer, and no exception of a database library is in the chain."""
    others = any(link.type.startswith(_OTHER_PEERS) for link in chain)
    return others and not any(link.type.startswith(_DATABASE) for link in chain)


def _reinterpretation(where: str | None) -> Mapping[ErrorClass, ErrorClass]:
    if where == "connect":
        return _CONNECTING
    return _CONNECTED if where in {"ping", "statement", "commit", "rollback"} else {}


def _innermost(
    chain: Sequence[ChainedException], rule: Callable[[ChainedException], ErrorClass | None]
) -> ErrorClass | None:
    """The class of the deepest exception that has one: it is the nearest to the network."""
    return next((found for link in reversed(chain) if (found := rule(link))), None)


def _by_sqlstate(chain: Sequence[ChainedException]) -> ErrorClass | None:
    return _innermost(chain, _class_of_sqlstate)


def _class_of_sqlstate(link: ChainedException) -> ErrorClass | None:
    if link.sqlstate == "08P01" and _PGBOUNCER_SERVER_ENDED in link.text:
        return ErrorClass.EOF
    return _SQLSTATES.get(link.sqlstate or "")


def _by_errno(chain: Sequence[ChainedException]) -> ErrorClass | None:
    return _innermost(chain, lambda link: _ERRNOS.get(link.errno or 0))


def _by_type(chain: Sequence[ChainedException]) -> ErrorClass | None:
    return _innermost(chain, lambda link: _TYPES.get(link.type))


def _by_invalidation(chain: Sequence[ChainedException]) -> ErrorClass | None:
    """The dialect reports that the connection is gone; only the text may still show how."""
    if any(link.invalidated or (link.sqlstate or "").startswith("08") for link in chain):
        by_text = _by_text(chain)
        return by_text if by_text in DISCONNECTS else ErrorClass.EOF
    return None


def _by_text(chain: Sequence[ChainedException]) -> ErrorClass | None:
    return _innermost(chain, _class_of_text)


def _class_of_text(link: ChainedException) -> ErrorClass | None:
    """Python's own exceptions, a KeyError say, may hold any word of the service's; only those of the wire count."""
    if link.type.startswith("builtins.") and link.type not in _WIRE:
        return None
    text = link.text.lower()
    own = (found for kind, part, found in _TEXTS_OF if link.type.startswith(kind) and part in text)
    return next(own, None) or next((found for part, found in _TEXTS if part in text), None)
