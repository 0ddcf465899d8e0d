"""The numbers of all pools of this process together, written four times a second from a thread.

The same thread writes the requests that hang in the database, and the sums over unremarkable ones. Once a second it
writes a tick: where one is missing, the process stood still.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from itertools import count
from typing import Any

from brokenpipe_witness import aggregates, slow_operations
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.pool_state import PoolState
from brokenpipe_witness.safe_call import never_raises

EVERY_S = 0.25
TICK_EVERY = 4  # turns

_pools: list[weakref.ref[Any]] = []  # SQLAlchemy's
_states: list[PoolState] = []  # of the pools of drivers
_threads: dict[int, object] = {}  # by process: a fork leaves threads behind


@never_raises
def add_pool(pool: Any) -> None:
    """Sample this pool from now on, without keeping it alive."""
    if hasattr(pool, "checkedout"):  # the others (NullPool) have nothing to count
        _pools.append(weakref.ref(pool, _forget))


def add_state(state: PoolState) -> None:
    """Sample the pool of a driver from now on."""
    _states.append(state)


def totals() -> dict[str, int] | None:
    """Size, idle, out and overflow over all pools; None without a pool.

    The pool of an engine that was disposed of is freed at once, unless a connection of it is still out.
    """
    numbers = [_numbers(pool) for pool in (reference() for reference in tuple(_pools)) if pool is not None]
    numbers += [sample for sample in (state.sample() for state in tuple(_states)) if sample is not None]
    if not numbers:
        return None
    return {name: sum(sample[name] for sample in numbers) for name in numbers[0]}


def start_thread() -> None:
    """Start the thread if it does not run. Called before each connect, so that a fork's child has one too."""
    pid = os.getpid()
    if pid not in _threads and _threads.setdefault(pid, mine := object()) is mine:  # one of several callers
        threading.Thread(target=_sample_forever, name="brokenpipe-witness", daemon=True).start()
        atexit.register(aggregates.flush)


def _sample_forever() -> None:
    for turn in count():
        _write_turn(turn % TICK_EVERY == 0)
        slow_operations.report_slow()
        time.sleep(EVERY_S)  # by its name: gevent may have put another in its place since


@never_raises
def _write_turn(ticks: bool) -> None:
    pid = os.getpid()
    records: list[dict[str, Any]] = [{"k": "tick", "t": now(), "pid": pid}] if ticks else []
    records += _pool_record(pid) or []
    records += aggregates.take()
    if records:
        write(*records)


@never_raises
def _pool_record(pid: int) -> list[dict[str, Any]]:
    """The pools' numbers; none without a pool."""
    numbers = totals()
    return [{"k": "pool", "t": now(), "pid": pid, **numbers, **_limits()}] if numbers is not None else []


def _limits() -> dict[str, float | None]:
    """How many connections the pools may open together (None: no limit), and how long the most patient one waits."""
    pools = [pool for pool in (reference() for reference in tuple(_pools)) if pool is not None]
    beyond = [getattr(pool, "_max_overflow", -1) for pool in pools]
    waits = [getattr(pool, "_timeout", None) for pool in pools]
    endless = any(more < 0 or not pool.size() for pool, more in zip(pools, beyond, strict=True))
    limits = [numbers for numbers in (state.read() for state in tuple(_states)) if numbers is not None]
    waits += [numbers.timeout_s for numbers in limits]
    of_drivers = [numbers.most for numbers in limits]
    endless = endless or None in of_drivers
    most = (
        None if endless else sum(pool.size() for pool in pools) + sum(beyond) + sum(filter(None, of_drivers))
    )
    return {"most": most, "timeout_s": max((wait for wait in waits if wait is not None), default=None)}


def _numbers(pool: Any) -> dict[str, int]:
    return {
        "size": pool.size(),
        "idle": pool.checkedin(),
        "out": max(0, pool.checkedout()),
        "overflow": max(0, pool.overflow()),  # SQLAlchemy counts up from minus the pool's size
    }


def _forget(reference: weakref.ref[Any]) -> None:
    if reference in _pools:
        _pools.remove(reference)
