"""A session of Postgres on a plain socket: every message as it comes, every end when it comes.

A driver hides part of what the server sends when it ends a session: psycopg gives no SQLSTATE for a refused login, and
that is what detection needs.

   (──▶ SSLRequest              ◀── 'S', then TLS, if the login says who must have certified the server)
    ──▶ startup, password       ◀── 'Z' ready, or 'E' and the end
    ──▶ 'Q' statement           ◀── ... 'Z'
                                ◀── 'E' or 'N' with an SQLSTATE, and the end
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from brokenpipe.drive.raw_postgres.raw_socket import Address, SocketEvent, connect, event_of_error, receive
from brokenpipe.drive.raw_postgres.scram import MECHANISM, Scram
from brokenpipe.faults import SocketEffect

LOGIN_TIMEOUT_S = 5.0

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_PROTOCOL_3 = 196608
_SASL, _SASL_CONTINUE = 10, 11
_HEAD = struct.Struct("!ci")


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials and database of a session."""

    user: str
    password: str = field(repr=False)
    database: str
    authority: Path | None = None  # certificate authority of the server; None: no TLS


@dataclass(frozen=True, slots=True)
class _Message:
    kind: str
    body: bytes

    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE of an error or a notice."""
        fields = (part for part in self.body.split(b"\0") if part)
        return next((part[1:].decode() for part in fields if part[:1] == b"C"), None)


class LoginFailedError(ConnectionError):
    """The session could not be opened; `event` is what was seen instead."""

    def __init__(self, event: SocketEvent) -> None:
        super().__init__(f"no session: {event.seen}")
        self.event = event


class PgSession:
    """An open session that is ready. Made by `pg_session`."""

    def __init__(self, address: Address) -> None:
        self._socket = connect(address)
        self._host = address[0]
        self._buffer = b""
        self.last_byte_ns = time.monotonic_ns()

    def close(self) -> None:
        self._socket.close()

    def shut_down(self) -> None:
        """Wake a thread that waits for the end, which a close would not."""
        with suppress(OSError):  # already ended by the other side
            self._socket.shutdown(socket.SHUT_RDWR)

    def log_in(self, login: Login, until_ns: int) -> SocketEvent | None:
        """Log in. None: ready; otherwise what was seen instead."""
        words = ("user", login.user, "database", login.database, "application_name", "brokenpipe")
        text = b"".join(word.encode() + b"\0" for word in words) + b"\0"
        scram = Scram(login.password)
        try:
            if login.authority and (instead := self._encrypt(login.authority, until_ns)):
                return instead
            self._socket.sendall(struct.pack("!ii", len(text) + 8, _PROTOCOL_3) + text)
            return self._until_ready(until_ns, scram)
        except ConnectionError as error:
            return event_of_error(error)

    def _encrypt(self, authority: Path, until_ns: int) -> SocketEvent | None:
        """Start TLS. None: encrypted from now on. Raises ssl.SSLCertVerificationError if it is not our server."""
        self._socket.sendall(SSL_REQUEST)
        answer = receive(self._socket, until_ns)
        if not isinstance(answer, bytes):
            return answer or SocketEvent("silence", time.monotonic_ns())
        if answer != b"S":
            raise ConnectionAbortedError("the server speaks no TLS")
        self._socket.settimeout(max(until_ns - time.monotonic_ns(), 1) / 1e9)
        context = ssl.create_default_context(cafile=str(authority))
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=self._host)
        except TimeoutError:
            return SocketEvent("silence", time.monotonic_ns())
        except ssl.SSLEOFError:
            return SocketEvent("eof", time.monotonic_ns())
        return None

    def ask(self, statement: str) -> None:
        """Send a statement. Raises ConnectionError."""
        self.last_byte_ns = time.monotonic_ns()
        try:
            self._send(b"Q", statement.encode() + b"\0")
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:  # a plain socket calls it a broken pipe
            raise BrokenPipeError(*error.args) from error

    def answer(self, until_ns: int) -> SocketEvent:
        """The answer to a statement: `alive` when it is done, an SQLSTATE, an end, or silence."""
        return self._until_ready(until_ns, None) or SocketEvent("alive", time.monotonic_ns())

    def wait_closed(self, until_ns: int) -> SocketEvent | None:
        """Wait for the end: with the server's reason if it gave one; None if it has not ended by then."""
        reason: str | None = None
        while True:
            message = self._next(until_ns)
            if message is None:
                return None
            if isinstance(message, SocketEvent):
                return (
                    SocketEvent(_expected_sqlstate(reason) or message.seen, message.t_ns)
                    if message.seen == "eof"
                    else message
                )
            if message.kind in "EN":
                reason = message.sqlstate

    def _until_ready(self, until_ns: int, scram: Scram | None) -> SocketEvent | None:
        reason: tuple[str | None, int] | None = None
        while True:
            message = self._next(until_ns)
            if message is None:
                return SocketEvent("silence", time.monotonic_ns())
            if isinstance(message, SocketEvent):
                return (
                    SocketEvent(_expected_sqlstate(reason[0]) or message.seen, reason[1])
                    if reason
                    else message
                )
            if message.kind == "E" or (message.kind == "N" and _expected_sqlstate(message.sqlstate)):
                reason = (message.sqlstate, time.monotonic_ns())
            elif message.kind == "Z":
                seen = _expected_sqlstate(reason[0]) if reason else None
                return SocketEvent(seen, reason[1]) if reason and seen else None
            elif message.kind == "R" and scram:
                self._authenticate(message.body, scram)

    def _authenticate(self, body: bytes, scram: Scram) -> None:
        (step,) = struct.unpack_from("!i", body)
        if step == _SASL:
            first = scram.first
            self._send(b"p", MECHANISM + b"\0" + struct.pack("!i", len(first)) + first)
        elif step == _SASL_CONTINUE:
            self._send(b"p", scram.final(body[4:]))

    def _send(self, kind: bytes, body: bytes) -> None:
        self._socket.sendall(_HEAD.pack(kind, len(body) + 4) + body)

    def _next(self, until_ns: int) -> _Message | SocketEvent | None:
        while True:
            if len(self._buffer) >= _HEAD.size:
                kind, size = _HEAD.unpack_from(self._buffer)
                if len(self._buffer) > size:
                    body, self._buffer = self._buffer[_HEAD.size : size + 1], self._buffer[size + 1 :]
                    return _Message(kind.decode("latin-1"), body)
            received = receive(self._socket, until_ns)
            if not isinstance(received, bytes):
                return received
            self._buffer += received


def _expected_sqlstate(sqlstate: str | None) -> SocketEffect | None:
    """The SQLSTATE, if it is one that a fault can cause."""
    return cast("SocketEffect", sqlstate) if sqlstate in get_args(SocketEffect) else None


@contextmanager
def pg_session(address: Address, login: Login, patience_s: float = LOGIN_TIMEOUT_S) -> Iterator[PgSession]:
    """A session for as long as the block lasts. Raises LoginFailedError.

    Raises OSError for what the other side has no part in: no descriptor, no route.
    """
    until_ns = time.monotonic_ns() + round(patience_s * 1e9)
    try:
        opened = PgSession(address)
    except ConnectionRefusedError:
        raise LoginFailedError(SocketEvent("refused", time.monotonic_ns())) from None
    except ConnectionError as error:
        raise LoginFailedError(event_of_error(error)) from None
    except TimeoutError:
        raise LoginFailedError(SocketEvent("silence", time.monotonic_ns())) from None
    with closing(opened):
        if instead := opened.log_in(login, until_ns):
            raise LoginFailedError(instead)
        opened.last_byte_ns = time.monotonic_ns()
        yield opened
