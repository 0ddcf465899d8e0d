"""A connection that died while it was idle: the request that gets it fails, and the witness says why."""

from __future__ import annotations

import pytest

DRIVERS = ("asyncpg", "psycopg", "psycopg2")


@pytest.mark.parametrize("how", ["reset", "fin", "terminate"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_stale_connection_is_told_apart(start, wire, how, driver):
    """Its error says: dead before it was handed out, a disconnect, on the port it was opened from."""
    with start(wire=wire, driver=driver) as service:
        assert service.get("/select", "warm") == 200
        wire.end(how)
        service.wait_wire_ended()
        assert service.get("/select", "stale") == 500
        warm, stale = service.request("warm"), service.request("stale")

        (first,), (second,) = warm["checkouts"], stale["checkouts"]
        assert (first["fresh"], first["dead"], first["statements"]) == (True, False, 1)
        assert 0 < first["connect_ms"] < 1000
        assert first["held_ms"] > 0
        assert (second["fresh"], second["dead"], second["port"]) == (False, True, first["port"])
        assert second["connect_ms"] is None

        (error,) = stale["errors"]
        assert (error["where"], error["statement"], error["port"]) == ("statement", 1, first["port"])
        assert (error["dead_at_checkout"], error["disconnect"]) == (True, True)
        assert error["chain"][0]["invalidated"] is True
        assert stale["t0"] < second["t"] < error["t"] < stale["t1"]
        assert (stale["failed"], warm["failed"]) == (True, False)
        assert warm["pool"] is None
        assert stale["pool"] == {"size": 5, "idle": 0, "out": 1, "overflow": 0}
        assert [line["id"] for line in service.lines("invalidate")] == ["stale"]
        (close,) = service.lines("close")
        assert (close["dead"], close["after"], close["id"]) == (True, "error", "stale")
        assert close["port"] == first["port"]


@pytest.mark.parametrize("how", ["terminate"])
def test_the_servers_reason_survives_where_the_driver_keeps_it(start, wire, how):
    """psycopg passes the server's last words on: SQLSTATE 57P01 is in the chain."""
    with start(wire=wire, driver="psycopg") as service:
        service.get("/select", "warm")
        wire.end(how)
        service.wait_wire_ended()
        service.get("/select", "stale")
        assert "57P01" in [link["sqlstate"] for link in service.request("stale")["errors"][0]["chain"]]
