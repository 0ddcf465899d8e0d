"""Places where a database cannot be reached, each for a reason of its own: the DSN's part behind `//`."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress

import psycopg

from brokenpipe.stack.processes.ports import LOOPBACK, free_port

from .conftest import until
from .provocation_setup import Ground, address


def nobody(_: Ground) -> str:
    return f"a:b@{LOOPBACK}:{free_port()}/x"


def silent(ground: Ground) -> str:
    """Takes the connection and says nothing."""
    listener = ground.ends.enter_context(socket.create_server((LOOPBACK, 0)))
    return f"a:b@{LOOPBACK}:{listener.getsockname()[1]}/x"


def hangs_up(ground: Ground) -> str:
    """Takes the connection, hears what is said first, and closes it.

    Toxiproxy without its upstream does so, too, but may close before it has read: that is an RST.
    """
    listener = ground.ends.enter_context(socket.create_server((LOOPBACK, 0)))
    ground.ends.callback(listener.shutdown, socket.SHUT_RDWR)  # wakes the thread, which a close would not
    threading.Thread(target=_hang_up, args=(listener,), daemon=True).start()
    return f"a:b@{LOOPBACK}:{listener.getsockname()[1]}/x"


def _hang_up(listener: socket.socket) -> None:
    with suppress(OSError):  # the tests are over
        while True:
            with listener.accept()[0] as connection:
                connection.recv(65_536)


def nowhere(_: Ground) -> str:
    return "a:b@nowhere.invalid:5432/x"


def direct(ground: Ground) -> str:
    return address(ground.database, ground.database.port)


def wrong_password(ground: Ground) -> str:
    return address(ground.database, ground.database.port, password="wrong")


def no_such_database(ground: Ground) -> str:
    return address(ground.database, ground.database.port, database="nothing")


def crowded_role(ground: Ground) -> str:
    return address(ground.database, ground.database.port, "crowded", "crowded")


def crowded_database(ground: Ground) -> str:
    return address(ground.database, ground.database.port, "plain", "plain", "crowded")


def full_server(ground: Ground) -> str:
    server = ground.server("full", max_connections=5)
    if "full" not in ground.done:
        for _ in range(5):
            ground.ends.enter_context(psycopg.connect(server.dsn()))
        ground.done.add("full")
    return address(server, server.port)


def closing_server(ground: Ground) -> str:
    """Told to end when the last client has left; one stays."""
    server = ground.server("closing")
    if "closing" not in ground.done:
        ground.ends.enter_context(psycopg.connect(server.dsn()))
        os.kill(server.child.pid, signal.SIGTERM)
        until(lambda: None if answers(server.dsn()) else True, "the server to refuse")
        ground.done.add("closing")
    return address(server, server.port)


def bouncer_nothing(ground: Ground) -> str:
    return f"a:b@{LOOPBACK}:{ground.bouncer()}/nothing"


def bouncer_gone(ground: Ground) -> str:
    """It is there, and the Postgres behind it is not."""
    return f"a:b@{LOOPBACK}:{ground.bouncer()}/gone"


def bouncer_spare(ground: Ground) -> str:
    """It is there, with connections to spare."""
    return f"a:b@{LOOPBACK}:{ground.bouncer()}/spare"


def bouncer_full(ground: Ground) -> str:
    """Its one server connection is taken by another client for as long as the tests last."""
    port = ground.bouncer()
    if "bouncer" not in ground.done:
        ground.ends.enter_context(psycopg.connect(f"postgresql://a:b@{LOOPBACK}:{port}/taken")).execute(
            "select 1"
        )
        ground.done.add("bouncer")
    return f"a:b@{LOOPBACK}:{port}/taken"


def answers(dsn: str) -> bool | None:
    """Whether somebody can log in there: True, or None."""
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return None
    return True
