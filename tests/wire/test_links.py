"""The server's link log: which connection opened, which ended, and by whom, as the history reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brokenpipe.faults import SocketKill
from brokenpipe.history.reader import open_history
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server

Row = tuple[Any, ...]


@pytest.fixture
def logged(binary: Path, tmp_path: Path) -> Iterator[ToxiproxyServer]:
    """A server that keeps a link log in a report folder."""
    (tmp_path / "experiment.ndjson").touch()
    with toxiproxy_server(
        binary,
        log_path=tmp_path / "toxiproxy.log",
        janitor=NoJanitor(),
        links_path=tmp_path / "links.ndjson",
    ) as running:
        yield running


@pytest.fixture
def told(tmp_path: Path) -> Callable[[str, int], list[Row]]:
    """What a query of the history answers, once it has so many rows."""

    def ask(query: str, count: int) -> list[Row]:
        def answer() -> list[Row] | None:
            with open_history(tmp_path) as history:
                rows = history.rows(query)
            return rows if len(rows) == count else None

        rows = poll(answer, timeout_s=3)
        assert rows is not None, f"never {count} rows: {(tmp_path / 'links.ndjson').read_text()}"
        return rows

    return ask


def test_a_client_finds_its_port_in_the_log(logged, echo, open_socket, told) -> None:
    """Its connection is told with its arm, its own port, and times on the clock that Python reads."""
    before_ns = time.monotonic_ns()
    connection = open_socket(logged.create_proxy("plain", echo))
    port = connection.getsockname()[1]
    between_ns = time.monotonic_ns()
    connection.close()
    ((opened_ns, *opened),) = told("SELECT t, arm, port FROM links_opened", 1)
    ((ended_ns, *ended),) = told("SELECT t, arm, port, ender FROM links_ended", 1)
    assert (opened, ended) == (["plain", port], ["plain", port, "client"])
    assert before_ns < opened_ns < between_ns < ended_ns < time.monotonic_ns()


def test_a_kill_names_its_victims(logged, echo, open_socket, told) -> None:
    """What is struck in one arm is told as cut, by arm and port; the other arm's connection is not."""
    struck, spared = logged.create_proxy("plain", echo), logged.create_proxy("pre_ping", echo)
    victims = [open_socket(struck) for _ in range(3)]
    bystander = open_socket(spared)
    ports = sorted(victim.getsockname()[1] for victim in victims)
    SocketKill().inject(struck)
    query = "SELECT arm, port, toxic, reason FROM links_cut ORDER BY port"
    assert told(query, 3) == [("plain", port, "kill_switch", "killed") for port in ports]
    ended = told("SELECT arm, port, ender FROM links_ended ORDER BY port", 3)
    assert ended == [("plain", port, "toxic") for port in ports]
    bystander.sendall(b"?")
    assert bystander.recv(1) == b"?"


def test_a_restarted_server_goes_on_in_the_same_file(logged, echo, open_socket, told) -> None:
    """Links that die with their server have no end, but the clock of the next one stands after them."""
    proxy = logged.create_proxy("plain", echo)
    first = open_socket(proxy).getsockname()[1]
    logged.restart()
    second = open_socket(proxy).getsockname()[1]
    rows = told(
        "SELECT t, 'clock', NULL FROM clocks UNION ALL SELECT t, arm, port FROM links_opened ORDER BY t", 4
    )
    assert [row[1:] for row in rows] == [
        ("clock", None),
        ("plain", first),
        ("clock", None),
        ("plain", second),
    ]
    assert told("SELECT * FROM links_ended", 0) == []


def test_a_disabled_proxy_ends_its_links(logged, echo, open_socket, told) -> None:
    """Each is told, and that it was not the client."""
    proxy = logged.create_proxy("plain", echo)
    ports = sorted(open_socket(proxy).getsockname()[1] for _ in range(2))
    proxy.refuse()
    rows = told("SELECT arm, port, ender FROM links_ended ORDER BY port", 2)
    assert rows == [("plain", port, "server") for port in ports]
