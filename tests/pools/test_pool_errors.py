"""What a pool of a driver says when it gives no connection, provoked with the real library: its class."""

from __future__ import annotations

import json

import pytest

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.failures.root_cause import FailureRecords, classify_failure

ONE = {
    "psycopg_pool": {"min_size": 1, "max_size": 1, "timeout": 1},
    "asyncpg_pool": {"min_size": 1, "max_size": 1},
}


@pytest.fixture
def serve(start, wire):
    """A service whose pool has these options."""

    def serving(name, **options):
        return start(
            "driver_pools", wire=wire, env={"LIBRARY": name, "OPTIONS": json.dumps(ONE[name] | options)}
        )

    return serving


def class_of(service, request_id):
    """The class of a failed request, from what the witness wrote."""
    line = service.request(request_id)
    return classify_failure(
        FailureRecords(
            "plain", "steady", 1, request_id, "/", line["t0"], line["t1"], 500, "status", None,
            errors=line["errors"], raised=line["raised"], waiting=line["waiting"],
        )
    ).error_class  # fmt: skip


@pytest.mark.parametrize("name", list(ONE))
def test_a_full_pool(serve, name):
    """Another request holds the only connection."""
    with serve(name) as service:
        holder = service.start("/hold", "holder")
        service.wait_held()
        assert service.get("/select", "in-vain") == 500
        service.get("/release")
        assert holder.result() == 200
        assert class_of(service, "in-vain") is ErrorClass.POOL_EXHAUSTED


def test_too_many_wait(serve):
    """The queue has a limit of its own, which is reached at once."""
    with serve("psycopg_pool", max_waiting=1, timeout=5) as service:
        holder = service.start("/hold", "holder")
        service.wait_held()
        waiter = service.start("/select", "waiter")
        waits = "the waiter in the queue"
        service.until(
            lambda: [each for each in service.lines("stall") if each["id"] == "waiter"] or None, waits
        )
        assert service.get("/select", "refused") == 500
        service.get("/release")
        assert [holder.result(), waiter.result()] == [200, 200]
        line = service.request("refused")
        assert line["errors"][0]["chain"][0]["type"] == "psycopg_pool.TooManyRequests"
        assert class_of(service, "refused") is ErrorClass.POOL_EXHAUSTED


def test_dead_connections_that_are_tested(serve, wire):
    """The pool pauses between them for longer than it lets a request wait."""
    with serve("psycopg_pool", min_size=2, max_size=2, timeout=0.5, check=True) as service:
        service.open(2)
        wire.end("reset")
        service.wait_wire_ended()
        assert service.get("/select", "in-vain") == 500
        assert class_of(service, "in-vain") is ErrorClass.DEAD_CONNECTIONS


@pytest.mark.parametrize("name", list(ONE))
def test_an_absent_server(serve, wire, name):
    """psycopg's pool says the same as of a full one; asyncpg passes on what the kernel said."""
    patience = (
        {"timeout": 3} if name == "psycopg_pool" else {}
    )  # it tries again after a second, and after two
    with serve(name, **patience) as service:
        assert service.get("/select", "good") == 200
        wire.proxy.refuse()
        service.get("/select", "stale")  # psycopg finds out on the wire, and drops it
        assert service.get("/select", "refused") == 500
        assert class_of(service, "refused") is ErrorClass.REFUSED


def test_an_end_in_the_hands_of_a_request(serve, wire):
    """asyncpg's pool says that the connection has been released: it has ended."""
    with serve("asyncpg_pool") as service:
        request = service.start("/hold", "held")
        service.wait_held()
        ports = service.wire_ports()
        wire.end("reset")
        service.wait_ports_ended(ports)
        service.get("/release")
        assert request.result() == 500
        assert "released back to the pool" in service.request("held")["errors"][0]["chain"][0]["text"]
        assert class_of(service, "held") is ErrorClass.EOF
