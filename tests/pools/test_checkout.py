"""What it takes to get a connection, and how that fails."""

from __future__ import annotations

import pytest

from brokenpipe.stack.processes.ports import free_port


def test_an_exhausted_pool(start, wire):
    """A request that waited in vain names the place, and the pool's numbers at that moment."""
    with start(wire=wire, engine={"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}) as service:
        holder = service.start("/hold", "holder")
        service.wait_held()
        assert service.get("/select", "in vain") == 500
        service.get("/release")
        assert holder.result() == 200
        line = service.request("in vain")
        assert line["checkouts"] == []
        (error,) = line["errors"]
        assert error["where"] == "checkout"
        assert (error["port"], error["dead_at_checkout"], error["statement"]) == (None, None, None)
        assert error["chain"][0]["type"] == "sqlalchemy.exc.TimeoutError"
        assert line["raised"] == error["chain"]
        assert line["pool"] == {"size": 1, "idle": 0, "out": 1, "overflow": 0}


def test_waiting_for_a_connection(start, wire):
    """The time a request waited for another one's connection lies between its asking and its getting it."""
    with start(wire=wire, engine={"pool_size": 1, "max_overflow": 0}) as service:
        holder = service.start("/hold", "holder")
        service.wait_held()
        waiter = service.start("/select", "waiter")
        asked = service.now()
        service.until(lambda: True if service.now() > asked + 300_000_000 else None, "some waiting")
        service.get("/release")
        assert [holder.result(), waiter.result()] == [200, 200]
        (checkout,) = service.request("waiter")["checkouts"]
        (held,) = service.request("holder")["checkouts"]
        assert 100 < checkout["wait_ms"] < held["held_ms"]
        assert checkout["wait_ms"] * 1e6 < checkout["t"] - service.request("waiter")["t0"]
        assert held["wait_ms"] < 50
        assert (held["fresh"], checkout["fresh"]) == (True, False)
        assert held["port"] == checkout["port"]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "psycopg2"])
def test_a_refused_connect(start, database, driver):
    """Nobody listens: the connect is what failed, whatever the driver makes of it."""
    dsn = f"postgresql+{driver}://me:hunter2@127.0.0.1:{free_port()}/postgres"
    with start(dsn=dsn, driver=driver) as service:
        assert service.get("/select", "refused") == 500
        line = service.request("refused")
        (error,) = line["errors"]
        assert (error["where"], error["port"], error["dead_at_checkout"]) == ("connect", None, None)
        (failed,) = service.lines("connect_failed")
        kinds = {"asyncpg": "builtins.ConnectionRefusedError", "psycopg": "psycopg.OperationalError"}
        kinds["psycopg2"] = "psycopg2.OperationalError"
        assert kinds[driver] in [link["type"] for link in failed["chain"]]
        assert kinds[driver] in [link["type"] for link in error["chain"]]
        assert failed["ms"] > 0
        assert line["raised"][0]["type"] == error["chain"][0]["type"]
        assert service.lines("connect") == []


def test_a_refused_password_stays_secret(start, database):
    """A wrong password is where=connect, with the server's SQLSTATE from asyncpg; it is not written down."""
    dsn = f"postgresql+asyncpg://{database.user}:hunter2@127.0.0.1:{database.port}/postgres"
    with start(dsn=dsn) as service:
        assert service.get("/select", "refused") == 500
        (error,) = service.request("refused")["errors"]
        assert error["where"] == "connect"
        assert "28P01" in [link["sqlstate"] for link in error["chain"]]
        assert "hunter2" not in "".join(path.read_text() for path in service.folder.glob("witness-*"))


def test_a_ping_that_raises(start, wire):
    """A ping that fails without being a disconnect is an error of the ping, on that connection's port."""
    with start(wire=wire, engine={"pool_pre_ping": True}, env={"PING_RAISES": "1"}) as service:
        service.get("/select", "warm")
        assert service.get("/select", "pinged") == 500
        (error,) = service.request("pinged")["errors"]
        assert error["where"] == "ping"
        assert error["port"] == service.request("warm")["checkouts"][0]["port"]


def test_connections_and_the_gauge(start, wire):
    """Each connect has a line; four times a second the pool's numbers are written."""
    with start(wire=wire) as service:
        service.open(3)
        assert len(service.lines("connect")) == 3
        assert {line["port"] for line in service.lines("connect")} == {
            service.request(f"open-{n}")["checkouts"][0]["port"] for n in range(3)
        }
        gauge = service.until(
            lambda: next((line for line in service.lines("pool") if line["idle"] == 3), None), "the gauge"
        )
        assert (gauge["size"], gauge["out"], gauge["overflow"]) == (5, 0, 0)
        assert (gauge["most"], gauge["timeout_s"]) == (5 + 10, 30.0)  # SQLAlchemy's defaults
        (made,) = service.lines("pool_settings")
        assert (made["library"], made["constructor"]) == ("sqlalchemy", "create_async_engine")
        assert made["arguments"] == {
            "pool_size": 5, "max_overflow": 10, "pool_timeout": 30.0, "pool_pre_ping": False, "pool_recycle": -1
        }  # fmt: skip
        assert gauge["pid"] == service.lines("clock")[0]["pid"]
        count = len(service.lines("pool"))
        more = service.until(
            lambda: lines if len(lines := service.lines("pool")) >= count + 3 else None, "gauges"
        )
        assert (more[-1]["t"] - more[-4]["t"]) / 3e9 == pytest.approx(0.25, abs=0.1)


def test_a_disposed_engine(start, wire):
    """The pool it leaves behind is not counted beside the new one."""
    with start(wire=wire) as service:
        service.open(2)
        service.get("/dispose")
        assert [line["after"] for line in service.lines("close")] == [None, None]
        assert {line["dead"] for line in service.lines("close")} == {False}
        count = len(service.lines("pool"))
        after = service.until(
            lambda: lines if len(lines := service.lines("pool")) >= count + 2 else None, "a gauge"
        )
        assert (after[-1]["size"], after[-1]["idle"]) == (5, 0)


def test_a_sync_engine_in_a_thread(start, wire):
    """A sync endpoint's worker thread copies the context: its checkout belongs to the request."""
    with start(wire=wire, driver="psycopg") as service:
        assert service.get("/thread", "sync") == 200
        (checkout,) = service.request("sync")["checkouts"]
        assert (checkout["fresh"], checkout["statements"]) == (True, 1)
        assert checkout["port"] in {line["port"] for line in service.lines("connect")}


def test_a_connect_of_the_targets_own(start, wire):
    """A target's do_connect listener still decides with which arguments to connect."""
    dsn = f"postgresql+asyncpg://{wire.database.user}:old@127.0.0.1:{wire.port}/postgres"
    with start(wire=wire, dsn=dsn, env={"OWN_CONNECT": wire.database.password}) as service:
        assert service.get("/select", "own") == 200
        assert service.request("own")["checkouts"][0]["fresh"] is True


@pytest.mark.parametrize(
    ("path", "held"), [("nested", 1), ("in_turn", 0), ("beside", 0), ("detached", 0), ("select", 0)]
)
def test_what_is_held_while_another_is_asked_for(start, wire, path, held):
    """Only what the same task took from the same pool and has not given back: others give back without its help."""
    with start(wire=wire) as service:
        assert service.get(f"/{path}", path) == 200
        assert service.request(path)["nested"] == held


def test_a_wait_in_vain_tells_what_is_held_meanwhile(start, wire):
    """A pool of one: the request holds what it waits for. It has a line of its own where others are added up."""
    engine = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 1.5}
    with start(wire=wire, engine=engine, env={"BROKENPIPE_EVERY_REQUEST": ""}) as service:
        assert service.get("/nested", "alone") == 500
        (told,) = service.request("alone")["errors"]
        assert (told["where"], told["holding"]) == ("checkout", 1)
        (stall,) = service.until(lambda: service.lines("stall"), "what it hung in")
        assert (stall["act"], stall["holding"]) == ("checkout", 1)


def test_a_nested_checkout_is_never_added_up(start, wire):
    """With room for both it is a success like others, and still something to tell."""
    with start(wire=wire, env={"BROKENPIPE_EVERY_REQUEST": ""}) as service:
        assert service.get("/nested", "nested") == 200
        assert service.request("nested")["nested"] == 1
