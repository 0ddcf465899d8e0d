"""PgBouncer between the proxies and Postgres: `[pgbouncer]` of a scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from brokenpipe.plan.toml_model import StrictModel

PoolMode = Literal["session", "transaction"]
MIN_VERSION_FOR_PREPARED = (
    1,
    21,
)  # https://www.pgbouncer.org/changelog.html: the first with max_prepared_statements

NO_PGBOUNCER_WITH_TLS = (
    "cannot be had together with [pgbouncer] or an arm's own, whose ways speak no TLS: leave one out"
)


class PgBouncerSettings(StrictModel):
    """`[pgbouncer]`: one PgBouncer for all arms, with a database of its own for each.

    service ──▶ proxy ──▶ PgBouncer ──▶ Postgres

    The names are PgBouncer's own, and times are in seconds as they are there.
    """

    pool_mode: PoolMode
    """When a client gives its server connection back: at the end of its session, or of each transaction."""

    default_pool_size: Annotated[int, Field(ge=1, le=50)] = 20
    """Connections to Postgres of each arm, at most."""

    max_prepared_statements: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Prepared statements that PgBouncer keeps track of for each client; 0: none. Left out: PgBouncer's own default,
    200 since 1.24 and 0 before. Above 0 it needs PgBouncer 1.21 or newer."""

    max_client_conn: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Connections that services may have, of all arms together. The harness's own, two or three an arm, count."""

    query_wait_timeout: Annotated[float, Field(ge=0, le=600)] = 120.0
    """Seconds that a query waits for a connection to Postgres before its client is disconnected; 0: for ever."""

    server_login_retry: Annotated[float, Field(ge=0, le=600)] = 15.0
    """Seconds after a failed connection to Postgres until the next is tried; until then new clients are refused."""

    @property
    def chosen(self) -> str:
        """The keys that the scenario sets, as written in TOML."""
        return _as_toml(self.model_dump(exclude_unset=True))

    @property
    def changed(self) -> str:
        """The keys that differ from the defaults, as written in TOML."""
        return _as_toml(self.model_dump(exclude_defaults=True))


def _as_toml(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
