"""A raw connection through an arm's own proxy to Postgres, which sees when and how it ends.

Postgres answers an SSLRequest with one byte before it asks who is there, so a sentinel needs no credentials:

    ──▶ SSLRequest    8 bytes
    ◀── S or N        the whole way is open; after that it is quiet, as a connection in a pool is

Postgres itself ends it after its authentication_timeout, in our stack ten minutes: open one for each episode.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from brokenpipe.drive.raw_postgres.raw_socket import SocketEvent, connect, event_of_error, receive
from brokenpipe.drive.raw_postgres.session import SSL_REQUEST
from brokenpipe.faults import SocketEffect

_GSSENC_REQUEST = struct.pack("!ii", 8, 80877104)
ANSWER_TIMEOUT_S = 5.0  # measured: about 5 ms; a delay comes on top
ALIVE_TIMEOUT_S = 0.5


class Sentinel:
    """A connection that has had an answer from Postgres. Made by `Sentinel.open`.

    A thread waits for the end, so it is timed when it arrives and not when `end` is called.
    `round_trip_ms` is what the SSLRequest and its answer took, in milliseconds.
    """

    def __init__(self, connection: socket.socket, round_trip_ms: float) -> None:
        self.round_trip_ms = round_trip_ms
        self._connection = connection
        self._received = threading.Event()  # bytes arrived
        self._ended = threading.Event()
        self._event: SocketEvent | OSError | None = None
        self._reader = threading.Thread(target=self._read_until_end, name="sentinel", daemon=True)
        self._reader.start()

    @classmethod
    def open(cls, host: str, port: int, answer_s: float = ANSWER_TIMEOUT_S) -> Self:
        """Connect and wait so long for Postgres's answer.

        Raises OSError: ConnectionRefusedError by the proxy, another ConnectionError or TimeoutError by silence.
        """
        connection = connect((host, port))
        try:
            return cls(connection, _round_trip_ms(connection, answer_s))
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and end the thread that reads it."""
        with suppress(OSError):  # already ended by the other side
            self._connection.shutdown(socket.SHUT_RDWR)  # wakes the thread, which a close would not
        self._reader.join()
        self._connection.close()

    def end(self, timeout_s: float) -> tuple[SocketEffect, int]:
        """What happened to the connection within that time, and when (time.monotonic_ns).

        `reset` or `eof` with the time of its arrival. If it has not ended, a second question decides between
        `alive` and `silence`; Postgres may end the connection over it, so ask this once, last.

        Raises OSError if the socket failed in another way: that detects no fault.
        """
        if not self._ended.wait(timeout_s) and (answer := self._send_question()):
            return answer, time.monotonic_ns()
        if not self._ended.wait(ALIVE_TIMEOUT_S) or self._event is None:
            raise TimeoutError("the end of a connection that took no question was not seen")
        if isinstance(self._event, OSError):
            raise self._event
        return self._event.seen, self._event.t_ns

    def wait_end_after_rest(self, rest_s: float, patience_s: float) -> tuple[SocketEffect, int]:
        """How the first byte after a rest is answered, and when; or how the connection ended during the rest.

        One byte begins a message of any kind, TLS or not, and Postgres waits for the others: `silence` is its answer.

        Raises OSError if the socket failed in another way: that detects no fault.
        """
        if not self._ended.wait(rest_s):
            with suppress(ConnectionError):  # it has just ended: the thread tells how
                self._connection.sendall(b"\0")
        if not self._ended.wait(patience_s) or self._event is None:
            return "silence", time.monotonic_ns()
        if isinstance(self._event, OSError):
            raise self._event
        return self._event.seen, self._event.t_ns

    def _send_question(self) -> SocketEffect | None:
        """Send a question. None: the connection has ended, and the thread has seen that or is about to."""
        self._received.clear()
        try:
            self._connection.sendall(_GSSENC_REQUEST)
        except ConnectionError:
            return None
        # Behind an S it is no legal message: Postgres hangs up, and even that came back along the wire.
        if self._received.wait(ALIVE_TIMEOUT_S):
            return None if isinstance(self._event, OSError) else "alive"
        return None if self._ended.is_set() else "silence"

    def _read_until_end(self) -> None:
        self._event = self._end_event()
        self._ended.set()
        self._received.set()

    def _end_event(self) -> SocketEvent | OSError:
        try:
            while self._connection.recv(4096):
                self._received.set()
        except ConnectionError as error:
            return event_of_error(error)
        except OSError as error:
            return error
        return SocketEvent("eof", time.monotonic_ns())


def probe_connect(host: str, port: int, patience_s: float) -> SocketEffect:
    """What a new client sees when it connects and asks: refused, unreached, silence, an end, or an answer.

    Raises OSError for what the other side has no part in: no descriptor, no route.
    """
    try:
        connection = connect((host, port))
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "unreached"
    with connection:
        try:
            connection.sendall(SSL_REQUEST)
            answer = receive(connection, time.monotonic_ns() + round(patience_s * 1e9))
        except ConnectionError as error:
            answer = event_of_error(error)
    if isinstance(answer, SocketEvent):
        return answer.seen
    return "alive" if answer else "silence"


def _round_trip_ms(connection: socket.socket, answer_s: float) -> float:
    """Milliseconds that an SSLRequest and its answer take."""
    sent_ns = time.monotonic_ns()
    connection.settimeout(answer_s)
    connection.sendall(SSL_REQUEST)
    if connection.recv(1) not in {b"S", b"N"}:
        raise ConnectionAbortedError("no answer to an SSLRequest: is it Postgres behind this proxy?")
    took_ms = (time.monotonic_ns() - sent_ns) / 1e6
    connection.settimeout(None)
    return took_ms
