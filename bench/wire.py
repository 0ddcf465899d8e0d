"""What the fixture `wire` costs a test: a hundred wires one after the other, each used for one statement.

The next wire is prepared while a test runs, so a test that takes longer than that waits for nothing: both are measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import quantiles

import psycopg

from brokenpipe.testing import PostgresServer, Wire, postgres, wire

WIRES = 100
TEST_S = 0.1  # of a test that does something


def rows(wires: int = WIRES) -> Iterator[str]:
    """A line for the server, for wires in tests of two lengths, and for what calls take."""
    began = time.monotonic()
    with postgres() as server:
        yield f"the server, once a session: {time.monotonic() - began:.1f} s"
        yield _row(f"a wire, tests of {1e3 * TEST_S:.0f} ms", _wires(server, wires, TEST_S))
        yield _row("a wire, tests of one statement", _wires(server, wires, 0.0))
        with wire(server) as used:
            for name, call in _calls(used).items():
                yield _row(name, [_ms(call) for _ in range(wires // 5)])


def _wires(server: PostgresServer, wires: int, test_s: float) -> list[float]:
    return [_wire_ms(server, test_s) for _ in range(wires + 1)][1:]  # the first is not prepared


def _wire_ms(server: PostgresServer, test_s: float) -> float:
    """What a test pays for its wire: before and after it."""
    began = time.monotonic()
    with wire(server) as used:
        ready = time.monotonic()
        psycopg.connect(used.dsn).close()
        time.sleep(test_s)
        over = time.monotonic()
    return 1e3 * (ready - began + time.monotonic() - over)


def _calls(used: Wire) -> dict[str, Callable[[], None]]:
    def latency() -> None:
        with used.latency(ms=10):
            pass

    def refuse() -> None:
        with used.refuse():
            pass

    return {
        "kill()": used.kill,
        "latency(ms=10), entered and left": latency,
        "refuse(), entered and left": refuse,
    }


def _ms(call: Callable[[], None]) -> float:
    began = time.monotonic()
    call()
    return 1e3 * (time.monotonic() - began)


def _row(what: str, took_ms: Sequence[float]) -> str:
    low, middle, high = quantiles(took_ms, n=4)
    return f"{what}: {middle:.1f} ms, half between {low:.1f} and {high:.1f}, of {len(took_ms)}"
