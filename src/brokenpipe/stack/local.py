"""The whole stack as child processes: one Postgres, one Toxiproxy, a database, a proxy and a target for each arm.

load ──▶ target of an arm ──▶ proxy of that arm ──▶ Postgres
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.history.segments import file_of, suffix
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project
from brokenpipe.stack.certificates import NO_TLS
from brokenpipe.stack.database import Database
from brokenpipe.stack.janitor import Janitor
from brokenpipe.stack.ports import LOOPBACK
from brokenpipe.stack.postgres import Postgres, postgres
from brokenpipe.stack.process import Child
from brokenpipe.stack.proxy import Proxy
from brokenpipe.stack.target import STOP_TIMEOUT_S, Service, service, wait_ready
from brokenpipe.stack.toolchain import toxiproxy_binary
from brokenpipe.stack.toxiproxy import ToxiproxyServer, toxiproxy_server
from brokenpipe.witness import environment as witness_environment

Step = Callable[[str], None]  # told what is being done, for the display

# For each worker of a target: SQLAlchemy's defaults allow 5 + 10, a scenario may ask for more.
CONNECTIONS_PER_ARM = 60
CONNECTIONS_OF_OURS = 20


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm consists of."""

    name: str
    database: str
    proxy: Proxy
    service: Service


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    postgres: Postgres
    toxiproxy: ToxiproxyServer
    arms: Mapping[str, Arm]


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
    tls = plan.scenario.postgres.tls
    of_arm = max(CONNECTIONS_PER_ARM, plan.scenario.postgres.max_connections or 0)
    limit = of_arm * len(plan.scenario.arms) + CONNECTIONS_OF_OURS
    with ExitStack() as running:
        on_step("building the Toxiproxy server")
        binary = toxiproxy_binary(project.proxies, janitor)
        on_step("starting Postgres")
        server = postgres(log_path=logs / "postgres.log", janitor=janitor, max_connections=limit, tls=tls)
        database = running.enter_context(server)
        on_step("starting Toxiproxy")
        proxies = toxiproxy_server(
            binary,
            log_path=logs / "toxiproxy.log",
            janitor=janitor,
            links_path=file_of(report, "links", part),
        )
        toxiproxy = running.enter_context(proxies)
        on_step(f"starting {len(plan.scenario.arms)} targets")
        ground = _Ground(plan, target_folder, report, part, database, toxiproxy, janitor, host, armed)
        arms = {name: running.enter_context(ground.arm(name)) for name in plan.scenario.arms}
        for arm in arms.values():  # all were started first, so that they come up together
            wait_ready(arm.service, plan.target)
        try:
            yield Stack(database, toxiproxy, arms)
        finally:
            _end_together([arm.service.child for arm in arms.values()])


def _end_together(targets: Sequence[Child]) -> None:
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
    database: Postgres
    toxiproxy: ToxiproxyServer
    janitor: Janitor
    host: str
    armed: bool

    @contextmanager
    def arm(self, name: str) -> Iterator[Arm]:
        """One arm, started but not yet ready."""
        own_database = self.database.create_database(f"arm_{name}", self.plan.scenario.postgres.room)
        address = (self.database.host, self.database.port)
        proxy = self.toxiproxy.proxy(name, address, database=own_database)
        proxy.arm(self.armed)
        with service(
            self.plan.target,
            arm=name,
            folder=self.target_folder,
            dsn=self._dsn(proxy, own_database),
            env=self._environment(name),
            log_path=self.report / "logs" / f"target-{name}.log",
            janitor=self.janitor,
            host=self.host,
        ) as started:
            yield Arm(name, own_database.name, proxy, started)

    def _dsn(self, proxy: Proxy, database: Database) -> str:
        certificates = self.database.certificates
        return self.plan.target.dsn.format(
            user=database.user,
            password=database.password,
            host=proxy.host,
            port=proxy.port,
            database=database.name,
            **(certificates.of_client if certificates else NO_TLS),
        )

    def _environment(self, name: str) -> dict[str, str]:
        certificates = self.database.certificates
        tls = certificates.environment if certificates else {}
        chosen = {**tls, **self.plan.target.env, **self.plan.scenario.env, **self.plan.scenario.arms[name]}
        if not self.plan.target.witness:
            return chosen
        pythonpath = chosen.get("PYTHONPATH", "")
        return {
            **chosen,
            **witness_environment(name, self.report, pythonpath=pythonpath, suffix=suffix(self.part)),
        }
