"""Free ports: never twice, and none that an outgoing connection may get before its server has bound it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokenpipe.stack.processes import ports


@pytest.fixture(autouse=True)
def known_anew() -> Iterator[None]:
    ports.ephemeral_ports.cache_clear()
    yield
    ports.ephemeral_ports.cache_clear()


def _told(monkeypatch: pytest.MonkeyPatch, path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", path)


def test_outgoing_connections_get_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come from a range that the kernel names."""
    _told(monkeypatch, tmp_path / "range", "32768\t60999\n")
    found = [ports.free_port() for _ in range(200)]
    assert len(set(found)) == 200
    assert all(ports.LOWEST_PORT <= port < 32_768 for port in found)


@pytest.mark.parametrize("text", [None, "", "1024 65535", "12000 65535", "many"])
def test_where_no_other_is_known_the_kernel_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    """Nobody tells, or there are hardly any others."""
    _told(monkeypatch, tmp_path / "range", text)
    assert ports._candidate() == 0
    assert len({ports.free_port() for _ in range(50)}) == 50


def test_a_port_on_which_somebody_listens_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another is tried."""
    with socket.create_server((ports.LOOPBACK, 0)) as listener, socket.socket() as other:
        other.bind((ports.LOOPBACK, 0))
        free = other.getsockname()[1]
        other.close()
        tried = iter((listener.getsockname()[1], free))
        monkeypatch.setattr(ports, "_candidate", lambda: next(tried))
        assert ports.free_port() == free
