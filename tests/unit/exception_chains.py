"""Chains of exceptions as drivers and pools raise them, each with the class that it must have."""

from __future__ import annotations

from collections.abc import Sequence

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.failures.error_classes import ChainedException as Raised

ADAPTED = "sqlalchemy.dialects.postgresql.asyncpg.AsyncAdapt_asyncpg_dbapi."
LIBPQ_EOF = (
    "consuming input failed: server closed the connection unexpectedly\n"
    "\tThis probably means the server terminated abnormally\n\tbefore or while processing the request."
)
POOL_LIMIT = "QueuePool limit of size 1 overflow 0 reached, connection timed out, timeout 0.20"
IN_MID_QUERY = "connection was closed in the middle of operation"


def _asyncpg(
    name: str, text: str, *, outer: str = "DBAPIError", inner: str = "Error", sqlstate: str | None = None,
    invalidated: bool = True,
) -> tuple[Raised, ...]:  # fmt: skip
    """The three links of the asyncpg dialect: SQLAlchemy's, the dialect's, the driver's."""
    return (
        Raised(
            f"sqlalchemy.exc.{outer}",
            f"(sqlalchemy.dialects.postgresql.asyncpg.{inner}) {text}",
            invalidated=invalidated,
        ),
        Raised(ADAPTED + inner, text, sqlstate),
        Raised(f"asyncpg.exceptions.{name}", text, sqlstate),
    )


def _psycopg(
    name: str, text: str, *, sqlstate: str | None = None, invalidated: bool = True
) -> tuple[Raised, ...]:
    """The two links of psycopg, which derives from the standard's classes."""
    outer = Raised("sqlalchemy.exc.OperationalError", f"(psycopg.{name}) {text}", invalidated=invalidated)
    return outer, Raised(f"psycopg.{name}", text, sqlstate)


# What happened, the chain, its class; and whether it is told by more than text.
BY_EVIDENCE: list[tuple[str, Sequence[Raised], ErrorClass]] = [
    (
        "asyncpg, RST in mid-query",
        (
            *_asyncpg("ConnectionDoesNotExistError", IN_MID_QUERY, sqlstate="08003"),
            Raised("builtins.ConnectionResetError", "[Errno 104] Connection reset by peer", errno=104),
        ),
        ErrorClass.RESET,
    ),
    (
        "asyncpg, RST on macOS",
        (
            *_asyncpg("ConnectionDoesNotExistError", IN_MID_QUERY, sqlstate="08003"),
            Raised("builtins.ConnectionResetError", "[Errno 54] Connection reset by peer", errno=54),
        ),
        ErrorClass.RESET,
    ),
    (
        "asyncpg, FIN in mid-query",
        _asyncpg("ConnectionDoesNotExistError", IN_MID_QUERY, sqlstate="08003"),
        ErrorClass.EOF,
    ),
    (
        "asyncpg, dead while idle",
        _asyncpg("_base.InterfaceError", "connection is closed", outer="InterfaceError", inner="InterfaceError"),
        ErrorClass.EOF,
    ),
    (
        "asyncpg, dead before the commit",
        _asyncpg(
            "_base.InterfaceError",
            "cannot call Transaction.commit(): the underlying connection is closed",
            outer="InterfaceError",
            inner="InterfaceError",
        ),
        ErrorClass.EOF,
    ),
    ("psycopg, dead while idle", _psycopg("OperationalError", LIBPQ_EOF), ErrorClass.EOF),
    (
        "write to a connection that is gone",
        (Raised("builtins.BrokenPipeError", "[Errno 32] Broken pipe", errno=32),),
        ErrorClass.BROKEN_PIPE,
    ),
    (
        "psycopg, pg_terminate_backend",
        _psycopg("errors.AdminShutdown", "terminating connection due to administrator command", sqlstate="57P01"),
        ErrorClass.SERVER_SHUTDOWN,
    ),
    (
        "psycopg, a crash elsewhere in the server",
        _psycopg("errors.CrashShutdown", "terminating connection because of crash", sqlstate="57P02"),
        ErrorClass.SERVER_CRASH,
    ),
    (
        "psycopg, idle_session_timeout",
        _psycopg("errors.IdleSessionTimeout", "terminating connection due to idle-session timeout", sqlstate="57P05"),
        ErrorClass.IDLE_SESSION,
    ),
    (
        "psycopg, idle_in_transaction_session_timeout",
        _psycopg("errors.IdleInTransactionSessionTimeout", "terminating connection", sqlstate="25P03"),
        ErrorClass.IDLE_IN_TRANSACTION,
    ),
    (
        "asyncpg, refused",
        (Raised("builtins.ConnectionRefusedError", "[Errno 111] Connect call failed ('127.0.0.1', 9)", errno=111),),
        ErrorClass.REFUSED,
    ),
    (
        "asyncpg, no such host",
        (Raised("socket.gaierror", "[Errno -2] Name or service not known", errno=-2),),
        ErrorClass.DNS,
    ),
    (
        "the kernel gave up connecting",
        (Raised("builtins.TimeoutError", "[Errno 110] Connection timed out", errno=110),),
        ErrorClass.CONNECT_TIMEOUT,
    ),
    (
        "asyncpg, wrong password",
        _asyncpg("InvalidPasswordError", "password authentication failed", sqlstate="28P01", invalidated=False),
        ErrorClass.AUTHENTICATION,
    ),
    (
        "asyncpg, too many connections",
        _asyncpg("TooManyConnectionsError", "sorry, too many clients already", sqlstate="53300", invalidated=False),
        ErrorClass.TOO_MANY_CONNECTIONS,
    ),
    (
        "asyncpg, starting up",
        _asyncpg("CannotConnectNowError", "the database system is starting up", sqlstate="57P03", invalidated=False),
        ErrorClass.NOT_ACCEPTING,
    ),
    ("the pool is exhausted", (Raised("sqlalchemy.exc.TimeoutError", POOL_LIMIT),), ErrorClass.POOL_EXHAUSTED),
    (
        "statement_timeout",
        _psycopg("errors.QueryCanceled", "canceling statement", sqlstate="57014", invalidated=False),
        ErrorClass.STATEMENT_CANCELLED,
    ),
    (
        "lock_timeout",
        _asyncpg("LockNotAvailableError", "canceling statement", sqlstate="55P03", invalidated=False),
        ErrorClass.STATEMENT_CANCELLED,
    ),
    ("asyncpg's command_timeout", (Raised("builtins.TimeoutError", ""),), ErrorClass.CLIENT_TIMEOUT),
    (
        "after an error that was not rolled back",
        (Raised("sqlalchemy.exc.PendingRollbackError", "Can't reconnect until invalid transaction is rolled back."),),
        ErrorClass.ABORTED_TRANSACTION,
    ),
    (
        "current transaction is aborted",
        _psycopg("errors.InFailedSqlTransaction", "transaction is aborted", sqlstate="25P02", invalidated=False),
        ErrorClass.ABORTED_TRANSACTION,
    ),
    (
        "a replica",
        _psycopg("errors.ReadOnlySqlTransaction", "cannot execute INSERT", sqlstate="25006", invalidated=False),
        ErrorClass.READ_ONLY,
    ),
    (
        "asyncpg over TLS, end without close_notify",
        (Raised("ssl.SSLEOFError", "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred", errno=8),),
        ErrorClass.EOF,
    ),
    (
        "asyncpg, a certificate that does not verify",
        (Raised("ssl.SSLCertVerificationError", "[SSL: CERTIFICATE_VERIFY_FAILED]", errno=1),),
        ErrorClass.TLS,
    ),
    (
        "division by zero",
        _asyncpg("DivisionByZeroError", "division by zero", sqlstate="22012", invalidated=False),
        ErrorClass.APPLICATION,
    ),
    ("a defect of the service", (Raised("builtins.KeyError", "'prompt'"),), ErrorClass.APPLICATION),
    (
        "PgBouncer, its query_wait_timeout",
        _asyncpg("ProtocolViolationError", "query_wait_timeout", sqlstate="08P01"),
        ErrorClass.POOLER,
    ),
    ("nothing is known", (), ErrorClass.UNEXPLAINED),
]  # fmt: skip

BY_TEXT_ALONE: list[tuple[str, Sequence[Raised], ErrorClass]] = [
    (
        "psycopg, refused",
        _psycopg(
            "OperationalError",
            'connection failed: connection to server at "127.0.0.1", port 9 failed: Connection refused\n\tIs the …',
            invalidated=False,
        ),
        ErrorClass.REFUSED,
    ),
    (
        "psycopg, no such host",
        _psycopg(
            "OperationalError",
            "failed to resolve host 'no-such-host.invalid': [Errno -2] Name or service not known",
            invalidated=False,
        ),
        ErrorClass.DNS,
    ),
    ("psycopg, RST", _psycopg("OperationalError", "receiving: Connection reset by peer"), ErrorClass.RESET),
    (
        "psycopg, too many connections",
        _psycopg("OperationalError", "FATAL:  sorry, too many clients already", invalidated=False),
        ErrorClass.TOO_MANY_CONNECTIONS,
    ),
    (
        "psycopg, starting up",
        _psycopg("OperationalError", "FATAL:  the database system is starting up", invalidated=False),
        ErrorClass.NOT_ACCEPTING,
    ),
    (
        "psycopg, wrong password",
        _psycopg("OperationalError", 'FATAL:  password authentication failed for user "a"', invalidated=False),
        ErrorClass.AUTHENTICATION,
    ),
    (
        "psycopg, connect_timeout",
        _psycopg("errors.ConnectionTimeout", "connection timeout expired", invalidated=False),
        ErrorClass.CONNECT_TIMEOUT,
    ),
    (
        "psycopg2, TLS ended by the server",
        _psycopg("OperationalError", "SSL connection has been closed unexpectedly", invalidated=False),
        ErrorClass.EOF,
    ),
    (
        "psycopg, a server without TLS",
        _psycopg("OperationalError", "server does not support SSL, but SSL was required", invalidated=False),
        ErrorClass.TLS,
    ),
    (
        "asyncpg, one connection in two tasks",
        _asyncpg(
            "_base.InterfaceError",
            "cannot perform operation: another operation is in progress",
            outer="InterfaceError",
            inner="InterfaceError",
            invalidated=False,
        ),
        ErrorClass.PROTOCOL_STATE,
    ),
]  # fmt: skip

# Of pools and drivers besides SQLAlchemy's three, and of Django, which wraps what psycopg raises.
STRANGERS: list[tuple[str, Sequence[Raised], ErrorClass]] = [
    (
        "psycopg_pool, nothing came in time",
        (Raised("psycopg_pool.PoolTimeout", "couldn't get a connection after 30.00 sec"),),
        ErrorClass.NO_CONNECTION,
    ),
    (
        "psycopg_pool, too many wait already",
        (Raised("psycopg_pool.TooManyRequests", "the pool 'pool-1' has already 3 requests waiting"),),
        ErrorClass.NO_CONNECTION,
    ),
    (
        "psycopg2's pool, all in use",
        (Raised("psycopg2.pool.PoolError", "connection pool exhausted"),),
        ErrorClass.POOL_EXHAUSTED,
    ),
    (
        "psycopg2's pool, closed by the service",
        (Raised("psycopg2.pool.PoolError", "connection pool is closed"),),
        ErrorClass.APPLICATION,
    ),
    (
        "Django around psycopg_pool",
        (
            Raised("django.db.utils.OperationalError", "couldn't get a connection after 30.00 sec"),
            Raised("psycopg_pool.PoolTimeout", "couldn't get a connection after 30.00 sec"),
        ),
        ErrorClass.NO_CONNECTION,
    ),
    (
        "Django around psycopg, dead while idle",
        (Raised("django.db.utils.OperationalError", LIBPQ_EOF), Raised("psycopg.OperationalError", LIBPQ_EOF)),
        ErrorClass.EOF,
    ),
    (
        "Django, a connection that was closed before",
        (
            Raised("django.db.utils.OperationalError", "the connection is closed"),
            Raised("psycopg.OperationalError", "the connection is closed"),
        ),
        ErrorClass.EOF,
    ),
    (
        "Django around psycopg, pg_terminate_backend",
        (
            Raised("django.db.utils.OperationalError", "terminating connection"),
            Raised("psycopg.errors.AdminShutdown", "terminating connection", "57P01"),
        ),
        ErrorClass.SERVER_SHUTDOWN,
    ),
    ("psycopg's pipeline", (Raised("psycopg.OperationalError", "the connection is lost"),), ErrorClass.EOF),
    (
        "psycopg's pipeline, at its end",
        (Raised("psycopg.OperationalError", "flush request failed: no connection to the server"),),
        ErrorClass.EOF,
    ),
    (
        "psycopg's pipeline, what was still queued",
        (Raised("psycopg.ProgrammingError", "no result available"),),
        ErrorClass.EOF,
    ),
    (
        "psqlpy, in mid-statement",
        (Raised("psqlpy.exceptions.ConnectionExecuteError", "Cannot execute query, error - connection closed"),),
        ErrorClass.EOF,
    ),
    ("pg8000 without SQLAlchemy", (Raised("pg8000.exceptions.InterfaceError", "network error"),), ErrorClass.EOF),
    (
        "pg8000, RST in mid-statement",
        (Raised("builtins.ConnectionResetError", "[Errno 104] Connection reset by peer", errno=104),),
        ErrorClass.RESET,
    ),
    (
        "pg8000, close",
        (Raised("builtins.BrokenPipeError", "[Errno 32] Broken pipe", errno=32),),
        ErrorClass.BROKEN_PIPE,
    ),
    ("somebody's network", (Raised("service.NetworkError", "network error"),), ErrorClass.APPLICATION),
    ("somebody's rows", (Raised("service.ReportError", "no result available"),), ErrorClass.APPLICATION),
    (
        "a language model that hung up",
        (
            Raised("httpx.ReadError", "[Errno 104] Connection reset by peer"),
            Raised("httpcore.ReadError", "[Errno 104] Connection reset by peer"),
            Raised("builtins.ConnectionResetError", "[Errno 104] Connection reset by peer", errno=104),
        ),
        ErrorClass.APPLICATION,
    ),
    (
        "a language model that took too long",
        (Raised("httpx.ReadTimeout"), Raised("httpcore.ReadTimeout"), Raised("builtins.TimeoutError")),
        ErrorClass.APPLICATION,
    ),
    (
        "a cache that closed",
        (Raised("redis.exceptions.ConnectionError", "Connection closed by server."),),
        ErrorClass.APPLICATION,
    ),
    (
        "a report to others of what the database had done",
        (Raised("httpx.ConnectError", "refused"), *_psycopg("errors.AdminShutdown", "terminating", sqlstate="57P01")),
        ErrorClass.SERVER_SHUTDOWN,
    ),
]  # fmt: skip

ALL = [*BY_EVIDENCE, *BY_TEXT_ALONE, *STRANGERS]
# Told by who says that the request failed.
