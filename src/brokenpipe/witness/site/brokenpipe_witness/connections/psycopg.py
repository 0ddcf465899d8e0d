"""Connections of psycopg 3, synchronous and asynchronous.

Every exchange with the server goes through `Connection.wait`, which is given a generator; its name tells what it does.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.connection_info import ATTRIBUTE, DriverConnection, record_close
from brokenpipe_witness.opening import Opening, begin_opening, end_opening, fail_opening
from brokenpipe_witness.operations import begin_operation, checkout_of, end_operation, record_error
from brokenpipe_witness.patching import Method, observe, wrap
from brokenpipe_witness.safe_call import never_raises

_IDLE = 0  # TransactionStatus.IDLE
_END = {"_commit_gen": "commit", "_rollback_gen": "rollback"}
_STATEMENTS = frozenset(
    {
        "_execute_gen",
        "_executemany_gen_pipeline",
        "_executemany_gen_no_pipeline",
        "_stream_send_gen",
        "_start_copy_gen",
        "_declare_gen",
    }
)


def instrument() -> None:
    """Wrap the methods on the classes. SQLAlchemy's connections are not known here, and pass."""
    from psycopg._connection_base import BaseConnection
    from psycopg.connection import Connection
    from psycopg.connection_async import AsyncConnection
    from psycopg.transaction import BaseTransaction

    for owner in (Connection, AsyncConnection):
        observe(owner, "connect", _begin_connect, _end_connect, fail_opening)
        observe(owner, "close", _begin_close)
        observe(owner, "wait", _begin_wait, _end_wait, _fail_wait)
    wrap(BaseConnection, "_check_connection_ok", _wrap_check_ok)
    observe(BaseTransaction, "_commit_gen", _begin_commit)
    observe(BaseTransaction, "_rollback_gen", _begin_rollback)


@never_raises
def _begin_connect(_cls: Any, _args: Any) -> Opening | None:
    return begin_opening()


@never_raises
def _end_connect(opening: Opening, connection: Any) -> None:
    setattr(connection, ATTRIBUTE, end_opening(opening, connection, "psycopg"))


@never_raises
def _begin_close(connection: Any, _args: Any) -> None:
    """The end of a connection of no pool; a pool's are recorded where it ends them."""
    info: DriverConnection | None = vars(connection).get(ATTRIBUTE)
    if info is not None and info.pool is None and not connection._closed:
        record_close(info, connection)


_Wait = tuple[DriverConnection, Checkout, Any]


@never_raises
def _begin_wait(connection: Any, args: Any) -> _Wait | None:
    info: DriverConnection | None = vars(connection).get(ATTRIBUTE)
    if info is None or not args:
        return None
    name = args[0].__name__
    if name.startswith("_set_") or (name == "_enter_gen" and "Pipeline" in args[0].__qualname__):
        return None  # nothing is sent
    operation = _END.get(name, "statement")
    checkout = begin_operation(info, connection, operation)
    if checkout is None:
        return None
    if operation == "statement" and name not in _STATEMENTS and checkout.statements > 1:
        checkout.statements -= 1  # it belongs to one that was counted
    return info, checkout, connection


@never_raises
def _end_wait(state: _Wait, _result: Any) -> None:
    info, checkout, connection = state
    in_transaction = connection.pgconn.transaction_status != _IDLE
    checkout.transaction = checkout.transaction + 1 if in_transaction else 0
    end_operation(info, checkout)


@never_raises
def _fail_wait(state: _Wait, error: BaseException) -> None:
    info, checkout, _ = state
    end_operation(info, checkout)
    record_error(info, checkout, error)


def _wrap_check_ok(real: Method) -> Method:
    def _check_connection_ok(connection: Any) -> None:
        try:
            real(connection)
        except Exception as error:
            _record_unusable(connection, error)
            raise

    return _check_connection_ok


@never_raises
def _record_unusable(connection: Any, error: BaseException) -> None:
    """A statement that was refused before it began: the connection is closed, and psycopg knows."""
    info: DriverConnection | None = vars(connection).get(ATTRIBUTE)
    under_way = checkout_of(info) if info is not None else None
    if info is None or (under_way is not None and under_way.busy):
        return  # unknown, or its `wait` will end with this error
    checkout = begin_operation(info, connection, "statement")
    if checkout is not None:
        end_operation(info, checkout)
        record_error(info, checkout, error)


def _mark(transaction: Any, operation: str) -> None:
    """Inside of `wait`: the end of a block sends a COMMIT or a ROLLBACK, if it is the outer one."""
    info: DriverConnection | None = vars(transaction._conn).get(ATTRIBUTE)
    checkout = checkout_of(info) if info is not None else None
    if checkout is not None and checkout.busy and transaction._outer_transaction:
        checkout.operation = operation


@never_raises
def _begin_commit(transaction: Any, _args: Any) -> None:
    _mark(transaction, "commit")


@never_raises
def _begin_rollback(transaction: Any, _args: Any) -> None:
    _mark(transaction, "rollback")
