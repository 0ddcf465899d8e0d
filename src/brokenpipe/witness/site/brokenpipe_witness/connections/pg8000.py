"""Connections of pg8000, native and DB-API. It is written in Python: a statement is one of four methods."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness import socket_state
from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.connection_info import ATTRIBUTE, DriverConnection, record_close
from brokenpipe_witness.opening import Opening, begin_opening, end_opening, fail_opening
from brokenpipe_witness.operations import begin_operation, end_operation, record_error
from brokenpipe_witness.patching import observe
from brokenpipe_witness.safe_call import never_raises

_IDLE = b"I"  # as the server says it
_STATEMENTS = ("execute_simple", "execute_unnamed", "execute_named", "prepare_statement")


def instrument() -> None:
    """Wrap the methods on the class of both. SQLAlchemy's connections are not known here, and pass."""
    from pg8000.core import CoreConnection

    observe(CoreConnection, "__init__", _begin_connect, _end_connect, _fail_connect)
    for name in _STATEMENTS:
        observe(CoreConnection, name, _begin_statement, _end_statement, _fail_statement)
    observe(CoreConnection, "close", _begin_close)


_Connect = tuple[Any, Opening]


@never_raises
def _begin_connect(connection: Any, _args: Any) -> _Connect | None:
    opening = begin_opening()
    return None if opening is None else (connection, opening)


@never_raises
def _end_connect(state: _Connect, _result: Any) -> None:
    connection, opening = state
    setattr(connection, ATTRIBUTE, end_opening(opening, connection, "pg8000"))


def _fail_connect(state: _Connect, error: BaseException) -> None:
    fail_opening(state[1], error)


_Statement = tuple[DriverConnection, Checkout, Any]


@never_raises
def _begin_statement(connection: Any, args: Any) -> _Statement | None:
    info: DriverConnection | None = vars(connection).get(ATTRIBUTE)
    if info is None:
        return None
    text = args[0].strip().lower() if args and isinstance(args[0], str) else ""
    checkout = begin_operation(info, connection, text if text in {"commit", "rollback"} else "statement")
    if checkout is None:
        return None
    if text == "begin transaction":
        checkout.statements -= 1  # the DB-API's own, before the first statement
    return info, checkout, connection


@never_raises
def _end_statement(state: _Statement, _result: Any) -> None:
    info, checkout, connection = state
    in_transaction = getattr(connection, "_transaction_status", _IDLE) != _IDLE
    checkout.transaction = checkout.transaction + 1 if in_transaction else 0
    end_operation(info, checkout)


@never_raises
def _fail_statement(state: _Statement, error: BaseException) -> None:
    info, checkout, _ = state
    checkout.statements = (
        checkout.statements or 1
    )  # what opens a transaction is lost with its first statement
    end_operation(info, checkout)
    record_error(info, checkout, error)


@never_raises
def _begin_close(connection: Any, _args: Any) -> None:
    info: DriverConnection | None = vars(connection).get(ATTRIBUTE)
    if info is not None:
        record_close(info, connection, socket_state.is_dead(connection))
