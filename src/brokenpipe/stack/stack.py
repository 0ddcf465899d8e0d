"""What a running stack consists of, wherever it runs: one Postgres, one Toxiproxy, and the arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from brokenpipe.plan.plan import Plan
from brokenpipe.stack.pgbouncer.server import PgBouncer
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.target import Service

StepCallback = Callable[[str], None]  # told what is being done, for the display

# For each worker of a target: SQLAlchemy's defaults allow 5 + 10, a scenario may ask for more.
CONNECTIONS_PER_ARM = 60
SENTINELS_PER_ARM = 1  # sessions of the arm's role that no limit of the arm counts
HARNESS_CONNECTIONS = 20


def required_connections(plan: Plan) -> int:
    """How many connections the Postgres behind all arms must allow."""
    of_arm = max(CONNECTIONS_PER_ARM, plan.scenario.postgres.max_connections or 0)
    return (of_arm + SENTINELS_PER_ARM) * len(plan.scenario.arms) + HARNESS_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm consists of."""

    name: str
    database: str
    proxy: Proxy
    service: Service


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack. `scratch_postgres` starts a Postgres for probes; `harness_host`: where Toxiproxy reaches us."""

    postgres: Postgres
    toxiproxy: ToxiproxyServer
    arms: Mapping[str, Arm]
    scratch_postgres: Callable[[], AbstractContextManager[Postgres]]
    harness_host: str
    pgbouncer: PgBouncer | None = None
    count_bypasses: Callable[[], Mapping[str, int | None]] | None = None
    """Of each arm, how many connections its service has had past its proxy since the last call, as far as it can be
    seen at the service; None: it can be seen at Postgres, which has `postgres_client_pid` and others."""

    @property
    def versions(self) -> dict[str, str]:
        """Of the servers in it, and what depends on a version: the value of a setting whose default changed."""
        versions = {"postgres": self.postgres.version, "toxiproxy": self.toxiproxy.version}
        if self.pgbouncer is None:
            return versions
        tracked = self.pgbouncer.max_prepared_statements or "not known to it"
        return versions | {
            "pgbouncer": self.pgbouncer.version,
            "pgbouncer max_prepared_statements": f"{tracked} (in force)",
        }

    @property
    def postgres_client_pid(self) -> int:
        """The process through which all arms reach Postgres."""
        return self.pgbouncer.child.pid if self.pgbouncer else self.toxiproxy.child.pid
