"""The whole stack as child processes: one Postgres, one Toxiproxy, a database, a proxy and a target for each arm.

load ──▶ target of an arm ──▶ proxy of that arm ──▶ [PgBouncer ──▶] Postgres
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from brokenpipe.plan.secrets.passed_variables import passed_names
from brokenpipe.stack.pgbouncer.server import PgBouncer, pgbouncer
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.processes.standstill import ending_what_stands_still
from brokenpipe.stack.proxy.proxy import Address
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary
from brokenpipe.stack.spec import Footing
from brokenpipe.stack.stack import Arm, Stack, connections_for, databases_for
from brokenpipe.stack.target import STOP_TIMEOUT_S, service, wait_ready
from brokenpipe.stack.target_environment import dsn_through


@contextmanager
def local_stack(footing: Footing) -> Iterator[Stack]:
    """Everything the plan needs, ready, for as long as the block lasts.

    Targets listen on the footing's host, everything else on the loopback. Raises StackError for what did not start.
    """
    plan, logs, janitor, on_step = footing.plan, footing.logs, footing.janitor, footing.on_step
    logs.mkdir(parents=True, exist_ok=True)
    tls, limit = plan.scenario.postgres.tls, connections_for(plan)
    with ExitStack() as running:
        with ending_what_stands_still():
            on_step("building the Toxiproxy server")
            binary = toxiproxy_binary(footing.project.proxies, janitor)
            on_step("starting Postgres")
            server = postgres(log_path=logs / "postgres.log", janitor=janitor, max_connections=limit, tls=tls)
            database = running.enter_context(server)
            databases = databases_for(plan, database)
            pooler = _pooler(footing, databases, running)
            on_step("starting Toxiproxy")
            proxies = toxiproxy_server(
                binary, log_path=logs / "toxiproxy.log", janitor=janitor, links_path=footing.links
            )
            toxiproxy = running.enter_context(proxies)
            on_step(f"starting {len(plan.scenario.arms)} targets")
            place = pooler or database
            ground = _Ground(footing, databases, (place.host, place.port), toxiproxy)
            arms = {name: running.enter_context(ground.arm(name)) for name in plan.scenario.arms}
            for arm in arms.values():  # all were started first, so that they come up together
                wait_ready(arm.service, plan.target)
        try:
            scratch = partial(postgres, log_path=logs / "postgres-scratch.log", janitor=janitor)
            yield Stack(database, toxiproxy, arms, scratch, LOOPBACK, pooler)
        finally:
            end_together([arm.service.child for arm in arms.values()])


def _pooler(footing: Footing, databases: Mapping[str, Database], running: ExitStack) -> PgBouncer | None:
    """A PgBouncer before these databases, if the plan wants one."""
    settings = footing.plan.scenario.pgbouncer
    if settings is None:
        return None
    footing.on_step("starting PgBouncer")
    log_path, servers = footing.logs / "pgbouncer.log", tuple(databases.values())
    return running.enter_context(pgbouncer(settings, servers, log_path=log_path, janitor=footing.janitor))


def end_together(targets: Sequence[Child]) -> None:
    """Eight services that take three seconds each to end take three seconds."""
    with ThreadPoolExecutor(len(targets), "end") as enders:
        ended = [enders.submit(target.stop, signal.SIGTERM, STOP_TIMEOUT_S) for target in targets]
    for each in ended:
        each.result()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every arm stands on."""

    footing: Footing
    databases: Mapping[str, Database]
    upstream: Address
    toxiproxy: ToxiproxyServer

    @contextmanager
    def arm(self, name: str) -> Iterator[Arm]:
        """One arm, started but not yet ready."""
        footing, own_database = self.footing, self.databases[name]
        target, certificates = footing.plan.target, own_database.server.certificates
        proxy = self.toxiproxy.proxy(name, self.upstream, database=own_database)
        proxy.arm(footing.armed)
        with service(
            target,
            arm=name,
            folder=footing.target_folder,
            dsn=dsn_through(proxy, own_database, target, certificates),
            env=footing.environment(name, certificates),
            log_path=footing.logs / f"target-{name}.log",
            janitor=footing.janitor,
            host=footing.host,
            passed=passed_names(footing.plan, name),
        ) as started:
            yield Arm(name, own_database.name, proxy, started)
