"""Connections that were opened outside of any pool: one that a service keeps, and one for each request."""

from __future__ import annotations

import pytest

KEPT = ("one_psycopg", "one_asyncpg")


@pytest.fixture
def serve(start, wire):
    """A service of that library."""
    return lambda name: start("driver_pools", wire=wire, env={"LIBRARY": name})


@pytest.mark.parametrize("name", KEPT)
def test_one_that_a_service_keeps(serve, wire, name):
    """The first use by a request is its checkout, which has nothing to wait for; it is held until its last use."""
    with serve(name) as service:
        assert service.get("/open_pool", "opens") == 200
        assert service.get("/select", "uses") == 200
        (opened,), (used,) = (service.request(each)["checkouts"] for each in ("opens", "uses"))
        assert (opened["fresh"], used["fresh"], used["dead"]) == (True, False, False)
        assert opened["connect_ms"] > 1
        assert (used["connect_ms"], used["wait_ms"], used["statements"]) == (None, 0, 1)
        assert used["port"] == opened["port"]
        assert used["held_ms"] > 0
        (connect,) = service.lines("connect")
        assert (connect["of"], connect["id"]) == (None, "opens")
        planes = {(line["plane"], line["library"]) for line in service.lines("plane")}
        assert planes == {("requests", "uvicorn"), ("connections", name.removeprefix("one_"))}


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_connection_that_has_died(serve, wire, name):
    """Dead when the request first used it, and for every request after it."""
    with serve(name) as service:
        service.get("/select", "warm")
        wire.end("reset")
        service.wait_wire_ended()
        for request in ("first", "second"):
            assert service.get("/select", request) == 500
            (error,) = service.request(request)["errors"]
            assert (error["where"], error["statement"]) == ("statement", 1)
            assert (error["dead_at_checkout"], error["dead"]) == (True, True)
            assert service.request(request)["checkouts"][0]["dead"] is True


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_connection_that_dies_in_mid_statement(serve, wire, name):
    """The statement began on a live socket."""
    with serve(name) as service:
        request = service.start("/busy", "busy")
        service.wait_busy(wire.database)
        wire.end("reset")
        assert request.result() == 500
        (error,) = service.request("busy")["errors"]
        assert (error["statement"], error["dead_at_checkout"], error["dead"]) == (1, False, False)


@pytest.mark.parametrize("name", ["psycopg_each", "asyncpg_each"])
def test_one_for_each_request(serve, wire, name):
    """Opened, used and closed by it; one that cannot be opened is its error."""
    with serve(name) as service:
        assert service.get("/select", "good") == 200
        (checkout,) = service.request("good")["checkouts"]
        assert (checkout["fresh"], checkout["statements"]) == (True, 1)
        assert [(line["id"], line["dead"]) for line in service.lines("close")] == [("good", False)]
        wire.proxy.refuse()
        assert service.get("/select", "refused") == 500
        (error,) = service.request("refused")["errors"]
        assert (error["where"], error["port"]) == ("connect", None)
        assert [line["id"] for line in service.lines("connect_failed")] == ["refused"]


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_connection_of_sqlalchemys_is_recorded_once(start, wire, driver):
    """Its pool is recorded where SQLAlchemy is: the driver below it adds no connect, no checkout and no error."""
    with start(wire=wire, driver=driver) as service:
        assert service.get("/select", "good") == 200
        assert service.get("/wrong", "wrong") == 500
        assert len(service.lines("connect")) == 1
        assert [len(service.request(each)["checkouts"]) for each in ("good", "wrong")] == [1, 1]
        assert len(service.request("wrong")["errors"]) == 1
        planes = {(line["plane"], line["library"]) for line in service.lines("plane")}
        assert planes == {("requests", "uvicorn"), ("pools", "sqlalchemy")}
