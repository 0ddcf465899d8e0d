"""What goes wrong on a connection that a request holds: in a statement, a commit or a roll-back."""

from __future__ import annotations

from typing import Any, Callable

from brokenpipe_witness import wire
from brokenpipe_witness.chain import describe
from brokenpipe_witness.lives import Life, is_cancelled, life_of
from brokenpipe_witness.quiet import quietly
from brokenpipe_witness.scene import SCENE, UNDER_WAY, Checkout
from brokenpipe_witness.tape import now
from brokenpipe_witness.wrap import Method, wrap


def watch() -> None:
    """Listen on every engine of the process.

    Wrapped, and not listened to, is what happens at every statement: with one listener on engines' events,
    SQLAlchemy prepares all of them for each connection, which was a third of what the witness cost.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Connection, Engine

    event.listen(Engine, "handle_error", _on_error)
    wrap(Connection, "_execute_context", _noting("statement"))
    wrap(Connection, "_commit_impl", _noting("commit"))
    wrap(Connection, "_rollback_impl", _noting("rollback"))


def _noting(act: str) -> Callable[[Method], Method]:
    """A wrap that takes down what a connection is about to do, and that it is done."""

    def around(real: Method) -> Method:
        def method(connection: Any, *args: Any, **kwargs: Any) -> Any:
            checkout = _began(connection, act)
            if checkout is None:
                return real(connection, *args, **kwargs)
            try:
                result = real(connection, *args, **kwargs)
                checkout.transaction = checkout.transaction + 1 if act == "statement" else 0
                return result
            finally:
                checkout.busy = False

        return method

    return around


@quietly
def _began(connection: Any, act: str) -> Checkout | None:
    life = _life_under(connection)
    checkout = life.checkout if life is not None else None
    if checkout is not None:
        checkout.act = act
        if act == "statement":
            checkout.statements += 1
        # Two microseconds that tell a statement that met a dead connection from one that died under way.
        checkout.act_dead = wire.is_dead(connection._dbapi_connection.dbapi_connection)
        checkout.act_began = now()
        checkout.busy = True
    return checkout


@quietly
def _on_error(context: Any) -> None:
    """Called for every error that SQLAlchemy handles, before it is raised; also for a ping that failed."""
    if context.is_pre_ping or UNDER_WAY.get() is not None:
        return  # the checkout under way sees it end
    scene = SCENE.get()
    error = context.original_exception
    described = context.sqlalchemy_exception or error
    if context.connection is None:
        if scene is not None and scene.last_error == id(
            error
        ):  # a connect that failed, now in SQLAlchemy's words
            scene.errors[-1].update(chain=describe(described), disconnect=context.is_disconnect)
        return
    life = _life_under(context.connection)
    if life is not None:
        life.trouble = "cancelled" if is_cancelled(error) else "error"
    if scene is not None:
        checkout = life.checkout if life else None
        told = context.statement is not None or context.execution_context is not None or checkout is None
        scene.add_error(
            "statement" if told else checkout.act,
            error,
            described,
            port=life.port if life else None,
            began=checkout.act_began if checkout else None,
            checkout=checkout,
            disconnect=context.is_disconnect,
        )


def _life_under(connection: Any) -> Life | None:
    """The life of what a Connection holds; its public properties would reconnect if it is invalid."""
    return life_of(getattr(getattr(connection, "_dbapi_connection", None), "_connection_record", None))
