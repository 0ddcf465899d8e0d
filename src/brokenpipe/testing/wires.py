"""A wire: a fresh database behind a proxy of its own, which a test breaks by calls that have seen what they did.

your code ──▶ wire.dsn = a proxy of this wire's own ──▶ a database of this wire's own, on a shared server
                   │
                   └── faults, and a raw socket that must see each of them
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from brokenpipe.drive.raw_postgres.raw_socket import OwnSocket, noting_own_sockets
from brokenpipe.errors import BrokenpipeError, FaultNotSeen, UsageError
from brokenpipe.faults import Fault
from brokenpipe.faults.base import How
from brokenpipe.faults.contract import STEADY
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.testing.connections import ConnectionLog, WireConnection
from brokenpipe.testing.either_context import EitherContext
from brokenpipe.testing.fault_calls import KILL, call_names, call_text, kind_of_call, parse_call
from brokenpipe.testing.observing import (
    measure_baseline,
    observe_commit,
    observe_healed,
    observe_held,
    observe_strike,
)
from brokenpipe.testing.timeline import WireAct, timeline

ENDED_WITHIN_S = 3.0  # of all connections that a strike ends; measured: 5 ms
KEPT = 8  # wires that are closed, for the report of the test that used them

_open: list[Wire] = []
_closed: deque[Wire] = deque(maxlen=KEPT)


class Wire:
    """A fresh database of its own behind a proxy of its own. Made by `wire`.

    `dsn` and `url` lead through the proxy; `direct_dsn` leads past it, to look at the database of a broken wire.

    Every installed fault (docs/faults.md) is a method of its own name, with its own parameters as keyword arguments.
    One that is over at once is a call; one that is held is a context manager, for `with` and `async with`:

        wire.kill(how="reset")                 every open connection ends; later ones live
        wire.backend_kill()                    the server ends every session of this database
        with wire.latency(ms=50): ...          answers are 50 ms late
        with wire.black_hole(): ...            nothing is answered any more
        with wire.idle_reset(after_ms=200): ...
        with wire.refuse(): ...

    A call returns when a raw socket through this proxy has seen that the fault took effect, and a block ends when one
    has seen that it is healed. Raises FaultNotSeen if none did; UsageError for parameters that are wrong, and, when
    the wire is closed, for a held fault that no `with` has entered; AttributeError for a name that is no fault.

    Faults of the whole server (`server_restart`, `server_pause`, `server_setting`) hit other wires of the server, too.

    A wire is not for use by several threads at once; the code under test may use as many as it likes.
    """

    def __init__(self, proxy: Proxy, database: Database, log: ConnectionLog) -> None:
        self._proxy = proxy
        self._database = database
        self._log = log
        self._own: list[OwnSocket] = []
        self._acts: list[WireAct] = []
        self._made: list[tuple[str, EitherContext[None]]] = []
        self._held: list[Fault] = []
        self._remembered: tuple[WireConnection, ...] | None = None
        self.closed_ns: int | None = None
        """When it was closed (time.monotonic_ns); None: it is open."""

    def __repr__(self) -> str:
        return f"<Wire to {self.database} at {self.host}:{self.port}>"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *call_names()})

    # --- where it is ----------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        """The proxy's address."""
        return self._proxy.host

    @property
    def port(self) -> int:
        """The proxy's port. It stays the same, whatever faults do."""
        return self._proxy.port

    @property
    def user(self) -> str:
        """The role that owns the database: no superuser, and it may create databases (as Django's tests do)."""
        return self._database.user

    @property
    def password(self) -> str:
        """The role's password, made for this wire. It is in no report and no representation."""
        return self._database.password

    @property
    def database(self) -> str:
        """The name of the database, which is empty at first."""
        return self._database.name

    @property
    def dsn(self) -> str:
        """A connection string through the proxy: `postgresql://user:password@host:port/database`."""
        return self.url("postgresql")

    @property
    def direct_dsn(self) -> str:
        """The same past the proxy, straight to the server: no fault of the wire concerns it."""
        return self._database.dsn()

    def url(self, driver: str) -> str:
        """The same as `dsn` for SQLAlchemy, with the name of a driver, such as `postgresql+asyncpg`."""
        return f"{driver}://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    # --- what is on it --------------------------------------------------------------------------------

    @property
    def connections(self) -> tuple[WireConnection, ...]:
        """The connections that are open, as the proxy sees them, the oldest first; not those of the wire's own sockets.

        A connection that its client has closed a moment ago may still be among them.
        """
        return tuple(each for each in self._all_connections() if each.ended_ns is None)

    def timeline(self, since_ns: int | None = None) -> str:
        """Acts, and beginnings and ends of connections, a line each, in milliseconds since a moment.

        `since_ns` is of time.monotonic_ns; by default all is shown, from the first event on. Without secrets.
        """
        connections = self._all_connections()
        first = min((*(act.t_ns for act in self._acts), *(each.began_ns for each in connections)), default=0)
        return "\n".join(timeline(self._acts, connections, first if since_ns is None else since_ns))

    def _all_connections(self) -> tuple[WireConnection, ...]:
        if self._remembered is not None:
            return self._remembered
        return tuple(_of_others(self._log.of_proxy(self._proxy.name), self._own))

    # --- what is done to it ---------------------------------------------------------------------------

    def kill(self, how: How = "reset") -> None:
        """End every open connection, by RST (`how="reset"`) or by FIN (`how="fin"`). Later ones live, none is refused.

        Raises FaultNotSeen if a raw socket, or a connection that was open, did not end so within 3 s.
        """
        self._strike(KILL, {"how": how})

    def latency(self, **parameters: Any) -> EitherContext[None]:
        """Delay every answer: `ms` (1 to 10,000), `jitter_ms` (up and down), `direction` (downstream or upstream)."""
        return self._hold("latency", parameters)

    def black_hole(self) -> EitherContext[None]:
        """Swallow every byte in both directions, and end no connection. Connections that were in it end afterwards."""
        return self._hold("black_hole", {})

    def idle_reset(self, **parameters: Any) -> EitherContext[None]:
        """End each connection whose client is silent for `after_ms` (50 to 590,000).

        `how`: reset or fin; `when`: at_once or next_packet. Entering and leaving take `after_ms` each: a raw socket has
        to be silent for as long.
        """
        return self._hold("idle_reset", parameters)

    def refuse(self) -> EitherContext[None]:
        """Close every connection and refuse new ones, as a server does that is down."""
        return self._hold("refuse", {})

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Every other fault by its name."""
        if name.startswith("_"):
            raise AttributeError(name)
        kind = kind_of_call(name)
        act = self._strike if kind.momentary and not kind.deferred else self._hold
        return lambda **parameters: act(name, parameters)

    def close(self) -> None:
        """Heal what is still held, and remember what happened, for the report of a test.

        Raises UsageError for a fault that was made and never entered, StackError if a fault could not be healed.
        """
        self._remembered = self._all_connections()
        self.closed_ns = time.monotonic_ns()
        for fault in reversed(tuple(self._held)):  # entered, and its block never left
            self._heal(fault)
        if forgotten := [text for text, made in self._made if not made.entered]:
            raise UsageError(
                f"wire.{forgotten[0]} was made and never entered, so nothing happened: "
                f"write `with wire.{forgotten[0]}:` around what is to meet it"
            )

    def _strike(self, name: str, parameters: dict[str, Any]) -> None:
        fault = parse_call(name, parameters)
        text = call_text(name, parameters)
        with noting_own_sockets(self._own), self._ending(fault):
            before = self.connections
            self._note(text)
            seen = observe_strike(self._proxy, fault, partial(fault.inject, self._proxy))
            if fault.contract.idle.seen not in STEADY | {"delayed"}:
                self._await_ends(fault, before)
        self._note(f"{text}: a raw socket saw {seen}")

    def _await_ends(self, fault: Fault, before: tuple[WireConnection, ...]) -> None:
        """Until all connections that a strike has found have ended, as the proxy sees them."""
        started = {(each.port, each.began_ns) for each in before}

        def left() -> set[tuple[int, int]]:
            return started & {(each.port, each.began_ns) for each in self.connections}

        if not poll(lambda: None if left() else True, timeout_s=ENDED_WITHIN_S, every_s=0.002):
            raise FaultNotSeen(
                f"{fault}: {len(left())} of {len(before)} connections were still open {ENDED_WITHIN_S:g} s later"
            )

    def _hold(self, name: str, parameters: dict[str, Any]) -> EitherContext[None]:
        fault, text = parse_call(name, parameters), call_text(name, parameters)
        made = EitherContext(self._holding(fault, text))
        self._made.append((text, made))
        return made

    @contextmanager
    def _holding(self, fault: Fault, text: str) -> Iterator[None]:
        self._refuse_twice(fault, text)
        with ExitStack() as undo:
            undo.enter_context(self._ending(fault))
            with noting_own_sockets(self._own):
                baseline_ms, since_ns = measure_baseline(self._proxy, fault), time.monotonic_ns()
                self._held.append(fault)
                undo.callback(self._heal, fault)
                self._note(text)
                fault.inject(self._proxy)
                if not fault.deferred:
                    self._note(f"{text}: a raw socket saw {observe_held(self._proxy, fault, baseline_ms)}")
            try:
                yield
                if fault.deferred:
                    self._note(f"{text}: {observe_commit(self._proxy, fault, since_ns)}")
            except BaseException as error:
                self._heal_behind(error, fault, text, baseline_ms)
                raise
            self._heal_and_see(fault, text, baseline_ms)

    def _heal_behind(self, error: BaseException, fault: Fault, text: str, baseline_ms: float | None) -> None:
        """Heal after an error in the block, which stays the one that a test fails by."""
        try:
            self._heal_and_see(fault, text, baseline_ms)
        except BrokenpipeError as problem:
            error.add_note(f"The wire was not healed either: {problem.message}")

    def _heal_and_see(self, fault: Fault, text: str, baseline_ms: float | None) -> None:
        self._heal(fault)
        with noting_own_sockets(self._own):
            observe_healed(self._proxy, fault, baseline_ms)
        self._note(f"{text} is over, as a raw socket saw")

    def _heal(self, fault: Fault) -> None:
        if fault in self._held:
            self._held.remove(fault)
            fault.heal(self._proxy)

    def _refuse_twice(self, fault: Fault, text: str) -> None:
        """The inner one of two would heal the outer one."""
        for other in self._held:
            if other.name == fault.name and _changed(fault) & _changed(other):
                raise UsageError(f"wire.{text}: {other} is held already, and both would be healed at once")

    @contextmanager
    def _ending(self, fault: Fault) -> Iterator[None]:
        """Let connections end in the block as a fault asks, those that are open too."""
        before = self._proxy.ends_by_reset
        wanted = before if fault.ending is None else fault.armed
        if wanted == before:
            yield
            return
        self._proxy.end_by_reset(wanted)
        try:
            yield
        finally:
            self._proxy.end_by_reset(before)

    def _note(self, text: str) -> None:
        self._acts.append(WireAct(time.monotonic_ns(), text))


def _changed(fault: Fault) -> set[object]:
    """What a fault changes, and its end back: toxics of the proxy, a setting of the server, or the whole of it."""
    return {toxic.name for toxic in fault.toxics()} or {fault.parameters.get("setting", fault.name)}


def _of_others(connections: tuple[WireConnection, ...], own: list[OwnSocket]) -> Iterator[WireConnection]:
    """Connections that are not ours. A port that we have used may later be another client's."""
    left = list(own)
    for each in connections:
        ours = next((o for o in left if o.port == each.port and o.before_ns <= each.began_ns), None)
        if ours is None:
            yield each
        else:
            left.remove(ours)


@contextmanager
def tracked(made: Wire) -> Iterator[Wire]:
    """A wire for as long as the block lasts, known to `wires_since`, and closed after it."""
    _open.append(made)
    try:
        yield made
    except BaseException:
        with _closing(made):
            made._made.clear()  # an error in the block is the one to tell
        raise
    else:
        with _closing(made):
            pass


@contextmanager
def _closing(made: Wire) -> Iterator[None]:
    try:
        yield
        made.close()
    finally:
        _open.remove(made)
        _closed.append(made)


def wires_since(t_ns: int) -> tuple[Wire, ...]:
    """Wires of this process that are open, or were closed after that moment (time.monotonic_ns)."""
    closed = (each for each in _closed if each.closed_ns is not None and each.closed_ns >= t_ns)
    return (*closed, *_open)
