"""Requests with nothing to tell are added up; those with something to tell have a line of their own."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg2"])
def test_requests_with_nothing_to_tell_are_added_up(start, wire, driver):
    """Five good requests with pre-pings are in the sums, each once, with its checkout; a broken one has its line."""
    quiet = {"BROKENPIPE_EVERY_REQUEST": ""}
    with start(wire=wire, driver=driver, engine={"pool_pre_ping": True}, env=quiet) as service:
        for n in range(5):
            assert service.get("/select", f"good-{n}") == 200

        def complete():
            tallies = service.lines("tally")
            return tallies if sum(tally["requests"] for tally in tallies) == 5 else None

        tallies = service.until(complete, "five requests in the sums")
        assert service.lines("request") == []
        sums = {key: sum(tally[key] for tally in tallies) for key in ("checkouts", "pings", "connects")}
        assert sums == {"checkouts": 5, "pings": 4, "connects": 1}  # a fresh connection is not pinged
        assert sum(tally["ping_ms"] for tally in tallies) > 0
        assert all(tally["t0"] <= tally["t"] for tally in tallies)

        service.get("/wrong", "wrong")
        assert service.request("wrong")["errors"]
        assert [line["id"] for line in service.lines("request")] == ["wrong"]
