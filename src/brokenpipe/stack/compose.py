"""The whole stack in containers: the same Stack as the local one, so nothing that drives it knows the difference.

`docker compose create` makes containers and network from the file of the run; each container is then started as a
child process (`contained`) in the order in which the local stack starts its own. The load stays outside.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from brokenpipe.errors import EngineError
from brokenpipe.history.file_names import part_suffix
from brokenpipe.stack.bypass_detector import BypassDetector
from brokenpipe.stack.containers import cleanup
from brokenpipe.stack.containers.compose_file import (
    AGENT_IMAGE,
    API_PORT,
    HBA_FILE,
    HBA_RULES,
    PGBOUNCER_IMAGE,
    PGBOUNCER_PORT,
    POSTGRES_IMAGE,
    POSTGRES_PORT,
    SCRATCH,
    TARGET_PORT,
    TLS_FOLDER,
    TOXIPROXY_IMAGE,
    ComposeLayout,
    NetworkAddresses,
    SecretFiles,
    address_holder,
    choose_network,
)
from brokenpipe.stack.containers.container_process import container_process
from brokenpipe.stack.containers.engine import Engine, find_engine
from brokenpipe.stack.containers.events import recording_events
from brokenpipe.stack.local import stop_together
from brokenpipe.stack.packet_loss.containers import ContainerPacketFilter
from brokenpipe.stack.pgbouncer.server import PgBouncer, query_pgbouncer_info, start_error
from brokenpipe.stack.postgres.certificates import Certificates, make_certificates
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import Postgres, start_server
from brokenpipe.stack.processes.ports import ContainerPort
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.proxy.api import ToxiproxyApi
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import Arm, Stack, create_databases, required_connections
from brokenpipe.stack.target import Service, wait_ready
from brokenpipe.stack.target_environment import dsn_via_proxy
from brokenpipe.witness import SITE

_FIRST_PROXY_PORT = 20_000


@contextmanager
def compose_stack(spec: StackSpec) -> Iterator[Stack]:
    """Everything the plan needs in containers, ready, for as long as the block lasts. See `start_stack`."""
    spec = replace(spec, report=spec.report.resolve())  # a container knows it by one name only
    plan = spec.plan
    spec.logs.mkdir(parents=True, exist_ok=True)
    spec.on_step("looking for a Docker engine")
    found = find_engine(spec.engine)
    cleanup.sweep_dead(found.client)
    images = [POSTGRES_IMAGE, TOXIPROXY_IMAGE, plan.target.image or AGENT_IMAGE]
    found.require_images(images + ([PGBOUNCER_IMAGE] if plan.scenario.pgbouncer else []), spec.on_step)
    with scratch_folder("brokenpipe-compose-", spec.janitor) as folder, ExitStack() as running:
        layout = _make_layout(spec, SecretFiles(folder), found)
        layout.secrets.password.write_text(secrets.token_urlsafe(18))
        # Read in the container by another user; nobody else may enter the folder.
        layout.secrets.password.chmod(0o644)
        for arm in plan.scenario.arms:  # docker-compose 1.29 wants them all to be there from the start
            layout.secrets.dsn(arm).touch()
        file = spec.report / f"compose{part_suffix(spec.part)}.json"
        file.write_text(json.dumps(layout.document(), indent=2) + "\n")
        yield running.enter_context(_ComposeBuilder(spec, layout, found, file).stack())


def _make_layout(spec: StackSpec, hidden: SecretFiles, engine: Engine) -> ComposeLayout:
    plan, run_id = spec.plan, spec.janitor.run_id
    services_file = spec.project.root / "compose" / "services.yaml"
    if not services_file.is_file():
        raise EngineError(
            f"{services_file}: there is no such file, so nobody knows what the containers are",
            remedy="Run brokenpipe in a checkout of its repository, which has the folder compose/.",
        )
    addresses = _choose_addresses(engine)
    # The server answers at its own address, and at that of the proxies in front of it.
    both = (addresses.postgres, addresses.toxiproxy)
    certificates = make_certificates(hidden.folder, both) if plan.scenario.postgres.tls else None
    return ComposeLayout(
        plan=plan,
        project=f"brokenpipe-{run_id}",
        services_file=services_file.resolve(),
        addresses=addresses,
        secrets=hidden,
        labels=cleanup.labels(run_id),
        report=spec.report,
        links=spec.links_path,
        target_folder=spec.target_folder.resolve(),
        witness=SITE.resolve(),
        environments={name: spec.environment(name, certificates) for name in plan.scenario.arms},
        max_connections=required_connections(plan),
        certificates=certificates,
    )


def _choose_addresses(engine: Engine) -> NetworkAddresses:
    """A network that neither this machine nor the engine has."""
    taken = [
        ipaddress.ip_interface(f"{each.address}/{each.netmask or 32}").network
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family.name == "AF_INET"
    ]
    return choose_network(
        each for each in [*taken, *engine.subnets()] if isinstance(each, ipaddress.IPv4Network)
    )


@dataclass(frozen=True, slots=True)
class _ContainerPostgresLaunch:
    """A Postgres in a container that was created."""

    ground: _ComposeBuilder
    service: str
    host: str
    password: str
    certificates: Certificates | None
    port: int = POSTGRES_PORT

    def start(self) -> AbstractContextManager[Child]:
        return self.ground.contained(self.service, self.service, stop_signal=signal.SIGINT)


@dataclass(frozen=True, slots=True)
class _ComposeBuilder:
    """What every part stands on."""

    spec: StackSpec
    layout: ComposeLayout
    engine: Engine
    file: Path

    @contextmanager
    def stack(self) -> Iterator[Stack]:
        plan, on_step = self.spec.plan, self.spec.on_step
        with self._recorded(), self._created(), ExitStack() as running:
            on_step("starting Postgres")
            database = running.enter_context(self._database())
            databases = create_databases(plan, database)
            pooler = running.enter_context(self._pgbouncer(databases))
            on_step("starting Toxiproxy")
            lossy = self.spec.packet_filters and plan.scenario.in_namespace
            packets = ContainerPacketFilter(self.layout.addresses.toxiproxy, wanted=lossy)
            toxiproxy = running.enter_context(self._toxiproxy(packets))
            on_step(f"starting {len(plan.scenario.arms)} targets")
            started = running.enter_context(self._arms(databases, pooler, toxiproxy, packets))
            arms = {arm.name: arm for arm in started}
            for arm in arms.values():
                wait_ready(arm.service, plan.target)
            try:
                where = self.layout.addresses
                count_bypasses = BypassDetector(
                    where.behind_proxies, {name: arm.service.child for name, arm in arms.items()}
                )
                yield Stack(database, toxiproxy, arms, self._scratch, where.gateway, pooler, count_bypasses)
            finally:
                stop_together([arm.service.child for arm in arms.values()])

    def _recorded(self) -> AbstractContextManager[None]:
        log, run_id = self.spec.logs / "containers.log", self.spec.janitor.run_id
        return recording_events(self.engine, run_id, history=self.spec.container_events, log=log)

    @contextmanager
    def _created(self) -> Iterator[None]:
        """Containers and network, made but not started; gone with the block."""
        janitor = self.spec.janitor
        script = str(Path(cleanup.__file__))
        janitor.register_command([sys.executable, "-I", script, self.engine.endpoint, janitor.run_id])
        self.spec.on_step("creating containers")
        try:
            self._create_with_place("postgres")
            self._create("toxiproxy")
            yield
        finally:
            cleanup.sweep(self.engine.client, janitor.run_id)

    def _create_with_place(self, service: str) -> None:
        """One that lives in the network of its place, which for docker-compose 1.29 must run by then."""
        self._create(address_holder(service))
        self.engine.start(self.layout.container(address_holder(service)))
        self._create(service)

    def _create(self, *services: str) -> None:
        self.engine.create_containers(
            self.layout.project, self.file, services, self.layout.secret_variables()
        )

    def contained(
        self, name: str, service: str, stop_signal: int = signal.SIGTERM, secrets: Sequence[str] = ()
    ) -> AbstractContextManager[Child]:
        """A container as a child."""
        log_name = {SCRATCH: "postgres-scratch"}.get(service, service.replace("agent-", "target-"))
        return container_process(
            name,
            self.layout.container(service),
            self.engine,
            log_path=self.spec.logs / f"{log_name}.log",
            janitor=self.spec.janitor,
            stop_signal=stop_signal,
            secrets=secrets,
        )

    @contextmanager
    def _postgres(
        self, service: str, host: str, certificates: Certificates | None = None
    ) -> Iterator[Postgres]:
        password = self.layout.secrets.password.read_text()
        server = start_server(_ContainerPostgresLaunch(self, service, host, password, certificates))
        try:
            yield server
        finally:
            server.close()

    def _database(self) -> AbstractContextManager[Postgres]:
        """The arms' Postgres. What it needs for TLS is put into its volume: there it can be its own."""
        certificates = self.layout.certificates
        if certificates:
            files = {file.name: file.read_bytes() for file in (certificates.server, certificates.key)}
            self.engine.copy_to_volume(
                self.layout.container("postgres"), TLS_FOLDER, files | {HBA_FILE.name: HBA_RULES.encode()}
            )
        return self._postgres("postgres", self.layout.addresses.postgres, certificates)

    @contextmanager
    def _pgbouncer(self, databases: Mapping[str, Database]) -> Iterator[PgBouncer | None]:
        """One before these databases, ready, if the plan wants one."""
        settings, files = self.spec.plan.scenario.pgbouncer, self.layout.secrets.pgbouncer
        if settings is None:
            yield None
            return
        self.spec.on_step("starting PgBouncer")
        place, password = (self.layout.addresses.pgbouncer, PGBOUNCER_PORT), secrets.token_urlsafe(18)
        files.write(settings, PGBOUNCER_IMAGE.rpartition(":")[2], tuple(databases.values()), place, password)
        for path in (files.config, files.users):
            path.chmod(0o644)  # as with the password
        self._create("pgbouncer")  # with its files, which are there only now
        with self.contained("pgbouncer", "pgbouncer", stop_signal=signal.SIGKILL) as process:
            told = query_pgbouncer_info(process, place, password)
            if not told:
                raise start_error(process)
            yield PgBouncer(*place, told.version, process, told.max_prepared_statements)

    @contextmanager
    def _scratch(self) -> Iterator[Postgres]:
        """A fresh Postgres for probes."""
        self._create_with_place(SCRATCH)
        try:
            with self._postgres(SCRATCH, self.layout.addresses.scratch) as server:
                yield server
        finally:
            for service in (SCRATCH, address_holder(SCRATCH)):
                self.engine.remove(self.layout.container(service))

    @contextmanager
    def _toxiproxy(self, packets: ContainerPacketFilter) -> Iterator[ToxiproxyServer]:
        ports = (ContainerPort(number) for number in itertools.count(_FIRST_PROXY_PORT))
        server = ToxiproxyServer(
            ToxiproxyApi(API_PORT, packets.host),
            lambda: packets.with_rules(self.contained("toxiproxy", "toxiproxy", stop_signal=signal.SIGKILL)),
            new_port=partial(next, ports),
            packets=packets,
        )
        try:
            server.start()
            yield server
        finally:
            server.close()

    @contextmanager
    def _arms(
        self,
        databases: Mapping[str, Database],
        pooler: PgBouncer | None,
        toxiproxy: ToxiproxyServer,
        packets: ContainerPacketFilter,
    ) -> Iterator[list[Arm]]:
        """All arms, started but not yet ready."""
        names = list(databases)
        proxies = {name: self._proxy(name, databases[name], pooler, toxiproxy) for name in names}
        self._create(*(f"agent-{name}" for name in names))  # with their DSNs, which are known only now
        with ExitStack() as running:
            arms = []
            for index, name in enumerate(names):
                hidden = self.layout.secrets_of(name)
                container = self.contained(f"target of arm {name}", f"agent-{name}", secrets=hidden)
                child = running.enter_context(packets.with_rules(container, name))
                url = f"http://{self.layout.addresses.arm(index)}:{TARGET_PORT}"
                service = Service(name, url, child, time.monotonic())
                arms.append(Arm(name, proxies[name].server.name, proxies[name], service))
            yield arms

    def _proxy(
        self, arm: str, database: Database, pooler: PgBouncer | None, toxiproxy: ToxiproxyServer
    ) -> Proxy:
        """In front of a database of its own, whose address the arm's target will find in its environment."""
        target = self.spec.plan.target
        upstream = pooler or database.server
        proxy = toxiproxy.create_proxy(arm, (upstream.host, upstream.port), database=database)
        proxy.set_rst_on_close(self.spec.rst_on_close)
        dsn = dsn_via_proxy(proxy, database, target, self.layout.certificates)
        self.layout.secrets.dsn(arm).write_text(f"{target.dsn_env}={dsn}\n")
        return proxy
