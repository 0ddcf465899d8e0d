"""Failures provoked on real servers with each driver, seen through the witness: their class, and their phase."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.failures.error_classes import chain_of, classify
from brokenpipe.measure.failures.request_stage import operation_of, request_stage
from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.proxy.server import ToxiproxyServer

from .other_drivers import OTHER_DRIVERS, REPAIRED, case_of
from .page import PAGE, page
from .provocation_setup import Ground, standing_on
from .provocations import PROVOCATIONS

CELLS = [
    (name, driver, found)
    for name, (_, expected) in PROVOCATIONS.items()
    for driver, found in expected.cells().items()
    if isinstance(found, ErrorClass)
]


@pytest.fixture(scope="session")
def ground(toxiproxy: ToxiproxyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Servers and services for all of them. A Postgres of their own: other tests end whoever is connected to theirs."""
    folder = tmp_path_factory.mktemp("ground")
    with (
        postgres(log_path=folder / "postgres.log", janitor=NoJanitor()) as database,
        standing_on(database, toxiproxy, folder) as ground,
    ):
        yield ground


@pytest.mark.parametrize(("name", "driver", "found"), CELLS, ids=[f"{n}, {d}" for n, d, _ in CELLS])
def test_a_provoked_failure(ground: Ground, name: str, driver: str, found: ErrorClass) -> None:
    """Its class is what the table says, from what the witness wrote; so is its phase."""
    case, expected = PROVOCATIONS[name]
    line = ground.provoke(case, driver)
    met = line["errors"][-1 if expected.last else 0] if line["errors"] else None
    chain = chain_of(met["chain"] if met else line["raised"])
    doing = met or line["waiting"]
    began = line["began_t"] if (line["status"] or 0) < 400 else None
    phase = request_stage(operation_of(doing) if doing else None, response_began=began)
    assert (classify(chain, met["where"] if met else None), phase) == (found, expected.phase), chain
    assert expected.says.get(driver, "") in " ".join(link.text for link in chain)


OTHER_CELLS = [
    (name, driver, found) for name, (_, _, cells) in OTHER_DRIVERS.items() for driver, found in cells.items()
]


@pytest.mark.parametrize(
    ("name", "driver", "found"), OTHER_CELLS, ids=[f"{n}, {d}" for n, d, _ in OTHER_CELLS]
)
def test_an_end_with_another_driver(ground: Ground, name: str, driver: str, found: ErrorClass | str) -> None:
    """Whoever raises it, and in whatever words: the end of a connection is no application error."""
    case, plays = case_of(name, driver)
    line = ground.provoke(case, plays)
    met = line["errors"][0] if line["errors"] else None
    chain = chain_of(met["chain"] if met else line["raised"])
    if found == REPAIRED:
        assert (line["failed"], line["raised"], line["errors"]) == (False, None, [])
        return
    assert classify(chain, met["where"] if met else None) is found, chain


def test_a_broken_pipe() -> None:
    """What the kernel calls so. None of the three drivers passes it on: libpq and asyncpg notice the end first."""
    with (
        socket.create_server((LOOPBACK, 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        listener.accept()[0].close()
        with pytest.raises(BrokenPipeError) as caught:
            _write_for_long(client)
    link = {"type": "builtins.BrokenPipeError", "errno": caught.value.errno, "text": str(caught.value)}
    assert classify(chain_of([link])) is ErrorClass.BROKEN_PIPE


def _write_for_long(client: socket.socket) -> None:
    for _ in range(1000):
        client.sendall(b"x" * 100_000)


def test_the_page_is_this_table() -> None:
    """docs/error-classes.md says what these tests have seen. To write it anew: python -m tests.pools.page"""
    assert Path(PAGE).read_text(encoding="utf-8") == page()
