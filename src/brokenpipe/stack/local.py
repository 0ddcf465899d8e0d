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
from pathlib import Path

from brokenpipe.history.segments import file_of
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project
from brokenpipe.stack.database import Database
from brokenpipe.stack.janitor import Janitor
from brokenpipe.stack.pgbouncer import PgBouncer, pgbouncer
from brokenpipe.stack.ports import LOOPBACK
from brokenpipe.stack.postgres import postgres
from brokenpipe.stack.process import Child
from brokenpipe.stack.proxy import Address
from brokenpipe.stack.settings import dsn_through, environment_of
from brokenpipe.stack.stack import Arm, Stack, Step, connections_for, databases_for
from brokenpipe.stack.target import STOP_TIMEOUT_S, service, wait_ready
from brokenpipe.stack.toolchain import toxiproxy_binary
from brokenpipe.stack.toxiproxy import ToxiproxyServer, toxiproxy_server


@contextmanager
def local_stack(
    plan: Plan,
    *,
    project: Project,
    target_folder: Path,
    report: Path,
    part: int = 1,
    janitor: Janitor,
    on_step: Step,
    host: str = LOOPBACK,
    armed: bool = False,
) -> Iterator[Stack]:
    """Everything the plan needs, ready, for as long as the block lasts.

    Logs go to `report`/logs, the witness and the proxies write into `report`, in the files of that part. Targets
    listen on `host`, everything else on the loopback. `armed`: connections end by RST from the first on. Raises
    StackError for what did not start.
    """
    logs = report / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    tls, limit = plan.scenario.postgres.tls, connections_for(plan)
    with ExitStack() as running:
        on_step("building the Toxiproxy server")
        binary = toxiproxy_binary(project.proxies, janitor)
        on_step("starting Postgres")
        server = postgres(log_path=logs / "postgres.log", janitor=janitor, max_connections=limit, tls=tls)
        database = running.enter_context(server)
        databases = databases_for(plan, database)
        pooler = _pooler(plan, databases, logs, janitor, on_step, running)
        on_step("starting Toxiproxy")
        proxies = toxiproxy_server(
            binary,
            log_path=logs / "toxiproxy.log",
            janitor=janitor,
            links_path=file_of(report, "links", part),
        )
        toxiproxy = running.enter_context(proxies)
        on_step(f"starting {len(plan.scenario.arms)} targets")
        place = pooler or database
        upstream = (place.host, place.port)
        ground = _Ground(
            plan, target_folder, report, part, databases, upstream, toxiproxy, janitor, host, armed
        )
        arms = {name: running.enter_context(ground.arm(name)) for name in plan.scenario.arms}
        for arm in arms.values():  # all were started first, so that they come up together
            wait_ready(arm.service, plan.target)
        try:
            scratch = partial(postgres, log_path=logs / "postgres-scratch.log", janitor=janitor)
            yield Stack(database, toxiproxy, arms, scratch, LOOPBACK, pooler)
        finally:
            end_together([arm.service.child for arm in arms.values()])


def _pooler(
    plan: Plan,
    databases: Mapping[str, Database],
    logs: Path,
    janitor: Janitor,
    on_step: Step,
    running: ExitStack,
) -> PgBouncer | None:
    """A PgBouncer before these databases, if the plan wants one."""
    settings = plan.scenario.pgbouncer
    if settings is None:
        return None
    on_step("starting PgBouncer")
    log_path = logs / "pgbouncer.log"
    return running.enter_context(
        pgbouncer(settings, tuple(databases.values()), log_path=log_path, janitor=janitor)
    )


def end_together(targets: Sequence[Child]) -> None:
    """Eight services that take three seconds each to end take three seconds."""
    with ThreadPoolExecutor(len(targets), "end") as enders:
        for target in targets:
            enders.submit(target.stop, signal.SIGTERM, STOP_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every arm stands on."""

    plan: Plan
    target_folder: Path
    report: Path
    part: int
    databases: Mapping[str, Database]
    upstream: Address
    toxiproxy: ToxiproxyServer
    janitor: Janitor
    host: str
    armed: bool

    @contextmanager
    def arm(self, name: str) -> Iterator[Arm]:
        """One arm, started but not yet ready."""
        own_database = self.databases[name]
        certificates = own_database.server.certificates
        proxy = self.toxiproxy.proxy(name, self.upstream, database=own_database)
        proxy.arm(self.armed)
        with service(
            self.plan.target,
            arm=name,
            folder=self.target_folder,
            dsn=dsn_through(proxy, own_database, self.plan.target, certificates),
            env=environment_of(self.plan, name, self.report, self.part, certificates),
            log_path=self.report / "logs" / f"target-{name}.log",
            janitor=self.janitor,
            host=self.host,
        ) as started:
            yield Arm(name, own_database.name, proxy, started)
