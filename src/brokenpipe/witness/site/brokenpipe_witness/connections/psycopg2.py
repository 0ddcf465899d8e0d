"""Connections of psycopg2, whose classes are compiled: their methods cannot be wrapped without another type.

What can be seen is `psycopg2.connect`, and the errors that leave the application or are on their way when a connection
is given back: each knows its cursor, and so its connection. Statements are not seen, nor errors that are handled.
"""

from __future__ import annotations

import weakref
from typing import Any

from brokenpipe_witness import request_context
from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.connection_info import DriverConnection
from brokenpipe_witness.opening import Opening, begin_opening, end_opening, fail_opening
from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.request_context import RequestContext
from brokenpipe_witness.safe_call import never_raises

_INFOS: weakref.WeakKeyDictionary[Any, DriverConnection] = weakref.WeakKeyDictionary()
_LONGEST = 8  # exceptions of a chain
_BROKEN = "a connection of psycopg2 that came back broken"  # in what a request keeps


def instrument() -> None:
    """Wrap the function that connects."""
    import psycopg2

    wrap(psycopg2, "connect", _wrap_connect)
    request_context.ERROR_FINDERS.append(record_errors_in)


def info_of(connection: Any) -> DriverConnection | None:
    """What is known of it; None for one of SQLAlchemy's."""
    return _INFOS.get(connection)


def _wrap_connect(real: Method) -> Method:
    def connect(*args: Any, **kwargs: Any) -> Any:
        opening = _begin_connect()
        if opening is None:
            return real(*args, **kwargs)
        try:
            connection = real(*args, **kwargs)
        except BaseException as error:
            fail_opening(opening, error)
            raise
        _end_connect(opening, connection)
        return connection

    return connect


@never_raises
def _begin_connect() -> Opening | None:
    return begin_opening()


@never_raises
def _end_connect(opening: Opening, connection: Any) -> None:
    _INFOS[connection] = end_opening(opening, connection, "psycopg2")
    opening.checkout.statements_ns = None  # they are not seen


def note_broken(request: RequestContext, info: DriverConnection, checkout: Checkout) -> None:
    """A connection has come back broken. An error of the BEGIN before a statement knows no cursor: it is this one's."""
    if request.kept is None:
        request.kept = {}
    request.kept[_BROKEN] = checkout
    info.incident = "error"


@never_raises
def record_errors_in(request: RequestContext, error: BaseException) -> None:
    """Record the driver's error in this chain as one of the connection that it was met on."""
    link: BaseException | None = error
    for _ in range(_LONGEST):
        if link is None:
            return
        if type(link).__module__.startswith("psycopg2") and hasattr(link, "cursor"):
            _record(request, link)
            return
        link = link.__cause__ or link.__context__


def _record(request: RequestContext, error: Any) -> None:
    kept = request.kept or {}
    info = _INFOS.get(error.cursor.connection) if error.cursor is not None else None
    checkout = info.checkout or kept.get(info) if info is not None else kept.get(_BROKEN)
    if request.last_error == id(error) or (info is None and checkout is None):
        return
    if info is not None:
        info.incident = "error"
    port = info.port if info is not None else checkout.port if checkout is not None else None
    request.add_error("statement", error, error, port=port, checkout=checkout)
    request.errors[-1]["statement"] = None  # which one is not known
    request.errors[-1]["transaction"] = None
