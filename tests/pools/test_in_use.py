"""A connection that dies while a request holds it: no setting of a pool helps against that."""

from __future__ import annotations

import pytest

DRIVERS = ("asyncpg", "psycopg", "psycopg2")


@pytest.mark.parametrize("driver", DRIVERS)
def test_between_two_statements(start, wire, driver):
    """It was alive when it was handed out, and failed at the second statement."""
    with start(wire=wire, driver=driver) as service:
        request = service.start("/hold", "held")
        service.wait_held()
        wire.end("reset")
        service.wait_wire_ended()
        service.get("/release")
        assert request.result() == 500
        (error,) = service.request("held")["errors"]
        assert (error["where"], error["statement"]) == ("statement", 2)
        assert (error["dead_at_checkout"], error["disconnect"]) == (False, True)


@pytest.mark.parametrize("driver", DRIVERS)
def test_before_the_commit(start, wire, driver):
    """The error is the commit's: the application cannot know whether its work was done."""
    with start(wire=wire, driver=driver) as service:
        request = service.start("/commit", "held")
        service.wait_held()
        wire.end("reset")
        service.wait_wire_ended()
        service.get("/release")
        assert request.result() == 500
        error = service.request("held")["errors"][0]
        assert (error["where"], error["statement"]) == ("commit", None)
        assert (error["dead_at_checkout"], error["disconnect"]) == (False, True)


@pytest.mark.parametrize("driver", DRIVERS)
def test_in_the_middle_of_a_statement(start, wire, driver):
    """The chain goes down to what the driver or the kernel said."""
    with start(wire=wire, driver=driver) as service:
        request = service.start("/busy", "busy")
        service.wait_busy(wire.database)
        wire.end("reset")
        assert request.result() == 500
        (error,) = service.request("busy")["errors"]
        assert (error["statement"], error["dead_at_checkout"], error["disconnect"]) == (1, False, True)
        chain = error["chain"]
        assert chain[0]["type"].startswith("sqlalchemy.exc.")
        assert chain[0]["invalidated"] is True
        if driver == "asyncpg":
            assert chain[-1]["type"] == "builtins.ConnectionResetError"
            assert chain[-1]["errno"] == 104
            assert "08003" in [link["sqlstate"] for link in chain]
        else:
            assert chain[1]["type"] == f"{driver}.OperationalError"


def test_an_error_that_is_no_disconnect(start, wire):
    """A statement the server rejects: its SQLSTATE, and not a word of its parameters."""
    with start(wire=wire) as service:
        assert service.get("/wrong", "wrong") == 500
        (error,) = service.request("wrong")["errors"]
        assert error["disconnect"] is False
        assert error["chain"][0]["invalidated"] is False
        assert service.lines("close") == []
        assert "424242" not in str(service.request("wrong"))


def test_an_error_that_the_service_handles(start, wire):
    """A service that swallows the error and answers 503: nothing was raised, the error is still listed."""
    with start(wire=wire) as service:
        service.get("/select", "warm")
        wire.end("reset")
        service.wait_wire_ended()
        assert service.get("/swallow", "swallowed") == 503
        line = service.request("swallowed")
        assert (line["status"], line["failed"], line["raised"]) == (503, True, None)
        assert [error["dead_at_checkout"] for error in line["errors"]] == [True]
