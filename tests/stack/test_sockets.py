"""Sockets of a namespace, read from outside: real ones, of this process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from brokenpipe.stack.bypass_detector import BypassDetector, read_connections
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.processes.process import Child, child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/PID/net")

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.create_server((LOOPBACK, 0))) as found:
        yield found


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Child]:
    """One in our own namespace."""
    with child("sleep", ["sleep", "60"], log_path=tmp_path / "log", janitor=NoJanitor()) as running:
        yield running


def _connect(listener: socket.socket) -> Ends:
    ours = socket.create_connection(listener.getsockname())
    return ours, listener.accept()[0]


def _open_and_close(listener: socket.socket) -> None:
    """As a driver does: the client first, which the kernel remembers."""
    for end in _connect(listener):
        end.close()


def test_an_address_is_itself_in_either_table(listener: socket.socket) -> None:
    """A client that speaks IPv6 and means an IPv4 address is in the other table."""
    host, port = listener.getsockname()
    with socket.socket(socket.AF_INET6) as mapped, socket.create_connection((host, port)):
        mapped.connect((f"::ffff:{host}", port))
        found = read_connections(os.getpid(), [(host, port)])
        assert found is not None
        assert sorted((state, len(ours)) for state, (ours, _) in found) == [("01", 13), ("01", 37)]


def test_open_ones_count_and_so_do_those_that_were_closed(listener: socket.socket, service: Child) -> None:
    """Each as long as it is open; one that came and went between two calls once; what was before, never."""
    detector = BypassDetector(frozenset({listener.getsockname()}), {"plain": service})
    _open_and_close(listener)
    assert detector() == {"plain": 0}, "closed before the first call"
    ours, theirs = _connect(listener)
    with theirs, ours:  # ours is closed first
        assert detector() == {"plain": 1}
        _open_and_close(listener)
        assert detector() == {"plain": 2}
        assert detector() == {"plain": 1}
    assert detector() == {"plain": 1}
    assert detector() == {"plain": 0}


def test_of_others_nothing_is_known(listener: socket.socket, service: Child) -> None:
    """Other places are no business of ours, and a process that has ended has no sockets."""
    detector = BypassDetector(frozenset({("192.0.2.1", 5432)}), {"plain": service})
    ours, theirs = _connect(listener)
    with ours, theirs:
        assert detector() == {"plain": 0}
        service.kill()
        service.popen.wait()
        assert detector() == {"plain": None}
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    assert read_connections(gone.pid, [listener.getsockname()]) is None
