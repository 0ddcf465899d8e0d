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


def test_waits_are_told_one_by_one(start, wire):
    """The longest listed is that of the request that waited for its connection; together they are the sum."""
    quiet = {"BROKENPIPE_EVERY_REQUEST": ""}
    engine = {"pool_size": 1, "max_overflow": 0}
    with start(wire=wire, engine=engine, env=quiet) as service:
        holder = service.start("/hold", "holder")
        service.wait_held()
        waiter = service.start("/select", "waiter")
        asked = service.now()
        service.until(lambda: True if service.now() > asked + 150_000_000 else None, "some waiting")
        service.get("/release")
        assert [holder.result(), waiter.result()] == [200, 200]
        assert service.get("/select", "at once") == 200

        def complete():
            tallies = service.lines("tally")
            return tallies if sum(tally["checkouts"] for tally in tallies) == 3 else None

        tallies = service.until(complete, "three checkouts in the sums")
        listed = [wait for tally in tallies for wait in tally["waits_ms"]]
        assert 20 < max(listed) < 1000
        assert min(listed) >= 1
        assert sum(tally["wait_ms"] for tally in tallies) == pytest.approx(sum(listed), abs=3)
        assert sum(tally["held_ms"] for tally in tallies) > max(listed)
