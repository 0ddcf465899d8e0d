"""Fixtures for one's own tests: `postgres`, a real server, and `wire`, the connection to it, to be broken.

    postgres   session scope   one server for each process of pytest-xdist
    wire       function scope  a fresh database behind a proxy of its own

A test that fails says in its report what happened on its wires. Every pytest of an environment imports this module:
what it needs is imported when a fixture is asked for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from brokenpipe.testing import PostgresServer, Wire

_SECTION = "What happened on {wire}, in ms since the test began"
_began_ns = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real Postgres of this session (brokenpipe.testing.PostgresServer), started for the first test that asks."""
    from brokenpipe import testing

    starting = testing.postgres()
    with _failing_without_traceback():
        server = starting.__enter__()
    try:
        yield server
    finally:
        starting.__exit__(None, None, None)


@pytest.fixture
def wire(postgres: PostgresServer) -> Iterator[Wire]:
    """A fresh database behind a proxy of its own (brokenpipe.testing.Wire), gone after the test."""
    from brokenpipe import testing

    making = testing.wire(postgres)
    with _failing_without_traceback():
        made = making.__enter__()
    yield made
    with _failing_without_traceback():
        making.__exit__(None, None, None)


@contextmanager
def _failing_without_traceback() -> Iterator[None]:
    """What is missing on this machine, or wrong in a test, is a sentence with its remedy."""
    from brokenpipe.testing import BrokenpipeError

    try:
        yield
    except BrokenpipeError as error:
        lines = (error.message, *(f"  {line}" for line in error.details), error.remedy)
        pytest.fail("\n".join(filter(None, lines)), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add a section for each wire to the report of a test that failed."""
    if call.when == "setup":
        item.stash[_began_ns] = time.monotonic_ns() - round((time.time() - call.start) * 1e9)
    report: pytest.TestReport = yield
    wires = sys.modules.get("brokenpipe.testing.wires")
    if report.failed and wires is not None:
        began_ns = item.stash.get(_began_ns, 0)
        for each in wires.wires_since(began_ns):
            if said := each.timeline(began_ns):
                report.sections.append((_SECTION.format(wire=f"{each.host}:{each.port}"), said))
    return report
