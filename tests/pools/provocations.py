"""Every way to fail that is provoked, how it is done, and what it must be called with each driver.

docs/error-classes.md is this table, printed by page.py.
"""

from __future__ import annotations

from typing import Any

from brokenpipe.error_class import ErrorClass as E
from brokenpipe.measure.failures.request_stage import RequestStage as P

from .disturbances import BUSY, COMMITTING, HELD, IDLE, ONE, cancel, crash, cut, swallow, wait
from .expected import EOF_ALL, LOST, MUTE, Expected, as_
from .over_tls import OVER_TLS
from .provocation_setup import Case, terminate
from .unreachable_dsns import (
    bouncer_full,
    bouncer_gone,
    bouncer_nothing,
    bouncer_spare,
    closing_server,
    crowded_database,
    crowded_role,
    direct,
    full_server,
    hangs_up,
    no_such_database,
    nobody,
    nowhere,
    silent,
    wrong_password,
)

TLS = {"asyncpg": {"ssl": "require"}, "psycopg": {"sslmode": "require"}, "psycopg2": {"sslmode": "require"}}
TWO_SECONDS: dict[str, dict[str, Any]] = {
    "asyncpg": {"timeout": 0.3},
    "psycopg": {"connect_timeout": 2},
    "psycopg2": {"connect_timeout": 2},
}
NO_LIMIT = "has no such limit"
WAITS = "its calls wait for each other"

PROVOCATIONS: dict[str, tuple[Case, Expected]] = {
    # --- the wire ---
    "RST, idle in the pool": (Case(IDLE, disturb=cut), as_(E.RESET, P.STALE, **EOF_ALL)),
    "FIN, idle in the pool": (Case(IDLE, disturb=cut, armed=False), as_(E.EOF, P.STALE)),
    "RST between two statements": (Case(HELD, disturb=cut), as_(E.RESET, P.BETWEEN, **EOF_ALL)),
    "FIN between two statements": (Case(HELD, disturb=cut, armed=False), as_(E.EOF, P.BETWEEN)),
    "FIN, then a statement of 30 MB": (
        Case([["select 1", "GATE", "BIG"]], disturb=cut, armed=False),
        as_(E.BROKEN_PIPE, P.BETWEEN, **EOF_ALL),
    ),
    "RST in mid-statement": (
        Case(BUSY, disturb=cut, busy=True),
        as_(E.RESET, P.MID_STATEMENT, psycopg=E.EOF, psycopg2=E.EOF),
    ),
    "FIN in mid-statement": (Case(BUSY, disturb=cut, busy=True, armed=False), as_(E.EOF, P.MID_STATEMENT)),
    "RST before the COMMIT": (
        Case([["select 1", "GATE", "COMMIT"]], disturb=cut),
        as_(E.RESET, P.BETWEEN, **EOF_ALL),
    ),
    "RST during the COMMIT": (
        Case(COMMITTING, disturb=cut, busy=True),
        as_(E.RESET, P.COMMIT, psycopg=E.EOF, psycopg2=E.EOF),
    ),
    "FIN during the COMMIT": (Case(COMMITTING, disturb=cut, busy=True, armed=False), as_(E.EOF, P.COMMIT)),
    "RST before the ROLLBACK": (
        Case([["select 1", "GATE", "ROLLBACK"]], disturb=cut),
        as_(E.RESET, P.ROLLBACK, **EOF_ALL),
    ),
    "RST after the response began": (
        Case(HELD, disturb=cut, answer=0),
        as_(E.RESET, P.RESPONDING, **EOF_ALL),
    ),
    "silence, idle in the pool, and a time limit of the service's own": (
        Case(IDLE, disturb=swallow, ends=False, limit_s=1.0),
        as_(E.CLIENT_TIMEOUT, P.MID_STATEMENT),
    ),
    "the same with pre-ping": (
        Case(IDLE, disturb=swallow, ends=False, limit_s=1.0, engine={"pool_pre_ping": True}),
        as_(E.CLIENT_TIMEOUT, P.PRE_PING),
    ),
    # --- the server's own ends ---
    "`pg_terminate_backend`, idle in the pool": (
        Case(IDLE, disturb=terminate, armed=False),
        as_(E.SERVER_SHUTDOWN, P.STALE, **LOST),
    ),
    "`pg_terminate_backend` between two statements": (
        Case(HELD, disturb=terminate, armed=False),
        as_(E.SERVER_SHUTDOWN, P.BETWEEN, **LOST),
    ),
    "`pg_terminate_backend` in mid-statement": (
        Case(BUSY, disturb=terminate, busy=True, armed=False),
        as_(E.SERVER_SHUTDOWN, P.MID_STATEMENT, **MUTE),
    ),
    "`pg_terminate_backend` during the COMMIT": (
        Case(COMMITTING, disturb=terminate, busy=True, armed=False),
        as_(E.SERVER_SHUTDOWN, P.COMMIT, **MUTE),
    ),
    "`idle_session_timeout`": (
        Case([["set idle_session_timeout = '100ms'", "COMMIT"], "GATE", ONE], disturb=wait, armed=False),
        as_(E.IDLE_SESSION, P.STALE, **LOST),
    ),
    "`idle_in_transaction_session_timeout`": (
        Case(
            [["set idle_in_transaction_session_timeout = '100ms'", "GATE", "select 1"]],
            disturb=wait,
            armed=False,
        ),
        as_(E.IDLE_IN_TRANSACTION, P.BETWEEN, **LOST),
    ),
    "`transaction_timeout`, idle": (
        Case([["set transaction_timeout = '100ms'", "GATE", "select 1"]], disturb=wait, armed=False),
        as_(E.SERVER_SHUTDOWN, P.BETWEEN, **LOST),
    ),
    "`transaction_timeout` in mid-statement": (
        Case([["set transaction_timeout = '100ms'", "select pg_sleep(20)"]], armed=False),
        as_(E.SERVER_SHUTDOWN, P.MID_STATEMENT, **MUTE),
    ),
    "a crash of the server, idle in the pool": (
        Case(IDLE, server="crashing", disturb=crash, armed=False),
        as_(E.SERVER_CRASH, P.STALE, **EOF_ALL),
    ),
    "a crash of the server in mid-statement": (
        Case(BUSY, server="crashing", disturb=crash, busy=True, armed=False),
        as_(E.SERVER_CRASH, P.MID_STATEMENT, **EOF_ALL),
    ),
    # --- connecting ---
    "the server is shutting down": (Case([ONE], closing_server), as_(E.NOT_ACCEPTING, P.CONNECTING)),
    "nobody listens": (Case([ONE], nobody), as_(E.REFUSED, P.CONNECTING)),
    "hung up on while connecting": (Case([ONE], hangs_up), as_(E.EOF, P.CONNECTING)),
    "no answer while connecting": (
        Case([ONE], silent, connect=TWO_SECONDS),
        as_(E.CONNECT_TIMEOUT, P.CONNECTING),
    ),
    "a name that does not exist": (Case([ONE], nowhere), as_(E.DNS, P.CONNECTING)),
    "TLS demanded of a server without": (Case([ONE], direct, connect=TLS), as_(E.TLS, P.CONNECTING)),
    "a wrong password": (Case([ONE], wrong_password), as_(E.AUTHENTICATION, P.CONNECTING)),
    "a role's connection limit": (Case([ONE], crowded_role), as_(E.TOO_MANY_CONNECTIONS, P.CONNECTING)),
    "a database's connection limit": (
        Case([ONE], crowded_database),
        as_(E.TOO_MANY_CONNECTIONS, P.CONNECTING),
    ),
    "`max_connections`": (Case([ONE], full_server), as_(E.TOO_MANY_CONNECTIONS, P.CONNECTING)),
    "a database that does not exist": (Case([ONE], no_such_database), as_(E.APPLICATION, P.CONNECTING)),
    # --- PgBouncer ---
    "PgBouncer knows no such database": (Case([ONE], bouncer_nothing), as_(E.POOLER, P.CONNECTING)),
    "PgBouncer's `query_wait_timeout`": (Case([ONE], bouncer_full), as_(E.POOLER, P.CONNECTING, **MUTE)),
    "no Postgres behind PgBouncer": (Case([ONE], bouncer_gone), as_(E.POOLER, P.CONNECTING)),
    "`pg_terminate_backend` behind PgBouncer in mid-statement": (
        Case(BUSY, bouncer_spare, disturb=terminate, busy=True),
        as_(E.SERVER_SHUTDOWN, P.MID_STATEMENT, **LOST),
    ),
    # --- limits, and the service's own ---
    "`pool_timeout`": (
        Case([["select 1", "SECOND"]], engine={"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}),
        as_(E.POOL_EXHAUSTED, P.POOL_WAIT),
    ),
    "`statement_timeout`": (
        Case([["set statement_timeout = '50ms'", "select pg_sleep(20)"]]),
        as_(E.STATEMENT_CANCELLED, P.MID_STATEMENT),
    ),
    "`lock_timeout`": (
        Case([["set lock_timeout = '50ms'", "select * from locked"]]),
        as_(E.STATEMENT_CANCELLED, P.MID_STATEMENT),
    ),
    "`pg_cancel_backend`": (
        Case(BUSY, disturb=cancel, busy=True),
        as_(E.STATEMENT_CANCELLED, P.MID_STATEMENT),
    ),
    "the driver's `command_timeout`": (
        Case([["select 1", "select pg_sleep(20)"]], connect={"asyncpg": {"command_timeout": 0.2}}),
        as_(E.CLIENT_TIMEOUT, P.MID_STATEMENT, psycopg=NO_LIMIT, psycopg2=NO_LIMIT),
    ),
    "a time limit of the service's own": (Case(BUSY, limit_s=0.3), as_(E.CLIENT_TIMEOUT, P.MID_STATEMENT)),
    "a driver's connection in two tasks": (
        Case([["TOGETHER"]]),
        as_(E.PROTOCOL_STATE, P.UNKNOWN, psycopg=WAITS, psycopg2=WAITS),
    ),
    "a session in two tasks": (
        Case([["SESSION"]]),
        as_(E.PROTOCOL_STATE, P.UNKNOWN, psycopg2=WAITS),
    ),
    "a prepared statement that is gone": (
        Case(
            [[*["select 2"] * 3, "do $$ begin execute 'deallocate all'; end $$", "select 2"]],
            connect={"psycopg": {"prepare_threshold": 1}},
        ),
        as_(E.PROTOCOL_STATE, P.MID_STATEMENT, psycopg2="prepares nothing"),
    ),
    "a plan from before DDL": (
        Case(
            [
                [
                    "create temporary table shape (a int)",
                    *["select * from shape"] * 3,
                    "do $$ begin execute 'alter table shape add b int'; end $$",
                    "select * from shape",
                ]
            ],
            connect={"psycopg": {"prepare_threshold": 1}},
        ),
        as_(E.PROTOCOL_STATE, P.MID_STATEMENT, psycopg2="prepares nothing"),
    ),
    "a statement after a failed one": (
        Case([["TRY select 1/0", "select 1"]]),
        as_(E.ABORTED_TRANSACTION, P.MID_STATEMENT, last=True),
    ),
    "a statement after a disconnect": (
        Case([["select 1", "GATE", "TRY select 2", "select 3"]], disturb=cut, armed=False),
        as_(E.EOF, P.BETWEEN),
    ),
    "a write to a read-only session": (
        Case([["set transaction read only", "insert into once values (2)"]]),
        as_(E.READ_ONLY, P.MID_STATEMENT),
    ),
    "a unique violation": (
        Case([["insert into once values (1)"]]),
        as_(E.APPLICATION, P.MID_STATEMENT),
    ),
    "an exception of the service's own": (Case([["select 1", "RAISE"]]), as_(E.APPLICATION, P.UNKNOWN)),
    # --- TLS ---
    **OVER_TLS,
}
