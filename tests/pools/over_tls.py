"""The ways to fail that read otherwise, or are possible only, where connections are encrypted."""

from __future__ import annotations

from brokenpipe.error_class import ErrorClass as E
from brokenpipe.measure.failures.request_stage import RequestStage as P

from .certified import another_authority, another_name, expired
from .disturbances import BUSY, IDLE, ONE, cut
from .expected import EOF_ALL, LOST, MUTE, Expected, as_
from .provocation_setup import VERIFIED, Case, terminate
from .unreachable_dsns import direct

IDLE_END = {
    "asyncpg": "connection is closed",
    "psycopg": "SSL error: unexpected eof while reading",
    "psycopg2": "SSL SYSCALL error: EOF detected",
}
BUSY_END = IDLE_END | {"asyncpg": "connection was closed in the middle of operation"}
TERMINATED = {
    "psycopg": "terminating connection due to administrator command",
    "psycopg2": "SSL connection has been closed unexpectedly",
}
UNVERIFIED = {
    "asyncpg": "certificate verify failed",
    "psycopg": "certificate verify failed",
    "psycopg2": "certificate verify failed",
}
OTHER_NAME = {
    "asyncpg": "certificate is not valid for",
    "psycopg": "does not match host name",
    "psycopg2": "does not match host name",
}

OVER_TLS: dict[str, tuple[Case, Expected]] = {
    "TLS: RST, idle in the pool": (Case(IDLE, tls=True, disturb=cut), as_(E.RESET, P.STALE, **EOF_ALL)),
    "TLS: FIN, idle in the pool": (
        Case(IDLE, tls=True, disturb=cut, armed=False),
        as_(E.EOF, P.STALE, says=IDLE_END),
    ),
    "TLS: RST in mid-statement": (
        Case(BUSY, tls=True, disturb=cut, busy=True),
        as_(E.RESET, P.MID_STATEMENT, psycopg=E.EOF, psycopg2=E.EOF),
    ),
    "TLS: FIN in mid-statement": (
        Case(BUSY, tls=True, disturb=cut, busy=True, armed=False),
        as_(E.EOF, P.MID_STATEMENT, says=BUSY_END),
    ),
    "TLS: `pg_terminate_backend`, idle in the pool": (
        Case(IDLE, tls=True, disturb=terminate, armed=False),
        as_(E.SERVER_SHUTDOWN, P.STALE, says=TERMINATED | {"asyncpg": IDLE_END["asyncpg"]}, **LOST),
    ),
    "TLS: `pg_terminate_backend` in mid-statement": (
        Case(BUSY, tls=True, disturb=terminate, busy=True, armed=False),
        as_(E.SERVER_SHUTDOWN, P.MID_STATEMENT, says=TERMINATED | {"asyncpg": TERMINATED["psycopg"]}, **MUTE),
    ),
    "verify-full, of a server without TLS": (
        Case([ONE], direct, connect=VERIFIED),
        as_(E.TLS, P.CONNECTING),
    ),
    "verify-full: signed by another authority": (
        Case([ONE], another_authority, connect=VERIFIED),
        as_(E.TLS, P.CONNECTING, says=UNVERIFIED),
    ),
    "verify-full: the certificate has expired": (
        Case([ONE], expired, connect=VERIFIED),
        as_(E.TLS, P.CONNECTING, says=UNVERIFIED),
    ),
    "verify-full: the certificate is for another name": (
        Case([ONE], another_name, connect=VERIFIED),
        as_(E.TLS, P.CONNECTING, says=OTHER_NAME),
    ),
}
