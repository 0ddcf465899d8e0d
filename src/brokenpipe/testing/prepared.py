"""The database and the proxy of the next wire, prepared in threads while a test uses the ones before.

    wire 1: database a ──┐ emptied                 ┌──▶ wire 3: database a
    wire 2: database b ──┼───────┐ emptied ──▶ …   │
                         └───────┼─────────────────┘

Creating a database takes a hundred times as long as a query: three hundred files are made. So it is used again once it
is as empty as a new one, which is checked; if it is not, it is dropped and another is created. Each wire has a proxy of
its own, at a port of its own: what still connects to an earlier one reaches nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from brokenpipe.errors import StackError
from brokenpipe.faults import neutral_toxics
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.proxy.proxy import ENDING, Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class PreparedWire:
    """An empty database, and a proxy in front of it that nobody has used."""

    database: Database
    proxy: Proxy


class PreparedWires:
    """Prepares wires, one ahead of the tests. Made by `prepared_wires`. Safe for threads."""

    def __init__(self, server: Postgres, toxiproxy: ToxiproxyServer) -> None:
        self._server = server
        self._toxiproxy = toxiproxy
        self._numbers = itertools.count(1)
        self._used: list[Database] = []
        self._database: Future[Database] | None = None
        self._proxy: Future[Proxy] | None = None
        self._executor = ThreadPoolExecutor(2, "next wire")  # both wait for other processes

    def take(self) -> PreparedWire:
        """The wire that was prepared; another one is prepared from now on. Raises StackError."""
        database, proxy = self._database, self._proxy
        self._database = self._proxy = None
        prepared = PreparedWire(_result(database, self._empty_database), _result(proxy, self._new_proxy))
        prepared.proxy.lead_to(prepared.database)
        self._database = self._executor.submit(self._empty_database)
        self._proxy = self._executor.submit(self._new_proxy)
        return prepared

    def give_back(self, prepared: PreparedWire) -> None:
        """Delete the proxy of a wire that is over; its database is emptied later. Raises StackError."""
        try:
            self._toxiproxy.delete_proxy(prepared.proxy)
        finally:
            self._used.append(prepared.database)

    def end(self) -> None:
        """Wait for what is being prepared. Nothing of it is undone: the servers end."""
        self._executor.shutdown(cancel_futures=True)

    def _new_proxy(self) -> Proxy:
        return self._toxiproxy.create_proxy(
            f"wire_{next(self._numbers)}",
            (self._server.host, self._server.port),
            toxics=(*neutral_toxics(), ENDING),
        )

    def _empty_database(self) -> Database:
        while self._used:
            used = self._used.pop()
            if used.empty():
                return used
            with suppress(StackError):  # what cannot be dropped is in no one's way
                used.drop()
        return self._server.create_database(f"wire_{next(self._numbers)}", may_create_others=True)


def _result(waiting: Future[Part] | None, make: Callable[[], Part]) -> Part:
    """What was prepared, or else is made now: a test may have stopped the server meanwhile."""
    if waiting is not None:
        with suppress(StackError):
            return waiting.result()
    return make()


@contextmanager
def prepared_wires(server: Postgres, toxiproxy: ToxiproxyServer) -> Iterator[PreparedWires]:
    """Wires of these servers, for as long as the block lasts."""
    prepared = PreparedWires(server, toxiproxy)
    try:
        yield prepared
    finally:
        prepared.end()
