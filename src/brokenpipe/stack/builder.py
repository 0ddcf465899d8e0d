"""The order in which a stack starts, the same for local processes and containers.

    Postgres ─▶ a database per arm, prepared ─▶ [PgBouncer] ─┐
    Toxiproxy ───────────────────────────────────────────────┴─▶ a proxy per arm ─▶ a target per arm ─▶ all ready

What stands to the right needs what stands to its left. Parts end in the opposite order, the targets side by side.

    load ──▶ target of an arm ──▶ proxy of that arm ──▶ [PgBouncer ──▶] Postgres
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario
from brokenpipe.stack.bypass_detector import BypassDetector
from brokenpipe.stack.pgbouncer.server import PgBouncer
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.processes.ports import Address
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.processes.standstill import ending_stopped_processes
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.runtime import DatabaseAccess, Runtime
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import Arm, Stack
from brokenpipe.stack.target import STOP_TIMEOUT_S, Service, wait_ready
from brokenpipe.stack.target_environment import address_variables, database_words

SHARED_PGBOUNCER = "pgbouncer"
DATABASES_AT_ONCE = 4  # four together take half as long as one after the other

Part = TypeVar("Part")


@contextmanager
def build_stack(spec: StackSpec, prepared: AbstractContextManager[Runtime]) -> Iterator[Stack]:
    """A stack in the runtime that `prepared` gives: ready, and running for as long as the block lasts.

    Raises StackError for what did not start.
    """
    spec.logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        with ending_stopped_processes():
            stack = _Builder(spec, running.enter_context(prepared), running).start()
            if spec.await_targets:
                stack.await_targets()
        try:
            yield stack
        finally:
            stack.stop_targets()


def stop_together(targets: Sequence[Child]) -> None:
    """Stop them side by side: eight targets that take three seconds each to end take three seconds."""
    with ThreadPoolExecutor(len(targets), "stop") as executor:
        stops = [executor.submit(target.stop, signal.SIGTERM, STOP_TIMEOUT_S) for target in targets]
    for stop in stops:
        stop.result()


def _await_targets(services: Mapping[str, Service], plan: Plan) -> None:
    for arm, service in services.items():
        wait_ready(service, plan.target_of(arm))


def pgbouncer_arms(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """The names of the PgBouncers of a scenario, each with the arms behind it."""
    own = {f"{SHARED_PGBOUNCER} {name}": (name,) for name, arm in scenario.arms.items() if arm.pgbouncer}
    others = tuple(name for name, arm in scenario.arms.items() if not arm.pgbouncer)
    return ({SHARED_PGBOUNCER: others} if scenario.pgbouncer and others else {}) | own


@dataclass(frozen=True, slots=True)
class _Builder:
    """Starts the parts of one stack; `running` ends them."""

    spec: StackSpec
    runtime: Runtime
    running: ExitStack

    def start(self) -> Stack:
        postgres = self._start("Postgres", self.runtime.postgres(), self.spec.remains)
        databases = self._create_databases(postgres)
        self._prepare(databases)
        pgbouncers = self._start_pgbouncers(databases)
        toxiproxy = self._start("Toxiproxy", self.runtime.toxiproxy())
        proxies = self._create_proxies(databases, pgbouncers, postgres, toxiproxy)
        services = self._start_targets(databases, proxies)
        return Stack(
            postgres=postgres,
            toxiproxy=toxiproxy,
            arms={arm: Arm(arm, databases[arm].name, proxies[arm], services[arm]) for arm in databases},
            scratch_postgres=self.runtime.scratch_postgres,
            harness_host=self.runtime.harness_host,
            pgbouncers=pgbouncers,
            installed=self.runtime.installed,
            count_bypasses=self._bypass_detector(services),
            await_targets=partial(_await_targets, services, self.spec.plan),
            stop_targets=partial(stop_together, [service.child for service in services.values()]),
        )

    def _start(self, name: str, part: AbstractContextManager[Part], running: ExitStack | None = None) -> Part:
        self.spec.on_step(f"starting {name}")
        return (running or self.running).enter_context(part)

    def _create_databases(self, server: Postgres) -> Mapping[str, Database]:
        """An empty database for each arm, with the connection limit of the plan. They are made side by side."""
        scenario = self.spec.plan.scenario
        limit = scenario.postgres.service_connections
        with ThreadPoolExecutor(DATABASES_AT_ONCE, "database") as executor:
            created = executor.map(lambda arm: server.create_database(f"arm_{arm}", limit), scenario.arms)
            return {
                arm: replace(database, pooled=scenario.pgbouncer_of(arm) is not None)
                for arm, database in zip(scenario.arms, created, strict=True)
            }

    def _prepare(self, databases: Mapping[str, Database]) -> None:
        """Run what targets want to have run for their databases, straight to the server."""
        plan = self.spec.plan
        access = {
            arm: self._access(arm, database, (database.server.host, database.server.port))
            for arm, database in databases.items()
            if plan.target_of(arm).prepare
        }
        if access:
            self.runtime.prepare(access)

    def _start_pgbouncers(self, databases: Mapping[str, Database]) -> Mapping[str, PgBouncer]:
        """One for each arm that has settings of its own, and one for all others."""
        scenario = self.spec.plan.scenario
        found = {}
        for name, arms in pgbouncer_arms(scenario).items():
            settings, behind = scenario.pgbouncer_of(arms[0]), tuple(databases[arm] for arm in arms)
            assert settings is not None
            part = self.runtime.pgbouncer(settings, behind, name)
            found[name] = self._start(name.replace("pgbouncer", "PgBouncer"), part)
        return found

    def _create_proxies(
        self,
        databases: Mapping[str, Database],
        pgbouncers: Mapping[str, PgBouncer],
        postgres: Postgres,
        toxiproxy: ToxiproxyServer,
    ) -> Mapping[str, Proxy]:
        behind = pgbouncer_arms(self.spec.plan.scenario)
        of_arm = {arm: pgbouncers[name] for name, arms in behind.items() for arm in arms}
        proxies = {}
        for arm, database in databases.items():
            upstream = of_arm.get(arm, postgres)
            address = (upstream.host, upstream.port)
            proxies[arm] = toxiproxy.create_proxy(
                arm, address, rst_on_close=self.spec.rst_on_close, database=database
            )
        return proxies

    def _start_targets(
        self, databases: Mapping[str, Database], proxies: Mapping[str, Proxy]
    ) -> Mapping[str, Service]:
        """All are started before the first is waited for, so that they come up together."""
        self.spec.on_step(f"starting {len(databases)} targets")
        access = {
            arm: self._access(arm, databases[arm], (proxies[arm].host, proxies[arm].port))
            for arm in databases
        }
        starts = self.runtime.targets(access)
        return {arm: self.running.enter_context(start) for arm, start in starts.items()}

    def _access(self, arm: str, database: Database, address: Address) -> DatabaseAccess:
        target, certificates = self.spec.plan.target_of(arm), database.server.certificates
        words = database_words(database, address, certificates)
        return DatabaseAccess(address_variables(target, words), words, certificates)

    def _bypass_detector(self, services: Mapping[str, Service]) -> BypassDetector | None:
        addresses = self.runtime.bypass_addresses
        if not addresses:
            return None
        return BypassDetector(addresses, {arm: service.child for arm, service in services.items()})
