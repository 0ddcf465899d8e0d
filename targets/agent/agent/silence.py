"""When the kernel gives up on a database that has fallen silent: TCP_USER_TIMEOUT and keepalives.

libpq's drivers, psycopg and psycopg2, take both as arguments of a connection. asyncpg has no word for either, so they
are set on its socket once it is connected; until then its own `timeout` limits.
"""

import os
import socket
from collections.abc import Mapping

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from agent.settings import Settings

SocketOption = tuple[int, int]


def libpq_arguments(settings: Settings) -> dict[str, int]:
    """https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"""
    arguments = {}
    if settings.db_tcp_user_timeout_ms is not None:
        arguments["tcp_user_timeout"] = settings.db_tcp_user_timeout_ms
    if keepalives := settings.keepalives:
        arguments |= {
            "keepalives": 1,
            "keepalives_idle": keepalives.idle_s,
            "keepalives_interval": keepalives.interval_s,
            "keepalives_count": keepalives.probes,
        }
    return arguments


def on_each_socket(engine: Engine, settings: Settings) -> None:
    """Have them set on the socket of every connection that this engine of asyncpg's opens."""
    options = _socket_options(settings)
    if not options:
        return

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # Not public, but nothing else leads to the socket. A duplicate shares its options; any loop gives a number.
        transport = connection.driver_connection._transport
        number = transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(number)) as duplicate:
            for (level, option), value in options.items():
                duplicate.setsockopt(level, option, value)


def _socket_options(settings: Settings) -> Mapping[SocketOption, int]:
    options: dict[SocketOption, int] = {}
    if settings.db_tcp_user_timeout_ms is not None:
        options[socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT] = settings.db_tcp_user_timeout_ms
    if keepalives := settings.keepalives:
        options |= {
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): keepalives.idle_s,
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): keepalives.interval_s,
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): keepalives.probes,
        }
    return options
