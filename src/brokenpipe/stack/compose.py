"""A stack in containers: the same Stack as the local one, so nothing that drives it knows the difference.

`docker compose create` makes containers and network from the file of the run; each container is then started as a
child process (`container_process`). The load stays outside.
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
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from brokenpipe.errors import EngineError, UsageError
from brokenpipe.history.file_names import part_suffix
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings
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
    env_file,
)
from brokenpipe.stack.containers.container_process import container_process
from brokenpipe.stack.containers.engine import Engine, find_engine
from brokenpipe.stack.containers.events import recording_events
from brokenpipe.stack.interpreters.installed import InstalledPackages
from brokenpipe.stack.packet_loss.containers import ContainerPacketFilter
from brokenpipe.stack.pgbouncer.server import PgBouncer, query_pgbouncer_info, start_error
from brokenpipe.stack.postgres.certificates import Certificates, make_certificates
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import Postgres, start_server
from brokenpipe.stack.processes.ports import Address, ContainerPort
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.proxy.api import ToxiproxyApi
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.runtime import DatabaseAccess
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import required_connections
from brokenpipe.stack.target import Service
from brokenpipe.witness import SITE

_FIRST_PROXY_PORT = 20_000


@contextmanager
def compose_runtime(spec: StackSpec) -> Iterator[ComposeRuntime]:
    """An engine with the images, the network and the first containers of this run, all removed after the block.

    Raises UsageError for an engine that is not on this machine, EngineError for what is missing there.
    """
    spec = replace(spec, report=spec.report.resolve())  # inside a container it has this one name
    _reject_local_settings(spec)
    spec.on_step("looking for a Docker engine")
    engine = find_engine(spec.engine)
    cleanup.sweep_dead(engine.client)
    targets = {each.image or AGENT_IMAGE: None for each in spec.plan.targets.values()}
    images = [POSTGRES_IMAGE, TOXIPROXY_IMAGE, *targets]
    engine.require_images(images + ([PGBOUNCER_IMAGE] if spec.plan.scenario.pgbouncer else []), spec.on_step)
    with scratch_folder("brokenpipe-compose-", spec.janitor) as folder:
        layout = _make_layout(spec, SecretFiles(folder), engine)
        _write_secrets(layout)
        file = spec.report / f"compose{part_suffix(spec.part)}.json"
        file.write_text(json.dumps(layout.document(), indent=2) + "\n")
        packets = ContainerPacketFilter(
            layout.addresses.toxiproxy, wanted=spec.packet_filters and spec.plan.scenario.in_namespace
        )
        runtime = ComposeRuntime(spec, layout, engine, file, packets)
        with runtime.recorded(), runtime.created():
            yield runtime


def _reject_local_settings(spec: StackSpec) -> None:
    """Raises UsageError for what can only be done with processes of this machine."""
    plan = spec.plan
    if plan.scenario.postgres.binaries:
        raise UsageError(
            f"{plan.stem}.toml: [postgres] `binaries` names programs of this machine, and --stack compose has images",
            remedy="Leave it out there; compose/services.yaml says which image is taken for Postgres.",
        )
    if names := [name for name, target in plan.targets.items() if target.prepare]:
        raise UsageError(
            f"targets/{names[0]}/target.toml: `prepare` runs commands on this machine, not in containers",
            remedy="Run it without --stack compose, or let `command` prepare the database before it serves.",
        )


def _write_secrets(layout: ComposeLayout) -> None:
    layout.secrets.password.write_text(secrets.token_urlsafe(18))
    layout.secrets.password.chmod(
        0o644
    )  # another user reads it in the container; the folder is closed to others
    for arm in layout.environments:  # docker-compose 1.29 needs all of them before the first container
        layout.secrets.database(arm).touch()


def _make_layout(spec: StackSpec, secret_files: SecretFiles, engine: Engine) -> ComposeLayout:
    plan, run_id = spec.plan, spec.janitor.run_id
    services_file = spec.project.compose / "services.yaml"
    if not services_file.is_file():
        raise EngineError(
            f"{services_file}: there is no such file, so it is not known what the containers are",
            remedy="Restore it: it belongs to the program, which `pip install --force-reinstall` installs anew.",
        )
    addresses = _choose_addresses(engine)
    # The server answers at its own address, and at that of the proxies in front of it.
    names = (addresses.postgres, addresses.toxiproxy)
    certificates = make_certificates(secret_files.folder, names) if plan.scenario.postgres.tls else None
    return ComposeLayout(
        plan=plan,
        project=f"brokenpipe-{run_id}",
        services_file=services_file.resolve(),
        addresses=addresses,
        secrets=secret_files,
        labels=cleanup.labels(run_id),
        report=spec.report,
        links=spec.links_path,
        target_folders={name: spec.folder_of(name).resolve() for name in plan.scenario.arms},
        witness=SITE.resolve(),
        environments={name: spec.environment(name, certificates) for name in plan.scenario.arms},
        max_connections=required_connections(plan),
        certificates=certificates,
    )


def _choose_addresses(engine: Engine) -> NetworkAddresses:
    """A network that neither this machine nor the engine has."""
    used = [
        ipaddress.ip_interface(f"{each.address}/{each.netmask or 32}").network
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family.name == "AF_INET"
    ]
    return choose_network(
        each for each in [*used, *engine.subnets()] if isinstance(each, ipaddress.IPv4Network)
    )


@dataclass(frozen=True, slots=True)
class _ContainerPostgresLaunch:
    """A Postgres in a container that was created."""

    runtime: ComposeRuntime
    service: str
    host: str
    password: str
    certificates: Certificates | None
    port: int = POSTGRES_PORT

    def start(self) -> AbstractContextManager[Child]:
        return self.runtime.container(self.service, self.service, stop_signal=signal.SIGINT)


@dataclass(frozen=True, slots=True)
class ComposeRuntime:
    """Starts each part as a container of the run's compose file. It satisfies Runtime."""

    spec: StackSpec
    layout: ComposeLayout
    engine: Engine
    file: Path
    packets: ContainerPacketFilter

    @property
    def harness_host(self) -> str:
        return self.layout.addresses.gateway

    @property
    def installed(self) -> Mapping[str, InstalledPackages]:
        """What is in an image is not looked at."""
        return {}

    @property
    def bypass_addresses(self) -> frozenset[Address]:
        """Postgres's table of clients does not name the container that a connection comes from."""
        return self.layout.addresses.behind_proxies

    def postgres(self) -> AbstractContextManager[Postgres]:
        """The arms' server. Its certificate is copied into its volume, where it can belong to the server."""
        certificates = self.layout.certificates
        if certificates:
            files = {file.name: file.read_bytes() for file in (certificates.server, certificates.key)}
            self.engine.copy_to_volume(
                self.layout.container("postgres"), TLS_FOLDER, files | {HBA_FILE.name: HBA_RULES.encode()}
            )
        return self._start_postgres("postgres", self.layout.addresses.postgres, certificates)

    @contextmanager
    def scratch_postgres(self) -> Iterator[Postgres]:
        self._create_with_address_holder(SCRATCH)
        try:
            with self._start_postgres(SCRATCH, self.layout.addresses.scratch) as server:
                yield server
        finally:
            for service in (SCRATCH, address_holder(SCRATCH)):
                self.engine.remove(self.layout.container(service))

    @contextmanager
    def pgbouncer(
        self, settings: PgBouncerSettings, databases: Sequence[Database], name: str
    ) -> Iterator[PgBouncer]:
        files, password = self.layout.secrets.pgbouncer, secrets.token_urlsafe(18)
        address = (self.layout.addresses.pgbouncer, PGBOUNCER_PORT)
        files.write(settings, PGBOUNCER_IMAGE.rpartition(":")[2], databases, address, password)
        for path in (files.config, files.users):
            path.chmod(0o644)  # as with the password
        self._create("pgbouncer")  # it mounts these files, so they must exist before
        with self.container(name, "pgbouncer", stop_signal=signal.SIGKILL) as process:
            info = query_pgbouncer_info(process, address, password)
            if not info:
                raise start_error(process)
            yield PgBouncer(*address, info.version, process, info.max_prepared_statements)

    @contextmanager
    def toxiproxy(self) -> Iterator[ToxiproxyServer]:
        ports = (ContainerPort(number) for number in itertools.count(_FIRST_PROXY_PORT))
        server = ToxiproxyServer(
            ToxiproxyApi(API_PORT, self.packets.host),
            lambda: self.packets.with_rules(
                self.container("toxiproxy", "toxiproxy", stop_signal=signal.SIGKILL)
            ),
            new_port=partial(next, ports),
            packets=self.packets,
        )
        try:
            server.start()
            yield server
        finally:
            server.close()

    def prepare(self, access: Mapping[str, DatabaseAccess]) -> None:
        """There is nothing to run, see `_reject_local_settings`."""

    def targets(self, access: Mapping[str, DatabaseAccess]) -> Mapping[str, AbstractContextManager[Service]]:
        """Their containers are created here: each reads the address of its database when it is created."""
        for arm, reached in access.items():
            self.layout.secrets.database(arm).write_text(env_file(reached.variables))
        self._create(*(f"agent-{arm}" for arm in access))
        return {
            arm: self._target(arm, index, reached.words["password"])
            for index, (arm, reached) in enumerate(access.items())
        }

    @contextmanager
    def _target(self, arm: str, index: int, password: str) -> Iterator[Service]:
        secret_values = (*self.layout.secrets_of(arm), password)
        container = self.container(f"target of arm {arm}", f"agent-{arm}", secrets=secret_values)
        with self.packets.with_rules(container, arm) as child:
            url = f"http://{self.layout.addresses.arm(index)}:{TARGET_PORT}"
            yield Service(arm, url, child, time.monotonic())

    def recorded(self) -> AbstractContextManager[None]:
        """Events of the run's containers are recorded for as long as the block lasts."""
        log, run_id = self.spec.logs / "containers.log", self.spec.janitor.run_id
        return recording_events(self.engine, run_id, history=self.spec.container_events, log=log)

    @contextmanager
    def created(self) -> Iterator[None]:
        """The network and the first containers, created but not started; all of the run is removed after the block."""
        janitor = self.spec.janitor
        script = str(Path(cleanup.__file__))
        janitor.register_command([sys.executable, "-I", script, self.engine.endpoint, janitor.run_id])
        self.spec.on_step("creating containers")
        try:
            self._create_with_address_holder("postgres")
            self._create("toxiproxy")
            yield
        finally:
            cleanup.sweep(self.engine.client, janitor.run_id)

    def container(
        self, name: str, service: str, stop_signal: int = signal.SIGTERM, secrets: Sequence[str] = ()
    ) -> AbstractContextManager[Child]:
        """A container that was created, started as a child."""
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
    def _start_postgres(
        self, service: str, host: str, certificates: Certificates | None = None
    ) -> Iterator[Postgres]:
        password = self.layout.secrets.password.read_text()
        server = start_server(_ContainerPostgresLaunch(self, service, host, password, certificates))
        try:
            yield server
        finally:
            server.close()

    def _create_with_address_holder(self, service: str) -> None:
        """A container in the network of its address holder, which must run by then for docker-compose 1.29."""
        self._create(address_holder(service))
        self.engine.start(self.layout.container(address_holder(service)))
        self._create(service)

    def _create(self, *services: str) -> None:
        self.engine.create_containers(
            self.layout.project, self.file, services, self.layout.secret_variables()
        )
