"""Checks whether a server answers a new connection, directly and past every proxy."""

from __future__ import annotations

from collections.abc import Callable

from brokenpipe.drive.detection.tcp_sentinel import probe_connect
from brokenpipe.drive.raw_postgres.session import Login, LoginFailedError, pg_session
from brokenpipe.stack.pgbouncer.server import PgBouncer
from brokenpipe.stack.postgres.server import Postgres

ANSWER_TIMEOUT_S = 2.0  # a login takes 10 ms, on two busy cores ten times as much
_SILENT = frozenset({"silence", "unreached"})

AnswerCheck = Callable[[], bool | None]
"""True: it answered, possibly with a refusal. False: no answer. None: it could not be asked."""


def postgres_answers(server: Postgres) -> bool | None:
    """Log in as the superuser to a database that no arm has: it takes no slot of a service and is in no sample."""
    authority = server.certificates.authority if server.certificates else None
    login = Login(server.user, server.password, "postgres", authority)
    try:
        with pg_session((server.host, server.port), login, ANSWER_TIMEOUT_S):
            return True
    except LoginFailedError as instead:
        return instead.event.seen not in _SILENT
    except OSError:  # no descriptor, no certificate: nothing is known of the server
        return None


def pgbouncer_answers(pooler: PgBouncer) -> bool | None:
    """Connect and ask for TLS, which PgBouncer answers at once without a login."""
    try:
        return probe_connect(pooler.host, pooler.port, ANSWER_TIMEOUT_S) not in _SILENT
    except OSError:
        return None
