"""What a PgBouncer is told: its pgbouncer.ini, and the file of those who may log in."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.errors import PgBouncerError
from brokenpipe.plan.pgbouncer import LEAST_FOR_PREPARED, PgBouncer

ADMIN = "pgbouncer_admin"
_REMEDY = (
    "Name a newer one in BROKENPIPE_PGBOUNCER_BIN (`.ci/pgbouncer` gets one on an older Debian), or leave "
    "max_prepared_statements out."
)


def configuration(
    settings: PgBouncer,
    version: str,
    databases: Mapping[str, str],
    *,
    host: str,
    port: int,
    users_file: str,
) -> str:
    """A pgbouncer.ini for that version, such as 1.24.1.

    `databases`: where each is, in libpq's words, such as "host=127.0.0.1 port=5432". Raises PgBouncerError when that
    version does not know what is asked of it.
    """
    knows_prepared = _numbers(version) >= LEAST_FOR_PREPARED
    if settings.max_prepared_statements and not knows_prepared:
        raise PgBouncerError(
            f"max_prepared_statements = {settings.max_prepared_statements} needs PgBouncer "
            f"{'.'.join(map(str, LEAST_FOR_PREPARED))} or newer, and this one is {version}",
            remedy=_REMEDY,
        )
    values: dict[str, str | int] = {
        "listen_addr": host,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": users_file,
        "admin_users": ADMIN,
        "pool_mode": settings.pool_mode,
        "default_pool_size": settings.default_pool_size,
        "max_client_conn": settings.max_client_conn,
        "query_wait_timeout": f"{settings.query_wait_timeout:g}",
        "server_login_retry": f"{settings.server_login_retry:g}",
        "client_login_timeout": 600,  # how long a raw socket of ours may wait for its end, as with Postgres itself
        "ignore_startup_parameters": "extra_float_digits",  # JDBC and psycopg2 send it
    }
    if knows_prepared:  # left out, its value depends on the version: none before 1.23, 200 since
        values["max_prepared_statements"] = settings.max_prepared_statements
    lines = ["[databases]", *(f"{name} = {place}" for name, place in databases.items())]
    lines += ["", "[pgbouncer]", *(f"{name} = {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def users(passwords: Mapping[str, str]) -> str:
    """An auth_file. In plain text: by these PgBouncer knows its clients, and logs in to Postgres itself."""
    return "".join(f'"{name}" "{password}"\n' for name, password in passwords.items())


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
