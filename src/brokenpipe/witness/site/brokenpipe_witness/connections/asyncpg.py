"""Connections of asyncpg.

Every exchange with the server is a method of `Protocol`, the class in Python on top of the compiled one. A statement is
one of them, or `prepare` and then another.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable

from brokenpipe_witness import socket_state
from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.connection_info import ATTRIBUTE, DriverConnection, record_close
from brokenpipe_witness.opening import Opening, begin_opening, end_opening, fail_opening
from brokenpipe_witness.operations import begin_operation, end_operation, record_error
from brokenpipe_witness.patching import Method, observe, wrap
from brokenpipe_witness.safe_call import never_raises

_EXCHANGES = ("bind_execute", "bind_execute_many", "bind", "execute", "query", "copy_out", "copy_in")


class _Known:
    """A connection and what is known of it. `ending`: commit or rollback, while a transaction ends.

    `prepared`: its statement has begun, and is executed next. `was_dead`: asked when it is closed by this side.
    """

    __slots__ = ("connection", "ending", "info", "prepared", "was_dead")

    def __init__(self, info: DriverConnection, connection: Any) -> None:
        self.info = info
        self.connection = weakref.ref(connection)
        self.ending: str | None = None
        self.prepared = False
        self.was_dead: bool | None = None


_KNOWN: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()


def instrument() -> None:
    """Wrap the methods on the classes. SQLAlchemy's connections are not known here, and pass."""
    from asyncpg import connect_utils
    from asyncpg.connection import Connection
    from asyncpg.connresource import ConnectionResource
    from asyncpg.protocol.protocol import Protocol
    from asyncpg.transaction import Transaction

    wrap(connect_utils, "_connect", _wrap_connect)
    observe(Protocol, "prepare", _begin_prepare, _end_prepare, _fail)
    for name in _EXCHANGES:
        observe(Protocol, name, _begin_exchange, _end_exchange, _fail)
    wrap(Connection, "_check_open", _wrap_check_open)
    for name in ("close", "terminate"):
        observe(Connection, name, _begin_close)
    observe(Connection, "_cleanup", _begin_cleanup)
    wrap(ConnectionResource, "_check_conn_validity", _wrap_check_validity)
    observe(Transaction, "__aexit__", _begin_exit, _end_transaction, _end_transaction)
    for name in ("commit", "rollback"):
        observe(Transaction, name, _begin_ending(name), _end_transaction, _end_transaction)


def info_of(connection: Any) -> DriverConnection | None:
    """What is known of it; None for one of SQLAlchemy's."""
    known = _KNOWN.get(connection)
    return known.info if known is not None else None


def _wrap_connect(real: Method) -> Method:
    async def _connect(*args: Any, **kwargs: Any) -> Any:
        opening = _begin_connect()
        if opening is None:
            return await real(*args, **kwargs)
        try:
            connection = await real(*args, **kwargs)
        except BaseException as error:
            fail_opening(opening, error)
            raise
        _end_connect(opening, connection)
        return connection

    return _connect


@never_raises
def _begin_connect() -> Opening | None:
    return begin_opening()


@never_raises
def _end_connect(opening: Opening, connection: Any) -> None:
    known = _Known(end_opening(opening, connection, "asyncpg"), connection)
    _KNOWN[connection] = known
    setattr(connection._protocol, ATTRIBUTE, known)


_Exchange = tuple[_Known, Checkout, Any]


@never_raises
def _begin_prepare(protocol: Any, _args: Any) -> _Exchange | None:
    known: _Known | None = vars(protocol).get(ATTRIBUTE)
    if known is None:
        return None
    checkout = begin_operation(known.info, known.connection(), _operation(known))
    return None if checkout is None else (known, checkout, protocol)


@never_raises
def _end_prepare(state: _Exchange, _result: Any) -> None:
    known, checkout, _ = state
    known.prepared = True
    end_operation(known.info, checkout)


@never_raises
def _begin_exchange(protocol: Any, args: Any) -> _Exchange | None:
    state = _begin_prepare(protocol, args)
    if state is not None and state[0].prepared:
        known, checkout, _ = state
        known.prepared = False
        if checkout.operation == "statement":
            checkout.statements -= 1  # it was counted when it was prepared
    return state


@never_raises
def _end_exchange(state: _Exchange, _result: Any) -> None:
    known, checkout, protocol = state
    checkout.transaction = checkout.transaction + 1 if protocol.is_in_transaction() else 0
    end_operation(known.info, checkout)


@never_raises
def _fail(state: _Exchange, error: BaseException) -> None:
    known, checkout, _ = state
    known.prepared = False
    end_operation(known.info, checkout)
    record_error(known.info, checkout, error)


def _operation(known: _Known) -> str:
    return "rollback" if known.info.resetting else known.ending or "statement"


def _wrap_check_open(real: Method) -> Method:
    def _check_open(connection: Any) -> None:
        try:
            real(connection)
        except Exception as error:
            _record_closed(connection, error)
            raise

    return _check_open


@never_raises
def _record_closed(connection: Any, error: BaseException) -> None:
    """A statement that was refused before it began: the connection is closed, and asyncpg knows."""
    known = _KNOWN.get(connection)
    checkout = begin_operation(known.info, connection, _operation(known)) if known is not None else None
    if known is not None and checkout is not None:
        end_operation(known.info, checkout)
        record_error(known.info, checkout, error)


@never_raises
def _begin_close(connection: Any, _args: Any) -> None:
    """Asked now: afterwards asyncpg calls it closed, whoever has closed it."""
    known = _KNOWN.get(connection)
    if known is not None and known.was_dead is None:
        known.was_dead = socket_state.is_dead(connection)


@never_raises
def _begin_cleanup(connection: Any, _args: Any) -> None:
    """It has ended: closed by this side, or lost. One that no one used was noticed by the driver itself."""
    known = _KNOWN.get(connection)
    if known is None or known.info.closed:
        return
    info, lost = known.info, known.was_dead is None
    checkout = info.checkout
    if lost and info.incident is None:
        if checkout is None and info.pool is not None and not info.resetting:
            info.incident = "noticed"
        elif checkout is not None and checkout.busy and not info.resetting:
            info.incident = "error"
    record_close(info, connection, lost or bool(known.was_dead))


def _wrap_check_validity(real: Method) -> Method:
    """Transactions, prepared statements and cursors look at their connection themselves."""

    def _check_conn_validity(resource: Any, name: str) -> None:
        try:
            real(resource, name)
        except Exception as error:
            _record_closed(resource._connection, error)
            raise

    return _check_conn_validity


@never_raises
def _begin_exit(transaction: Any, args: Any) -> _Known | None:
    return _begin_ending("commit" if not args or args[0] is None else "rollback")(transaction, args)  # type: ignore[no-any-return]


def _begin_ending(ending: str) -> Callable[[Any, Any], Any]:
    @never_raises
    def begin(transaction: Any, _args: Any) -> _Known | None:
        known = _KNOWN.get(transaction._connection)
        if known is not None and not transaction._nested:
            known.ending = ending
        return known

    return begin


@never_raises
def _end_transaction(known: _Known, _result: Any) -> None:
    known.ending = None
