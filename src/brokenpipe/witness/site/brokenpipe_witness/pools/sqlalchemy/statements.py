"""Instrumentation of statements, commits and roll-backs: errors on a connection that a request holds."""

from __future__ import annotations

from typing import Any, Callable

from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.exception_chain import describe
from brokenpipe_witness.ndjson_file import now
from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.pools.sqlalchemy.connections import ConnectionInfo, info_of, is_cancelled
from brokenpipe_witness.request_context import CURRENT_CHECKOUT, CURRENT_REQUEST
from brokenpipe_witness.safe_call import never_raises
from brokenpipe_witness.socket_state import RECENT_NS, is_dead


def instrument() -> None:
    """Listen to every engine of the process.

    Statements are wrapped, because listeners cost more: with one on engines' events, SQLAlchemy prepares all of them
    for each connection, which was a third of the witness's cost.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Connection, Engine

    event.listen(Engine, "handle_error", _on_error)
    wrap(Connection, "_execute_context", _wrap_operation("statement"))
    wrap(Connection, "_commit_impl", _wrap_operation("commit"))
    wrap(Connection, "_rollback_impl", _wrap_operation("rollback"))


def _wrap_operation(operation: str) -> Callable[[Method], Method]:
    """A wrapper that records the beginning and the end of an operation."""

    def around(real: Method) -> Method:
        def method(connection: Any, *args: Any, **kwargs: Any) -> Any:
            checkout = _begin_operation(connection, operation)
            if checkout is None:
                return real(connection, *args, **kwargs)
            try:
                result = real(connection, *args, **kwargs)
                checkout.transaction = checkout.transaction + 1 if operation == "statement" else 0
                return result
            finally:
                checkout.end_operation()

        return method

    return around


@never_raises
def _begin_operation(connection: Any, operation: str) -> Checkout | None:
    info = _info_under(connection)  # none if it is closed, invalid, detached or was never seen
    checkout = info.checkout if info is not None else None
    if checkout is not None:
        began = now()
        checkout.begin_operation(operation, began)
        # This separates a statement on a dead connection from one whose connection died under way.
        if began - checkout.alive_at < RECENT_NS:
            checkout.operation_dead = False
        else:
            checkout.operation_dead = is_dead(connection._dbapi_connection.dbapi_connection)
            checkout.alive_at = 0 if checkout.operation_dead else began
    return checkout


@never_raises
def _on_error(context: Any) -> None:
    """Called for every error that SQLAlchemy handles, before it is raised; also for a ping that failed."""
    if context.is_pre_ping or CURRENT_CHECKOUT.get() is not None:
        return  # the current checkout records it
    request = CURRENT_REQUEST.get()
    error = context.original_exception
    described = context.sqlalchemy_exception or error
    if context.connection is None:
        # A connect that failed: the same error, wrapped by SQLAlchemy.
        if request is not None and request.last_error == id(error):
            request.errors[-1].update(chain=describe(described), disconnect=context.is_disconnect)
        return
    info = _info_under(context.connection)
    if info is not None:
        info.incident = "cancelled" if is_cancelled(error) else "error"
    if request is not None:
        checkout = info.checkout if info else None
        during_statement = context.statement is not None or context.execution_context is not None
        request.add_error(
            "statement" if during_statement or checkout is None else checkout.operation,
            error,
            described,
            port=info.port if info else None,
            began=checkout.operation_began if checkout else None,
            checkout=checkout,
            disconnect=context.is_disconnect,
        )


def _info_under(connection: Any) -> ConnectionInfo | None:
    """The info of a Connection's connection, past its public properties: these would reconnect if it is invalid."""
    fairy = connection._dbapi_connection
    return info_of(fairy._connection_record) if fairy is not None else None
