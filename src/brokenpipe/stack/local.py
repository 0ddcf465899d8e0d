"""A stack in child processes: targets listen on the host of the spec, everything else on the loopback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings
from brokenpipe.redaction import secret_values
from brokenpipe.stack.arm_interpreters import look_at_packages, prepare_interpreters
from brokenpipe.stack.interpreters.installed import InstalledPackages
from brokenpipe.stack.pgbouncer.server import PgBouncer, pgbouncer
from brokenpipe.stack.postgres.cluster import find_binaries
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.preparation import Preparation, prepare_databases
from brokenpipe.stack.processes.ports import LOOPBACK, Address
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary
from brokenpipe.stack.runtime import DatabaseAccess
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import required_connections
from brokenpipe.stack.target import Service, start_service
from brokenpipe.stack.target_environment import secret_names, settings_environment


@contextmanager
def local_runtime(spec: StackSpec) -> Iterator[LocalRuntime]:
    """The Toxiproxy server is built first, and packages of arms are installed, if that has not happened yet.

    Raises ToolchainError or PackagesError.
    """

    def on_build() -> None:
        spec.on_step("building the Toxiproxy server: half a minute, once")

    binary = toxiproxy_binary(spec.project.proxies, spec.janitor, on_build=on_build)
    interpreters = prepare_interpreters(spec)
    yield LocalRuntime(spec, binary, interpreters, look_at_packages(interpreters))


@dataclass(frozen=True, slots=True)
class LocalRuntime:
    """Starts each part as a child process of the harness. It satisfies Runtime."""

    spec: StackSpec
    binary: Path
    interpreters: Mapping[str, Path]
    installed: Mapping[str, InstalledPackages]
    harness_host: str = LOOPBACK
    bypass_addresses: frozenset[Address] = frozenset()

    def postgres(self) -> AbstractContextManager[Postgres]:
        spec = self.spec
        return postgres(
            log_path=spec.logs / "postgres.log",
            janitor=spec.janitor,
            max_connections=required_connections(spec.plan),
            tls=spec.plan.scenario.postgres.tls,
            binaries=self._binaries,
        )

    @property
    def _binaries(self) -> Path | None:
        """The programs of Postgres that the scenario names."""
        named = self.spec.plan.scenario.postgres.binaries
        return (self.spec.project.root / named).absolute() if named else None

    def scratch_postgres(self) -> AbstractContextManager[Postgres]:
        log_path = self.spec.logs / "postgres-scratch.log"
        return postgres(log_path=log_path, janitor=self.spec.janitor, binaries=self._binaries)

    def pgbouncer(
        self, settings: PgBouncerSettings, databases: Sequence[Database], name: str
    ) -> AbstractContextManager[PgBouncer]:
        log_path = self.spec.logs / f"{name.replace(' ', '-')}.log"
        return pgbouncer(settings, databases, log_path=log_path, janitor=self.spec.janitor, name=name)

    def toxiproxy(self) -> AbstractContextManager[ToxiproxyServer]:
        spec = self.spec
        return toxiproxy_server(
            self.binary,
            log_path=spec.logs / "toxiproxy.log",
            janitor=spec.janitor,
            links_path=spec.links_path,
        )

    def prepare(self, access: Mapping[str, DatabaseAccess]) -> None:
        preparations = [self._preparation(arm, reached) for arm, reached in access.items()]
        prepare_databases(preparations, self.spec.janitor, self.spec.on_step)

    def _preparation(self, arm: str, access: DatabaseAccess) -> Preparation:
        spec = self.spec
        env = {**settings_environment(spec.plan, arm, access.certificates), **access.variables}
        return Preparation(
            arm,
            spec.plan.scenario.target_of(arm),
            spec.plan.target_of(arm).prepare,
            {
                **access.words,
                "python": str(self.interpreters[arm]),
                "psql": str(find_binaries(self._binaries) / "psql"),
            },
            spec.folder_of(arm),
            env,
            spec.logs / f"prepare-{arm}.log",
            (*secret_values(env, secret_names(spec.plan, arm)), access.words["password"]),
        )

    def targets(self, access: Mapping[str, DatabaseAccess]) -> Mapping[str, AbstractContextManager[Service]]:
        return {arm: self._target(arm, reached) for arm, reached in access.items()}

    def _target(self, arm: str, access: DatabaseAccess) -> AbstractContextManager[Service]:
        spec = self.spec
        return start_service(
            spec.plan.target_of(arm),
            arm=arm,
            folder=spec.folder_of(arm),
            python=self.interpreters[arm],
            env={**spec.environment(arm, access.certificates), **access.variables},
            log_path=spec.logs / f"target-{arm}.log",
            janitor=spec.janitor,
            host=spec.host,
            secret_names=secret_names(spec.plan, arm),
        )
