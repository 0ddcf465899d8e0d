"""What the witness tells of users who leave, of requests that come again, and of a loop that stands still."""

from __future__ import annotations

import socket

import pytest

from brokenpipe.faults.latency import Latency

from .conftest import Service, Wire


def begin_a_stream(service: Service, request_id: str) -> socket.socket:
    """A user who has read the begin of an answer."""
    host, port = service.url.removeprefix("http://").split(":")
    user = socket.create_connection((host, int(port)), timeout=10)
    user.sendall(f"GET /streamed HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n\r\n".encode())
    assert b"200" in user.recv(65_536)
    return user


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_statement_that_a_leaving_user_cut_short(start, wire: Wire, driver: str) -> None:
    """Left at a known time, before the error; its connection is given up because of that, and not as a dead one."""
    with start(wire=wire, driver=driver) as service:
        user = begin_a_stream(service, "left")
        service.wait_busy(wire.database)
        user.close()
        line = service.request("left")
        assert (line["failed"], line["status"]) == (False, 200)
        assert line["t0"] < line["left_t"] < line["t1"]
        assert all(error["t"] >= line["left_t"] for error in line["errors"])
        closes = [(close["after"], close["dead"]) for close in service.lines("close")]
        assert closes in (
            [("cancelled", False)],
            [],
        )  # psycopg may have had it cancelled at the server, and keep it


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_ping_that_a_leaving_user_cut_short(start, wire: Wire, driver: str) -> None:
    """It has found nothing: no failed ping, and what is closed was not closed by one."""
    with start(wire=wire, driver=driver, engine={"pool_pre_ping": True}) as service:
        service.get("/select", "warm")
        Latency(ms=1500).inject(wire.proxy)  # in silence psycopg takes 10 s to be called off
        user = begin_a_stream(service, "left")
        service.until(lambda: service.lines("stall") or None, "a ping that hangs")
        user.close()
        line = service.request("left")
        assert line["left_t"] is not None
        assert [error["where"] for error in line["errors"]] == ["ping"]
        assert line["errors"][0]["t"] >= line["left_t"]
        assert service.lines("ping_failed") == []
        assert [close["after"] for close in service.lines("close")] == ["cancelled"]


def test_who_hears_the_answer_out_has_not_left(start, wire: Wire) -> None:
    """A client that closes its connection after the whole answer leaves nothing behind."""
    with start(wire=wire) as service:
        service.get("/select", "stayed")
        assert service.request("stayed")["left_t"] is None


def test_the_same_request_twice(start, wire: Wire) -> None:
    """The same id, method and path: sent again. A redirect that is followed, and the id on another path, are not."""
    with start(wire=wire) as service:
        for path, request_id in [
            ("/select", "one"), ("/select", "two"), ("/select", "one"), ("/held", "two"),
            ("/elsewhere", "three"), ("/elsewhere", "three"), ("/select", "three"),
        ]:  # fmt: skip
            service.get(path, request_id)
        assert [line["id"] for line in service.lines("repeat")] == ["one"]


def test_a_loop_that_stands_still(start, wire: Wire) -> None:
    """How long is told to some tens of milliseconds; while nothing stands still, once a second that it does not."""
    with start(wire=wire) as service:
        service.get("/select", "first")
        calm = service.until(lambda: service.lines("loop") or None, "a second of watching")
        began = service.now()
        service.get("/stall", "stalls")
        ended = service.now()
        late = service.until(
            lambda: [line for line in service.lines("loop") if line["ms"] > 200] or None, "the standstill"
        )
        assert calm[0]["pid"] == service.process.pid
        assert any(line["ms"] >= 240 and began < line["t"] - line["ms"] * 1e6 < ended for line in late)


def test_an_error_tells_its_process_and_whether_the_loop_met_it(start, wire: Wire) -> None:
    """In the loop's thread with an async engine, in a worker thread else."""
    for driver, on_loop in (("asyncpg", True), ("psycopg2", False)):
        with start(wire=wire, driver=driver) as service:
            service.get("/wrong", driver)  # they write into one folder
            (error,) = service.request(driver)["errors"]
            assert (error["pid"], error["on_loop"]) == (service.process.pid, on_loop)
