"""The interface by which the builder starts the parts of a stack, as local processes or as containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings
from brokenpipe.stack.interpreters.installed import InstalledPackages
from brokenpipe.stack.pgbouncer.server import PgBouncer
from brokenpipe.stack.postgres.certificates import Certificates
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.processes.ports import Address
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.target import Service


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """The way to the database of one arm, as variables of its target; with TLS if there are certificates.

    `words`: what placeholders of the database's address stand for.
    """

    variables: Mapping[str, str]
    words: Mapping[str, str]
    certificates: Certificates | None


class Runtime(Protocol):
    """Starts the parts of a stack. Each part runs for as long as its context manager is open.

    Every method raises StackError, or one of its subclasses, for a part that did not start.
    """

    @property
    def harness_host(self) -> str:
        """The address at which Toxiproxy reaches the harness."""

    @property
    def bypass_addresses(self) -> frozenset[Address]:
        """Addresses behind the proxies whose clients Postgres cannot tell apart; empty: it can."""

    @property
    def installed(self) -> Mapping[str, InstalledPackages]:
        """What is installed for the target of each arm; empty: it is not known, or all have what we have."""

    def postgres(self) -> AbstractContextManager[Postgres]:
        """The server of all arms, ready."""

    def scratch_postgres(self) -> AbstractContextManager[Postgres]:
        """A server of its own for probes, ready."""

    def pgbouncer(
        self, settings: PgBouncerSettings, databases: Sequence[Database], name: str
    ) -> AbstractContextManager[PgBouncer]:
        """A PgBouncer of that name in front of these databases, ready."""

    def toxiproxy(self) -> AbstractContextManager[ToxiproxyServer]:
        """The Toxiproxy server, ready, without any proxy."""

    def prepare(self, access: Mapping[str, DatabaseAccess]) -> None:
        """Run the commands of each arm's target that prepare its database, which they reach by this access."""

    def targets(self, access: Mapping[str, DatabaseAccess]) -> Mapping[str, AbstractContextManager[Service]]:
        """The target of each arm: started when its context manager is entered, and not yet ready then."""
