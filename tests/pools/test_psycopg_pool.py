"""What only psycopg's pools do: checks with pauses between dead connections, null pools, opening in the background."""

from __future__ import annotations

import json

import pytest

LIBRARIES = ("psycopg_pool", "psycopg_pool_threads")


@pytest.fixture
def serve(start, wire):
    """A service whose pool has these options."""

    def serving(name, **options):
        return start("driver_pools", wire=wire, env={"LIBRARY": name, "OPTIONS": json.dumps(options)})

    return serving


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_check_masks_dead_connections_and_pauses_between_them(serve, wire, name):
    """No request fails; each dead connection is a failed ping and a close; the pauses are neither wait nor ping."""
    with serve(name, min_size=2, max_size=2, timeout=10, check=True) as service:
        service.open(2)
        wire.end("reset")
        service.wait_wire_ended()
        assert service.get("/select", "spared") == 200
        (checkout,) = service.request("spared")["checkouts"]
        assert checkout["dead"] is False
        assert 800 < checkout["backoff_ms"] < 5000
        assert 0 < checkout["ping_ms"] < 800
        assert checkout["wait_ms"] < 800
        assert 0 < checkout["failed_ping_ms"] < 800
        failed = service.lines("ping_failed")
        assert [(line["id"], line["dead"]) for line in failed] == [("spared", True)] * 2
        closes = service.lines("close")
        assert [(line["id"], line["dead"], line["after"]) for line in closes] == [
            ("spared", True, "ping")
        ] * 2
        assert {line["port"] for line in closes} == {line["port"] for line in failed}
        assert service.request("spared")["errors"] == []


def test_a_check_that_takes_longer_than_the_pool_waits(serve, wire):
    """The error says that its pings had found dead connections, and that it had paused."""
    with serve("psycopg_pool", min_size=2, max_size=2, timeout=0.5, check=True) as service:
        service.open(2)
        wire.end("reset")
        service.wait_wire_ended()
        assert service.get("/select", "late") == 500
        (error,) = service.request("late")["errors"]
        assert error["chain"][0]["type"] == "psycopg_pool.PoolTimeout"
        assert error["where"] == "checkout"
        state = error["pool_state"]
        assert (state["failed_pings"], state["failed_connects"]) == (2, 0)
        assert state["backoff_ms"] > 100


@pytest.mark.parametrize("name", LIBRARIES)
def test_an_absent_server(serve, wire, name):
    """The pool cannot connect meanwhile: the request's error says how often, and how the last attempt failed."""
    wire.proxy.refuse()
    with serve(name, min_size=1, max_size=1, timeout=1) as service:
        assert service.get("/select", "nobody") == 500
        (error,) = service.request("nobody")["errors"]
        assert error["where"] == "checkout"
        state = error["pool_state"]
        assert (state["out"], state["failed_pings"]) == (0, 0)
        assert state["failed_connects"] >= 1
        assert "refused" in state["last_failure"][0]["text"]
        failures = service.lines("connect_failed")
        assert {(line["of"], line["id"]) for line in failures} == {(1, None)}


def test_connections_are_opened_in_the_background(serve):
    """The request that opens the pool, and waits for it, does not connect: it waits while the pool does."""
    with serve("psycopg_pool", min_size=1, max_size=1) as service:
        assert service.get("/select", "first") == 200
        (checkout,) = service.request("first")["checkouts"]
        assert (checkout["fresh"], checkout["connect_ms"]) == (False, None)
        assert checkout["wait_ms"] > 1
        (connect,) = service.lines("connect")
        assert (connect["id"], connect["of"], connect["port"]) == (None, 1, checkout["port"])


def test_a_null_pool_connects_for_its_request(serve):
    """Each checkout is fresh, its price is connecting and not waiting; given back, the connection is closed."""
    with serve("psycopg_pool_null", max_size=2) as service:
        assert service.get("/select", "first") == 200
        (checkout,) = service.request("first")["checkouts"]
        assert (checkout["fresh"], checkout["dead"]) == (True, False)
        assert checkout["connect_ms"] > 1
        assert checkout["wait_ms"] < checkout["connect_ms"]
        assert [line["id"] for line in service.lines("connect")] == ["first"]
        assert [(line["id"], line["dead"]) for line in service.lines("close")] == [("first", False)]


def test_dead_connections_that_the_pool_finds_by_itself(serve, wire):
    """`pool.check()` without anyone who waits: closed, noticed by the pool."""
    with serve("psycopg_pool", min_size=2, max_size=2) as service:
        service.open(2)
        wire.end("reset")
        service.wait_wire_ended()
        assert service.get("/check_pool", "checks") == 200
        closes = service.lines("close")
        assert [(line["dead"], line["after"]) for line in closes] == [(True, "noticed")] * 2
        assert service.get("/select", "after") == 200
