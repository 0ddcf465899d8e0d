"""Requests that hang, and a server that dies: what the witness says when there is hardly anyone left to say it."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.failures.error_classes import chain_of, classify
from brokenpipe.measure.failures.request_stage import RequestStage, operation_of, request_stage
from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK

from .provocation_setup import DRIVERS


def _stall(service, request_id):
    """The line about a request that hangs."""
    stalls = service.until(
        lambda: [line for line in service.lines("stall") if line["id"] == request_id] or None, "a stall"
    )
    assert len(stalls) == 1
    return stalls[0]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_request_that_hangs_in_a_statement(start, wire, driver):
    """It is written down while it hangs, once, and is there after a kill -9 although its request line is not."""
    with start(wire=wire, driver=driver) as service:
        hanging = service.start("/busy", "hanging")
        service.wait_busy(wire.database)
        stall = _stall(service, "hanging")
        assert (stall["act"], stall["statement"], stall["dead"]) == ("statement", 1, False)
        assert stall["port"] in {line["port"] for line in service.lines("connect")}
        assert 0.5e9 < stall["t"] - stall["since"] < 5e9
        assert request_stage(operation_of(stall)) is RequestStage.MID_STATEMENT
        gauges = len(service.lines("pool"))
        service.until(lambda: True if len(service.lines("pool")) > gauges + 3 else None, "some more time")
        service.process.popen.kill()
        assert hanging.exception() is not None
        assert len(service.lines("stall")) == 1
        assert service.lines("request") == []


def test_a_request_that_hangs_while_it_waits_for_the_pool(start, wire):
    """Waiting for another request's connection is a stall of the pool, not of the database."""
    with start(wire=wire, engine={"pool_size": 1, "max_overflow": 0}) as service:
        holder = service.start("/hold", "holder")
        service.wait_held()
        waiter = service.start("/select", "waiter")
        stall = _stall(service, "waiter")
        assert (stall["act"], stall["port"]) == ("checkout", None)
        assert request_stage(operation_of(stall)) is RequestStage.POOL_WAIT
        service.get("/release")
        assert [holder.result(), waiter.result()] == [200, 200]
        assert [line["id"] for line in service.lines("stall")] == [
            "waiter"
        ]  # who holds and does nothing is no stall


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_request_that_hangs_while_it_connects(start, driver):
    """Even the first connect of a process is seen to hang."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        dsn = f"postgresql+{driver}://a:b@{LOOPBACK}:{silent.getsockname()[1]}/x"
        with start(dsn=dsn) as service:
            service.start("/select", "connecting")
            assert _stall(service, "connecting")["act"] == "connect"
            service.process.popen.kill()


@pytest.mark.parametrize("driver", DRIVERS)
def test_postgres_dies(start, tmp_path, driver):
    """What is in use breaks, what is idle is replaced as dead, and from then on connects are refused; all of it is
    written, and the service lives on.
    """
    with postgres(log_path=tmp_path / "postgres.log", janitor=NoJanitor()) as server:
        dsn = f"postgresql+{driver}://{server.user}:{server.password}@{LOOPBACK}:{server.port}/postgres"
        with start(dsn=dsn) as service:
            service.open(2)
            busy = service.start("/busy", "busy")
            service.wait_busy(server)
            os.kill(server.child.pid, signal.SIGQUIT)
            assert busy.result() == 500
            server.child.popen.wait(10)
            assert [service.get("/select", f"after-{n}") for n in range(2)] == [500, 500]

            (broke,) = service.request("busy")["errors"]
            assert classify(chain_of(broke["chain"]), broke["where"]).is_disconnect
            assert request_stage(operation_of(broke)) is RequestStage.MID_STATEMENT
            for n in range(2):
                (refused,) = service.request(f"after-{n}")["errors"]
                assert classify(chain_of(refused["chain"]), refused["where"]) is ErrorClass.REFUSED
                assert request_stage(operation_of(refused)) is RequestStage.CONNECTING
            closed = [
                (line["dead"], line["after"], line["pool_invalidated"]) for line in service.lines("close")
            ]
            assert closed == [(True, "error", True), (True, None, True)]
            assert [line["id"] for line in service.lines("connect_failed")] == ["after-0", "after-1"]
            assert service.get("/held") == 200
