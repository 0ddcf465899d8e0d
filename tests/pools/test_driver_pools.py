"""Pools of drivers, without SQLAlchemy: the same lines about the same situations, from one service for each library."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from .conftest import Line, Service, Wire, running, until


@dataclass(frozen=True)
class Library:
    """`name` is what the service calls it; `options` go to its pool, of two connections."""

    name: str
    module: str
    options: dict = field(default_factory=dict)

    @property
    def notices(self) -> bool:
        """A driver with an event loop of its own reads the end of an idle connection."""
        return self.module == "asyncpg"

    @property
    def in_threads(self) -> bool:
        return self.name.endswith("_threads")


TWO = {"min_size": 2, "max_size": 2, "timeout": 1}
POOLS = [
    Library("psycopg_pool", "psycopg_pool", TWO),
    Library("psycopg_pool_threads", "psycopg_pool", TWO),
    Library("asyncpg_pool", "asyncpg", {}),
]


@contextmanager
def service_of(library: Library, folder, toxiproxy, database) -> Iterator[tuple[Service, Wire]]:
    """A service of that library, behind a wire of its own that ends connections by RST."""
    with toxiproxy.scratch_proxy((database.host, database.port), rst_on_close=True) as proxy:
        wire = Wire(proxy, database)
        env = {"LIBRARY": library.name, "OPTIONS": json.dumps(library.options)}
        with running(folder, "driver_pools", wire=wire, env=env) as service:
            yield service, wire
        wire.end("terminate")


@dataclass(frozen=True)
class Played:
    """What a service of a library has met, and what its witness wrote."""

    library: Library
    service: Service

    def error(self, request_id: str) -> Line:
        """The first error of a request."""
        return self.service.request(request_id)["errors"][0]

    def checkout(self, request_id: str) -> Line:
        """The first checkout of a request."""
        return self.service.request(request_id)["checkouts"][0]

    def closes(self, port: int) -> list[Line]:
        """How the connection of this port ended."""
        return [line for line in self.service.lines("close") if line["port"] == port]


@pytest.fixture(scope="module", params=POOLS, ids=lambda library: library.name)
def played(request, tmp_path_factory, toxiproxy, database):
    """Every situation once, one after the other; the tests ask what the witness wrote of it."""
    folder = tmp_path_factory.mktemp(request.param.name)
    with service_of(request.param, folder, toxiproxy, database) as (service, wire):
        service.get("/open_pool", "opening")
        _fill(service)
        _play_faults(service, wire, cancel=not request.param.in_threads)
        _play_full_pool(service)
        service.get("/lost", "lost")
        yield Played(request.param, service)


def _play_faults(service: Service, wire: Wire, *, cancel: bool) -> None:
    service.get("/select", "good")
    service.get("/wrong", "wrong")
    _kill(service, wire)
    service.get("/select", "stale")
    _fill(service)
    late = service.start("/late", "late")
    time.sleep(0.3)  # the service stands still for a second
    wire.end("reset")
    late.result()
    for path, name in (("/hold", "between"), ("/commit", "commit"), ("/give_back", "give_back")):
        _fill(service)
        request = service.start(path, name)
        service.wait_held()
        _kill(service, wire)
        service.get("/release")
        request.result()
    _fill(service)
    request = service.start("/busy", "busy")
    service.wait_busy(wire.database)
    wire.end("reset")
    request.result()
    _fill(service)
    if cancel:
        service.get("/cancelled", "cancelled")
        _fill(service)
    service.get("/nested", "nested")


def _play_full_pool(service: Service) -> None:
    """Both connections are held: one request waits until they are given back, another longer than the pool lets it."""
    for name, wait_s in (("waiter", 0.3), ("full", 0.0)):
        holders = [service.start("/hold", f"{name}-holder-{n}") for n in (1, 2)]
        service.wait_held(2)
        waiter = service.start("/select", name)
        if wait_s:
            time.sleep(wait_s)  # how long it waits is what is asked about
        else:
            waiter.result()
        service.get("/release")
        assert [each.result() for each in holders] == [200] * 2
        waiter.result()


def _kill(service: Service, wire: Wire) -> None:
    ports = service.wire_ports()
    wire.end("reset")
    service.wait_ports_ended(ports)


def _fill(service: Service) -> None:
    """Let the service get rid of what is dead, and have two good connections."""
    until(lambda: True if service.get("/select") == service.get("/select") == 200 else None, "good ones")
    service.open(2)


def test_the_library_is_named(played):
    """Once, in the plane of pools; its driver is not, because no connection was opened outside of the pool."""
    planes = {(line["plane"], line["library"]) for line in played.service.lines("plane")}
    assert planes == {("requests", "uvicorn"), ("pools", played.library.module)}


def test_how_the_pool_was_made(played):
    """The constructor and its arguments, in the library's own words; no address."""
    (made,) = played.service.lines("pool_settings")
    of_asyncpg = {"min_size": 2, "max_size": 2, "max_inactive_connection_lifetime": 300.0}
    constructor, arguments = {
        "psycopg_pool": ("AsyncConnectionPool", {**TWO, "max_idle": 600.0}),
        "psycopg_pool_threads": ("ConnectionPool", {**TWO, "max_idle": 600.0}),
        "asyncpg_pool": ("asyncpg.create_pool", of_asyncpg),
    }[played.library.name]
    assert (made["library"], made["constructor"]) == (played.library.module, constructor)
    assert made["arguments"] == arguments


def test_a_connection_in_order(played):
    """Its checkout says what it cost; it was given back; opening one is no part of it if the pool does so meanwhile."""
    line = played.service.request("good")
    (checkout,) = line["checkouts"]
    assert (line["errors"], checkout["dead"], checkout["statements"]) == ([], False, 1)
    assert 0 < checkout["held_ms"] < 5000
    assert 0 <= checkout["wait_ms"] < 1000
    assert (checkout["ping_ms"], checkout["connect_ms"], checkout["backoff_ms"]) == (None, None, None)
    ports = {each["port"] for each in played.service.lines("connect")}
    assert checkout["port"] in ports


def test_an_error_that_is_no_disconnect(played):
    """A statement of the application's own making: the socket was alive, and the connection goes on."""
    error = played.error("wrong")
    assert (error["where"], error["statement"], error["dead"], error["dead_at_checkout"]) == (
        "statement", 1, False, False
    )  # fmt: skip
    assert error["chain"][0]["sqlstate"] == "22012"


@pytest.mark.parametrize("request_id", ["stale", "late"])
def test_a_stale_connection(played, request_id):
    """Dead before it was handed out: the first statement fails, and the pool drops the connection after it.

    One that asyncpg could notice was replaced before; of the others a service finds out by using it.
    """
    if played.library.notices and request_id == "stale":
        assert played.service.request("stale")["errors"] == []
        return
    error, checkout = played.error(request_id), played.checkout(request_id)
    assert (error["where"], error["statement"]) == ("statement", 1)
    assert (error["dead_at_checkout"], error["dead"], checkout["dead"]) == (True, True, True)
    assert error["port"] == checkout["port"]
    assert error["rest_ms"] > 0
    (close,) = played.closes(checkout["port"])
    assert (close["dead"], close["after"], close["id"]) == (True, "error", request_id)
    assert close["age_ms"] > 0


def test_one_that_its_driver_notices(played):
    """It is closed before a request gets it, while no request waits: the next one is handed another.

    libpq looks at a connection only when it is used, and notices none.
    """
    noticed = [close for close in played.service.lines("close") if close["after"] == "noticed"]
    if not played.library.notices:
        assert noticed == []
        return
    line = played.service.request("stale")
    assert (line["errors"], line["checkouts"][0]["dead"]) == ([], False)
    assert len(noticed) >= 2
    assert {(close["dead"], close["id"]) for close in noticed} == {(True, None)}


def test_one_that_died_between_two_statements(played):
    """It was handed out alive, and its second statement began on a dead socket."""
    error = played.error("between")
    assert (error["where"], error["statement"]) == ("statement", 2)
    assert (error["dead_at_checkout"], error["dead"]) == (False, True)


def test_one_that_died_before_the_commit(played):
    """The error is the commit's, which was never sent."""
    error = played.error("commit")
    assert (error["where"], error["statement"]) == ("commit", None)
    assert (error["dead_at_checkout"], error["dead"]) == (False, True)
    assert error["transaction"] > 0


def test_one_that_died_in_mid_statement(played):
    """The statement began on a live socket."""
    error = played.error("busy")
    assert (error["where"], error["statement"]) == ("statement", 1)
    assert (error["dead_at_checkout"], error["dead"]) == (False, False)


def test_a_death_that_no_statement_meets(played):
    """Nobody asks the connection again: the next request does, or the pool when it is given back."""
    line = played.service.request("give_back")
    assert line["errors"] == []
    assert line["checkouts"][0]["dead"] is False


def test_a_request_that_is_cancelled(played):
    """By a time limit of its own: a cancellation, not an exception of the driver's. A thread cannot be cancelled."""
    if played.library.in_threads:
        assert [line for line in played.service.lines("request") if line["id"] == "cancelled"] == []
        return
    error = played.error("cancelled")
    assert error["chain"][0]["type"] == "asyncio.exceptions.CancelledError"
    assert (error["where"], error["dead"]) == ("statement", False)


def test_a_second_connection_while_one_is_held(played):
    """It says how many it held when it asked again."""
    line = played.service.request("nested")
    assert (line["nested"], len(line["checkouts"])) == (1, 2)


def test_waiting_in_a_full_pool(played):
    """The wait is in the checkout of the request that waited."""
    assert played.checkout("waiter")["wait_ms"] > 200


def test_a_pool_that_stays_full(played):
    """It gives up, and says what the pool was at: all connections were out, none was dead."""
    error = played.error("full")
    assert (error["where"], error["port"]) == ("checkout", None)
    assert error["t"] - error["began"] > 0.9e9
    state = error["pool_state"]
    assert (state["out"], state["most"]) == (2, 2)
    assert (state["failed_pings"], state["failed_connects"], state["backoff_ms"]) == (0, 0, None)


def test_one_that_never_comes_back(played):
    """Its checkout has no end, and the pool's numbers count it as out."""
    assert played.checkout("lost")["held_ms"] is None
    ended = played.service.request("lost")["t1"]
    pool = until(
        lambda: next((line for line in played.service.lines("pool") if line["t"] > ended), None),
        "a count after it",
    )
    assert (pool["out"], pool["size"], pool["most"], pool["overflow"]) == (1, 2, 2, 0)
