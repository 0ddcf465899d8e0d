"""A server that speaks as much of Postgres's protocol as a driver needs to connect, and to be answered nothing.

For what a driver does with its connections; it runs no statement. `end` closes every connection.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

_PARAMETERS = (
    "server_version\00017.1",
    "client_encoding\0UTF8",
    "standard_conforming_strings\0on",
    "TimeZone\0UTC",
)
_NO_ENCRYPTION = frozenset({80877103, 80877104})  # SSLRequest, GSSENCRequest


class SpeakingPostgres:
    """Listens on a port of the loopback, one thread for each connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        """End every connection, and give the kernel the time to say so."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()
        time.sleep(0.2)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            while _code(_body(connection)) in _NO_ENCRYPTION:
                connection.sendall(b"N")
            said = b"".join(_message(b"S", parameter.encode() + b"\0") for parameter in _PARAMETERS)
            connection.sendall(
                _message(b"R", b"\0\0\0\0") + said + _message(b"K", b"\0" * 8) + _message(b"Z", b"I")
            )
            _answer_statements(connection)


def _answer_statements(connection: socket.socket) -> None:
    status, statement = b"I", b""
    while (kind := _exactly(connection, 1)) != b"X":
        body = _body(connection)
        if kind in {b"Q", b"P"}:
            statement = body.split(b"\0")[kind == b"P"].strip().lower()
            ends = statement.startswith((b"commit", b"rollback"))
            status = b"T" if statement.startswith(b"begin") else b"I" if ends else status
        done = _message(b"C", (b"SELECT 0" if statement.startswith(b"select") else b"SET") + b"\0")
        described = (_message(b"t", b"\0\0") if body[:1] == b"S" else b"") + _message(b"n")
        ready = _message(b"Z", status)
        answers = {
            b"Q": done + ready,
            b"P": _message(b"1"),
            b"B": _message(b"2"),
            b"D": described,
            b"E": done,
        }
        connection.sendall((answers | {b"S": ready, b"C": _message(b"3")}).get(kind, b""))


def _message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _body(connection: socket.socket) -> bytes:
    (length,) = struct.unpack("!I", _exactly(connection, 4))
    return _exactly(connection, length - 4)


def _code(body: bytes) -> int:
    (code,) = struct.unpack("!I", body[:4])
    return int(code)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return found
