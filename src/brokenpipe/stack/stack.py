"""The parts of a running stack: one Postgres, one Toxiproxy, and the arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from brokenpipe.plan.plan import Plan
from brokenpipe.stack.interpreters.installed import InstalledPackages
from brokenpipe.stack.pgbouncer.server import PgBouncer
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.target import Service

StepCallback = Callable[[str], None]  # called with a few words about each step of the start, for the display

# For each worker of a target: SQLAlchemy's defaults allow 5 + 10, a scenario may ask for more.
CONNECTIONS_PER_ARM = 60
SENTINELS_PER_ARM = 1  # sessions of the arm's role that no limit of the arm counts
HARNESS_CONNECTIONS = 20


def required_connections(plan: Plan) -> int:
    """Number of connections that the Postgres behind all arms must allow."""
    of_arm = max(CONNECTIONS_PER_ARM, plan.scenario.postgres.max_connections or 0)
    return (of_arm + SENTINELS_PER_ARM) * len(plan.scenario.arms) + HARNESS_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: its database, proxy and target."""

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
    pgbouncers: Mapping[str, PgBouncer] = field(default_factory=dict)
    """By name: `pgbouncer` is that of the arms without one of their own, `pgbouncer ARM` is an arm's own."""
    installed: Mapping[str, InstalledPackages] = field(default_factory=dict)
    """What is installed for the target of each arm; empty: it is not known, or all have what we have."""
    count_bypasses: Callable[[], Mapping[str, int | None]] | None = None
    """Counts, for each arm, the connections of its service past its proxy since the last call; None for an arm: not
    known. Without it Postgres's own table of clients shows them: all but those of `postgres_client_pids`."""
    await_targets: Callable[[], None] = lambda: None
    """Returns when all targets are ready. Raises TargetNotReady or RedirectError."""
    stop_targets: Callable[[], None] = lambda: None
    """Ends all targets, side by side, before the stack ends."""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the servers, and a setting of PgBouncer whose default depends on its version."""
        versions = {"postgres": self.postgres.version, "toxiproxy": self.toxiproxy.version}
        for name, pgbouncer in self.pgbouncers.items():
            tracked = pgbouncer.max_prepared_statements or "not known to it"
            versions |= {
                "pgbouncer": pgbouncer.version,
                f"{name} max_prepared_statements": f"{tracked} (in force)",
            }
        return versions

    @property
    def postgres_client_pids(self) -> tuple[int, ...]:
        """The processes through which arms connect to Postgres."""
        direct = not all(arm.proxy.server.pooled for arm in self.arms.values())
        toxiproxy = (self.toxiproxy.child.pid,) if direct else ()
        return (*toxiproxy, *(pgbouncer.child.pid for pgbouncer in self.pgbouncers.values()))
