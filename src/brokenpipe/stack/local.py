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
from brokenpipe.stack.processes.standstill import ending_stopped_processes
from brokenpipe.stack.proxy.proxy import Address
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import Arm, Stack, create_databases, required_connections
from brokenpipe.stack.target import STOP_TIMEOUT_S, start_service, wait_ready
from brokenpipe.stack.target_environment import dsn_via_proxy


@contextmanager
def local_stack(spec: StackSpec) -> Iterator[Stack]:
    """Everything the plan needs, ready, for as long as the block lasts.

    Targets listen on the spec's host, everything else on the loopback. Raises StackError for what did not start.
    """
    plan, logs, janitor, on_step = spec.plan, spec.logs, spec.janitor, spec.on_step
    logs.mkdir(parents=True, exist_ok=True)
    tls, limit = plan.scenario.postgres.tls, required_connections(plan)
    with ExitStack() as running:
        with ending_stopped_processes():
            on_step("building the Toxiproxy server")
            binary = toxiproxy_binary(spec.project.proxies, janitor)
            on_step("starting Postgres")
            server = postgres(log_path=logs / "postgres.log", janitor=janitor, max_connections=limit, tls=tls)
            database = running.enter_context(server)
            databases = create_databases(plan, database)
            pooler = _start_pgbouncer(spec, databases, running)
            on_step("starting Toxiproxy")
            proxies = toxiproxy_server(
                binary, log_path=logs / "toxiproxy.log", janitor=janitor, links_path=spec.links_path
            )
            toxiproxy = running.enter_context(proxies)
            on_step(f"starting {len(plan.scenario.arms)} targets")
            place = pooler or database
            ground = _LocalBuilder(spec, databases, (place.host, place.port), toxiproxy)
            arms = {name: running.enter_context(ground.arm(name)) for name in plan.scenario.arms}
            for arm in arms.values():  # all were started first, so that they come up together
                wait_ready(arm.service, plan.target)
        try:
            scratch = partial(postgres, log_path=logs / "postgres-scratch.log", janitor=janitor)
            yield Stack(database, toxiproxy, arms, scratch, LOOPBACK, pooler)
        finally:
            stop_together([arm.service.child for arm in arms.values()])


def _start_pgbouncer(
    spec: StackSpec, databases: Mapping[str, Database], running: ExitStack
) -> PgBouncer | None:
    """A PgBouncer before these databases, if the plan wants one."""
    settings = spec.plan.scenario.pgbouncer
    if settings is None:
        return None
    spec.on_step("starting PgBouncer")
    log_path, servers = spec.logs / "pgbouncer.log", tuple(databases.values())
    return running.enter_context(pgbouncer(settings, servers, log_path=log_path, janitor=spec.janitor))


def stop_together(targets: Sequence[Child]) -> None:
    """Eight services that take three seconds each to end take three seconds."""
    with ThreadPoolExecutor(len(targets), "end") as enders:
        ended = [enders.submit(target.stop, signal.SIGTERM, STOP_TIMEOUT_S) for target in targets]
    for each in ended:
        each.result()


@dataclass(frozen=True, slots=True)
class _LocalBuilder:
    """What every arm stands on."""

    spec: StackSpec
    databases: Mapping[str, Database]
    upstream: Address
    toxiproxy: ToxiproxyServer

    @contextmanager
    def arm(self, name: str) -> Iterator[Arm]:
        """One arm, started but not yet ready."""
        spec, own_database = self.spec, self.databases[name]
        target, certificates = spec.plan.target, own_database.server.certificates
        proxy = self.toxiproxy.create_proxy(name, self.upstream, database=own_database)
        proxy.set_rst_on_close(spec.rst_on_close)
        with start_service(
            target,
            arm=name,
            folder=spec.target_folder,
            dsn=dsn_via_proxy(proxy, own_database, target, certificates),
            env=spec.environment(name, certificates),
            log_path=spec.logs / f"target-{name}.log",
            janitor=spec.janitor,
            host=spec.host,
            passed=passed_names(spec.plan, name),
        ) as started:
            yield Arm(name, own_database.name, proxy, started)
