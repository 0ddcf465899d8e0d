"""What a service is doing when it is disturbed, and by what."""

from __future__ import annotations

import os
import signal

import psycopg

from brokenpipe.faults.black_hole import BlackHole

from .conftest import Wire, until
from .unreachable_dsns import answers

ONE = ["select 1"]
IDLE = [ONE, "GATE", ONE]  # the wire is disturbed while the connection waits in the pool
HELD = [["select 1", "GATE", "select 2"]]  # … while a request holds it, between two statements
BUSY = [["select 1", "select pg_sleep(20)"]]  # … while a statement is under way
COMMITTING = [["insert into slow_commit values (1)", "COMMIT"]]


def cut(wire: Wire, _: str) -> None:
    """RST if the proxy is armed, else FIN."""
    wire.end("reset")


def swallow(wire: Wire, _: str) -> None:
    """Nothing passes any more, and nothing ends."""
    BlackHole().inject(wire.proxy)


def wait(_: Wire, __: str) -> None:
    """The server acts by itself."""


def cancel(wire: Wire, name: str) -> None:
    with psycopg.connect(wire.database.dsn(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name]
        )


def crash(wire: Wire, _: str) -> None:
    """kill -9 of one server process: the server ends all the others, and recovers."""
    with psycopg.connect(wire.database.dsn(), autocommit=True) as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
    until(lambda: answers(wire.database.dsn()), "the server to recover")
