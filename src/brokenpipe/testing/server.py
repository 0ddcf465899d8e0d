"""The server of a test session: a real Postgres, a Toxiproxy in front of it, and the janitor that ends both.

postgres() ──▶ janitor ─▶ Postgres, Toxiproxy        about a second, once
wire(server) ──▶ a database, a proxy                 some ten ms, for each test
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from brokenpipe.bundled import bundled_folder
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.postgres.server import postgres as running_postgres
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.proxy.server import toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary
from brokenpipe.testing.connections import ConnectionLog
from brokenpipe.testing.either_context import EitherContext
from brokenpipe.testing.prepared import PreparedWires, prepared_wires
from brokenpipe.testing.wires import Wire, tracked

PROXIES = bundled_folder() / "proxies"
MAX_CONNECTIONS = 200


class PostgresServer:
    """A real Postgres on the loopback, of which wires are made. Made by `postgres`."""

    def __init__(self, running: Postgres, prepared: PreparedWires, log: ConnectionLog) -> None:
        self._running = running
        self._prepared = prepared
        self._log = log

    def __repr__(self) -> str:
        return f"<PostgresServer {self.version} at {self.host}:{self.port}>"

    @property
    def host(self) -> str:
        """Its address, past every proxy."""
        return self._running.host

    @property
    def port(self) -> int:
        """Its port. It stays the same when the server is restarted."""
        return self._running.port

    @property
    def version(self) -> str:
        """What it says of itself, such as `17.4`."""
        return self._running.version

    @property
    def dsn(self) -> str:
        """A connection string of the superuser's, past every proxy, to the database `postgres`."""
        return self._running.dsn()

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        """A fresh database behind a proxy of its own, for as long as the block lasts. Raises StackError."""
        prepared = self._prepared.take()
        try:
            with tracked(Wire(prepared.proxy, prepared.database, self._log)) as made:
                yield made
        finally:
            self._log.forget(prepared.proxy.name)
            self._prepared.give_back(prepared)


def postgres() -> EitherContext[PostgresServer]:
    """A real Postgres for as long as the block lasts, for `with` and `async with`. Starting it takes about a second.

    Everything it starts listens on the loopback alone, and lies in a folder below TMPDIR that is gone afterwards, also
    5 s after a `kill -9` of this process. The Toxiproxy server is built once, which takes half a minute and Go.

    Raises StackError: ToolchainError if there is no Go, PostgresError if there are no programs of Postgres.
    """
    return EitherContext(_postgres())


def wire(server: PostgresServer) -> EitherContext[Wire]:
    """A fresh, empty database behind a proxy of its own, for as long as the block lasts; for `with` and `async with`.

    Raises StackError if one of them cannot be made; at the end UsageError for a fault that was made and never entered.
    """
    return EitherContext(server.wire())


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    with (
        janitor(f"test-{secrets.token_hex(8)}") as cleaner,
        scratch_folder("brokenpipe-test-", cleaner) as folder,
    ):
        binary = toxiproxy_binary(PROXIES, cleaner)
        links = folder / "links.ndjson"
        with (
            running_postgres(
                log_path=folder / "postgres.log", janitor=cleaner, max_connections=MAX_CONNECTIONS
            ) as running,
            toxiproxy_server(
                binary, log_path=folder / "toxiproxy.log", janitor=cleaner, links_path=links
            ) as toxiproxy,
            prepared_wires(running, toxiproxy) as prepared,
        ):
            yield PostgresServer(running, prepared, ConnectionLog(links))
