"""A connection that died while idle and was replaced before a request saw it: who replaced it can be told."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "psycopg2"])
def test_pre_ping_replaces_a_stale_connection(start, wire, driver):
    """The ping fails, the connection is closed after it, the request gets a fresh one and succeeds."""
    with start(wire=wire, driver=driver, engine={"pool_pre_ping": True}) as service:
        service.get("/select", "warm")
        service.get("/select", "good")
        wire.end("reset")
        service.wait_wire_ended()
        assert service.get("/select", "pinged") == 200
        (first,), (good,), (second,) = (service.request(r)["checkouts"] for r in ("warm", "good", "pinged"))

        assert first["ping_ms"] is None  # fresh connections are not pinged
        assert 0 < good["ping_ms"] < 1000
        (ping,) = service.lines("ping_failed")
        assert (ping["port"], ping["id"]) == (first["port"], "pinged")
        assert 0 < ping["ms"] == pytest.approx(second["ping_ms"], abs=0.002)
        (close,) = service.lines("close")
        assert (close["port"], close["after"], close["dead"]) == (first["port"], "ping", True)
        assert close["id"] == "pinged"
        assert (second["fresh"], second["dead"]) == (True, False)
        assert second["connect_ms"] > 0
        assert second["port"] != first["port"]
        assert service.request("pinged")["errors"] == []
        assert service.request("pinged")["failed"] is False


def test_recycle_replaces_a_stale_connection(start, wire):
    """No event tells of a recycle: it is a close at an age above the setting."""
    with start(wire=wire, engine={"pool_recycle": 0.2}) as service:
        service.get("/select", "warm")
        wire.end("reset")
        service.wait_wire_ended()
        old = service.request("warm")["checkouts"][0]["t"] + 200_000_000
        service.until(lambda: True if service.now() > old else None, "the connection to be old enough")
        assert service.get("/select", "recycled") == 200
        closes = service.lines("close")
        assert len(closes) == 1, closes
        (close,) = closes
        assert close["recycle_ms"] == 200
        assert close["age_ms"] > 200
        assert (close["dead"], close["after"], close["pool_invalidated"]) == (True, None, False)
        assert service.request("recycled")["checkouts"][0]["fresh"] is True


def test_one_disconnect_replaces_the_sisters(start, wire):
    """Connections older than one that failed are closed at their next checkout: masked by the pool."""
    with start(wire=wire) as service:
        service.open(3)
        wire.end("reset")
        service.wait_wire_ended()
        assert [service.get("/select", f"after-{n}") for n in range(3)] == [500, 200, 200]
        closed = [(each["after"], each["pool_invalidated"], each["dead"]) for each in service.lines("close")]
        assert closed == [("error", True, True), (None, True, True), (None, True, True)]
        assert len(service.lines("invalidate")) == 1
        ends = [service.request(f"after-{n}") for n in range(3)]
        assert [each["failed"] for each in ends] == [True, False, False]


def test_a_failed_ping_replaces_the_sisters(start, wire):
    """So does a ping that failed: one ping finds out for the whole pool."""
    with start(wire=wire, engine={"pool_pre_ping": True}) as service:
        service.open(3)
        wire.end("reset")
        service.wait_wire_ended()
        assert [service.get("/select", f"after-{n}") for n in range(3)] == [200] * 3
        assert len(service.lines("ping_failed")) == 1
        closed = [(each["after"], each["pool_invalidated"], each["dead"]) for each in service.lines("close")]
        assert closed == [("ping", False, True), (None, True, True), (None, True, True)]


@pytest.mark.parametrize(
    ("path", "after", "where"), [("/give_back", "error", ["rollback"]), ("/raw", "reset", [])]
)
def test_death_after_the_last_statement(start, wire, path, after, where):
    """Found by the roll-back: SQLAlchemy's own is the request's error, the pool's is not seen by any request."""
    with start(wire=wire, driver="psycopg") as service:
        request = service.start(path, "late")
        service.wait_held()
        wire.end("reset")
        service.wait_wire_ended()
        service.get("/release")
        assert request.result() == (500 if where else 200)
        line = service.request("late")
        assert [error["where"] for error in line["errors"]] == where
        (close,) = service.lines("close")
        assert (close["dead"], close["after"]) == (True, after)
