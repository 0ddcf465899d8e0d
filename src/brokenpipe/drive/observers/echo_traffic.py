"""Numbered and time-stamped messages to an echo server, sent steadily: a connection in mid-transfer."""

from __future__ import annotations

import socket
import struct
import time

from brokenpipe.drive.raw_postgres.raw_socket import SocketEvent, event_of_error, receive

EVERY_NS = 5_000_000  # ten messages in the shortest silence that an idle limit may have
SEND_TIMEOUT_S = 1.0  # messages of 16 bytes: one that cannot be sent is not read
_MESSAGE = struct.Struct("!qq")  # number, time of sending


class EchoTraffic:
    """The client's side of the echo traffic.

    `sent` counts messages, `delays_ns` are the round trips of those answered, in order, and `ended` is how
    the connection ended, if it did.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.sent = 0
        self._buffer = b""
        self._corrupted = False
        self.delays_ns: list[int] = []
        self.ended: SocketEvent | None = None

    @property
    def complete(self) -> bool:
        """Whether every message came back, each once and in order."""
        return not self._corrupted and self.ended is None and len(self.delays_ns) == self.sent

    def send_and_receive(self, until_ns: int) -> None:
        """Send and receive until then, or until the connection ends."""
        next_ns = time.monotonic_ns()
        while self.ended is None and (now_ns := time.monotonic_ns()) < until_ns:
            if now_ns >= next_ns:
                self._send(now_ns)
                next_ns = now_ns + EVERY_NS
            self._receive_some(min(next_ns, until_ns))

    def receive_rest(self, until_ns: int) -> None:
        """Receive the outstanding answers; send nothing more."""
        while not self.complete and self.ended is None and time.monotonic_ns() < until_ns:
            self._receive_some(until_ns)

    def _send(self, now_ns: int) -> None:
        self._connection.settimeout(SEND_TIMEOUT_S)
        try:
            self._connection.sendall(_MESSAGE.pack(self.sent, now_ns))
        except TimeoutError:
            self.ended = SocketEvent("silence", time.monotonic_ns())
        except ConnectionError as error:
            self.ended = event_of_error(error)
        else:
            self.sent += 1

    def _receive_some(self, until_ns: int) -> None:
        if self.ended:  # a failed send has shown the end; a read would show another
            return
        received = receive(self._connection, until_ns)
        if isinstance(received, SocketEvent):
            self.ended = received
        elif received:
            self._buffer += received
            self._parse_messages(time.monotonic_ns())

    def _parse_messages(self, now_ns: int) -> None:
        while len(self._buffer) >= _MESSAGE.size:
            number, sent_ns = _MESSAGE.unpack_from(self._buffer)
            self._buffer = self._buffer[_MESSAGE.size :]
            self._corrupted |= number != len(self.delays_ns)
            self.delays_ns.append(now_ns - sent_ns)
