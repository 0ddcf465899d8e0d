"""Where the time of a request went: what the pool and the database took, and for how long the event loop was late."""

from __future__ import annotations

import pytest

QUIET = {"BROKENPIPE_EVERY_REQUEST": ""}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg2"])
def test_the_time_in_statements_is_told(start, wire, driver):
    """A statement of 200 ms and 100 ms of something else: of the connection's time, the statement's part is known."""
    with start(wire=wire, driver=driver) as service:
        assert service.get("/sleep_in_database", "slow") == 200
        request = service.request("slow")
        (checkout,) = request["checkouts"]
        duration_ms = (request["t1"] - request["t0"]) / 1e6
        assert 195 <= checkout["statements_ms"] <= checkout["held_ms"] - 95
        assert checkout["held_ms"] <= duration_ms
        assert request["unreturned"] == 0
        assert (request["loop_ms"] is None) == (driver == "psycopg2")  # its operations ran in another thread


def test_sums_have_the_time_as_well(start, wire):
    """Of requests without a line: what they took in all, and in statements."""
    with start(wire=wire, env=QUIET) as service:
        assert service.get("/sleep_in_database", "one") == 200
        assert service.get("/select", "two") == 200

        def complete():
            tallies = service.lines("tally")
            return tallies if sum(tally["requests"] for tally in tallies) == 2 else None

        tallies = service.until(complete, "two requests in the sums")
        statements, request = (
            sum(tally[key] for tally in tallies) for key in ("statements_ms", "request_ms")
        )
        assert 195 <= statements <= request - 95
        assert sum(tally["loop_ms"] for tally in tallies) < request - statements
        assert service.lines("request") == []


def test_a_request_whose_parts_exceed_the_whole_has_a_line(start, wire):
    """Two statements at once take longer than the request: sums would say that it was never anywhere else."""
    with start(wire=wire, engine={"pool_size": 2}, env=QUIET) as service:
        service.open(2)
        assert service.get("/two_at_once", "both") == 200
        request = service.request("both")
        taken = sum(checkout["statements_ms"] for checkout in request["checkouts"])
        assert taken > (request["t1"] - request["t0"]) / 1e6
        assert [line["id"] for line in service.lines("request")] == ["both"]


def test_a_standstill_of_the_loop_is_the_requests_time(start, wire):
    """300 ms in which the loop ran nothing else: at least 240 of them are known, for a timer is due every 50 ms."""
    with start(wire=wire) as service:
        service.get("/select", "first")  # from here on the loop is watched
        assert service.get("/stall", "stalled") == 200
        assert 200 <= service.request("stalled")["loop_ms"] <= 320
        assert service.get("/sleep_in_database", "waits") == 200
        assert service.request("waits")["loop_ms"] < 100


def test_a_connection_that_outlives_its_request_is_told_of(start, wire):
    """How many were not given back; when one comes back later, its line says after how long, and by whom."""
    with start(wire=wire, engine={"pool_size": 3}) as service:
        for name in ("late", "lost", "never"):
            assert service.get("/keep", name) == 200
            request = service.request(name)
            assert (request["unreturned"], request["checkouts"][0]["held_ms"]) == (1, None)
        assert service.lines("returned") == []
        assert service.get("/give_kept") == 200
        (returned,) = service.until(lambda: service.lines("returned") or None, "a connection that came back")
        never = service.request("never")
        assert (returned["id"], returned["collected"]) == ("never", False)
        assert (returned["port"], returned["handed"]) == (
            never["checkouts"][0]["port"],
            never["checkouts"][0]["t"],
        )
        assert returned["ms"] == pytest.approx((returned["t"] - never["t1"]) / 1e6, abs=50)
        assert service.get("/lose") == 200
        collected = service.until(
            lambda: found if len(found := service.lines("returned")[1:]) == 2 else None, "two collected"
        )
        assert {line["id"] for line in collected} == {"late", "lost"}
        assert all(line["collected"] for line in collected)
