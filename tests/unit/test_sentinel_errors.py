"""An error of the system at a raw socket of ours is no sight of a fault: a doubt, never a landing or a hang."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest

from brokenpipe.drive.detection import detect, tcp_sentinel
from brokenpipe.drive.detection.session_sentinel import SessionSentinel
from brokenpipe.drive.detection.tcp_sentinel import Sentinel
from brokenpipe.drive.observers import session_observers
from brokenpipe.drive.raw_postgres import raw_socket, session
from brokenpipe.drive.raw_postgres.session import Login, LoginFailedError
from brokenpipe.drive.self_test import wire as certificate
from brokenpipe.drive.self_test.server import observe_at_server
from brokenpipe.faults import BlackHole, Fault, Refuse, ServerPause, SocketKill
from brokenpipe.stack.proxy.proxy import Proxy

pytestmark = pytest.mark.timeout(20)

OURS = [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EMFILE]
DOOR = session_observers.LoginTarget(("127.0.0.1", 1), Login("user", "password", "database"))


def failure(number: int) -> OSError:
    """As the system raises it: ETIMEDOUT, for one, is a TimeoutError."""
    return OSError(number, os.strerror(number))


def failing(number: int) -> Callable[..., Any]:
    def connect(*_: object, **__: object) -> socket.socket:
        raise failure(number)

    return connect


def somewhere() -> Proxy:
    database = SimpleNamespace(
        user="user", password="password", name="database", pooled=False,
        server=SimpleNamespace(certificates=None), sessions=lambda: 0,
    )  # fmt: skip
    return cast("Proxy", SimpleNamespace(host="127.0.0.1", port=1, server=database))


class Socket:
    """A connection whose next read or write fails in the way given, as soon as `fail` is set."""

    def __init__(self, *, read: int | None = None, write: int | None = None) -> None:
        self.fail = threading.Event()
        self._read, self._write = read, write

    def recv(self, _: int) -> bytes:
        self.fail.wait()
        if self._read is None:
            raise ConnectionResetError
        raise failure(self._read)

    def sendall(self, _: bytes) -> None:
        if self._write is not None:
            raise failure(self._write)

    def settimeout(self, _: float | None) -> None:
        pass

    def shutdown(self, _: int) -> None:
        self.fail.set()

    def close(self) -> None:
        self.fail.set()


@pytest.mark.parametrize("number", OURS)
@pytest.mark.parametrize("fault", [Refuse(), BlackHole(), ServerPause()])
def test_a_connection_that_cannot_be_tried_is_no_landing(
    fault: Fault, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptor, no route: neither the silence of a paused server nor a refusal was seen, and nothing is raised."""
    for module in (tcp_sentinel, session):
        monkeypatch.setattr(module, "connect", failing(number))
    seen = detect.detect_held(somewhere(), fault, baseline_ms=1.0)
    assert not seen.landed
    assert os.strerror(number) in seen.seen


@pytest.mark.parametrize("number", [*OURS, errno.ETIMEDOUT])
def test_a_sentinel_whose_socket_fails_comes_to_an_end(number: int) -> None:
    """It testifies of nothing, and whoever asks it is not kept waiting."""
    connection = Socket(read=number)
    watching = Sentinel(cast("socket.socket", connection), 1.0)
    connection.fail.set()
    opened: Future[Any] = Future()
    opened.set_result(watching)
    seen = detect.detect_end(opened, SocketKill(), 0)
    assert not seen.landed
    assert os.strerror(number) in seen.seen


@pytest.mark.parametrize("fault", [SocketKill(), BlackHole()])
def test_a_sentinel_that_cannot_ask_testifies_of_nothing(fault: Fault) -> None:
    """Its last question could not be sent, for a reason of ours: that is no silence."""
    opened: Future[Any] = Future()
    opened.set_result(Sentinel(cast("socket.socket", Socket(write=errno.EHOSTUNREACH)), 1.0))
    seen = detect.detect_end(opened, fault, 0)
    assert not seen.landed
    assert os.strerror(errno.EHOSTUNREACH) in seen.seen


def test_an_end_that_is_never_read_is_not_waited_for() -> None:
    """The question met a closed connection, and nothing was read of its end: that is told in time."""
    watching = Sentinel(cast("socket.socket", Socket(write=errno.EPIPE)), 1.0)
    with watching, pytest.raises(OSError, match="not seen"):
        watching.end(0.01)


@pytest.mark.parametrize("number", [*OURS, errno.ETIMEDOUT])
def test_a_session_whose_socket_fails_testifies_of_nothing(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even that it is alive."""
    connection = Socket(read=number)
    monkeypatch.setattr(session, "connect", lambda _: connection)
    monkeypatch.setattr(session.PgSession, "log_in", lambda *_: None)
    watching = SessionSentinel(DOOR)
    connection.fail.set()
    with watching, pytest.raises(OSError, match=os.strerror(number)):
        watching.end(1.0)


def test_a_read_that_the_system_gave_up_is_no_patience_of_ours() -> None:
    """ETIMEDOUT ends a connection; "nothing until then" does not."""
    connection = Socket(read=errno.ETIMEDOUT)
    connection.fail.set()
    with pytest.raises(TimeoutError):
        raw_socket.receive(cast("socket.socket", connection), 0)


@pytest.mark.parametrize(
    ("number", "seen"),
    [(errno.ECONNREFUSED, "refused"), (errno.ETIMEDOUT, "silence"), (errno.ECONNRESET, "reset")],
)
def test_what_a_session_sees_instead_of_itself(
    number: int, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusal, silence and an end are what the other side does."""
    monkeypatch.setattr(session, "connect", failing(number))
    with pytest.raises(LoginFailedError) as instead, session.pg_session(DOOR.address, DOOR.login):
        pass
    assert instead.value.event.seen == seen


@pytest.mark.parametrize("number", OURS)
def test_probes_of_contracts_fail_by_name(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract does not hold, for the reason that the system gave: on the wire and at the server."""
    wire = cast("Proxy", SimpleNamespace(host="127.0.0.1", port=1))
    fault = cast("Fault", SimpleNamespace(contract=SocketKill().contract, inject=id, heal=id))
    monkeypatch.setattr("brokenpipe.drive.observers.socket_observers.connect", failing(number))
    monkeypatch.setattr(session, "connect", failing(number))
    on_wire = certificate._observe(fault, "idle", wire, wire)
    at_server = observe_at_server(fault, wire, DOOR)
    assert os.strerror(number) in str(on_wire)
    assert any(os.strerror(number) in str(seen) for seen in at_server.values())
