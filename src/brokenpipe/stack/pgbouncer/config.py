"""The configuration of a PgBouncer: its pgbouncer.ini and its auth_file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.errors import PgBouncerError
from brokenpipe.plan.settings.pgbouncer import MIN_VERSION_FOR_PREPARED, PgBouncerSettings
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.processes.ports import Address

ADMIN = "pgbouncer_admin"
_REMEDY = (
    "Name a newer one in BROKENPIPE_PGBOUNCER_BIN (`.ci/pgbouncer` gets one on an older Debian), or leave "
    "max_prepared_statements out."
)


@dataclass(frozen=True, slots=True)
class PgBouncerFiles:
    """Both files, in a folder that only this user can enter."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "pgbouncer.ini"

    @property
    def users(self) -> Path:
        return self.folder / "users"

    def write(
        self,
        settings: PgBouncerSettings,
        version: str,
        databases: Sequence[Database],
        address: Address,
        password: str,
    ) -> None:
        """For one that listens at that address, before these databases. `password` is its administrator's.

        Raises PgBouncerError as `configuration` does.
        """
        host, port = address
        addresses = {each.name: f"host={each.server.host} port={each.server.port}" for each in databases}
        written = pgbouncer_ini(
            settings, version, addresses, host=host, port=port, users_file=str(self.users)
        )
        logins = {each.user: each.password for each in databases} | {ADMIN: password}
        for path, text in ((self.config, written), (self.users, auth_file(logins))):
            path.touch(mode=0o600)
            path.write_text(text)


def pgbouncer_ini(
    settings: PgBouncerSettings,
    version: str,
    databases: Mapping[str, str],
    *,
    host: str,
    port: int,
    users_file: str,
) -> str:
    """A pgbouncer.ini for that version, such as 1.24.1.

    `databases`: the address of each, in libpq's words, such as "host=127.0.0.1 port=5432". Raises PgBouncerError when
    that version does not know one of the settings.
    """
    knows_prepared = _major_and_minor(version) >= MIN_VERSION_FOR_PREPARED
    if settings.max_prepared_statements and not knows_prepared:
        raise _too_old(settings.max_prepared_statements, version)
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
    if knows_prepared and settings.max_prepared_statements is not None:  # else it is PgBouncer's own default
        values["max_prepared_statements"] = settings.max_prepared_statements
    lines = ["[databases]", *(f"{name} = {address}" for name, address in databases.items())]
    lines += ["", "[pgbouncer]", *(f"{name} = {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def _too_old(max_prepared_statements: int, version: str) -> PgBouncerError:
    return PgBouncerError(
        f"max_prepared_statements = {max_prepared_statements} needs PgBouncer "
        f"{'.'.join(map(str, MIN_VERSION_FOR_PREPARED))} or newer, and this one is {version}",
        remedy=_REMEDY,
    )


def auth_file(passwords: Mapping[str, str]) -> str:
    """An auth_file. In plain text: by these PgBouncer knows its clients, and logs in to Postgres itself."""
    return "".join(f'"{name}" "{password}"\n' for name, password in passwords.items())


def _major_and_minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
