"""Django's persistent connections (CONN_MAX_AGE, CONN_HEALTH_CHECKS): a connection of psycopg 3 for each thread.

The driver's own instrumentation records it as one of no pool: the first use by a request is its checkout. Here is what
only Django does with it: a health check is a ping, and one that is too old is closed. With `pool` in its OPTIONS the
connections are those of psycopg_pool, and none of this applies.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness import planes, socket_state
from brokenpipe_witness.checkout import milliseconds
from brokenpipe_witness.connection_info import ATTRIBUTE, DriverConnection
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.operations import use_kept
from brokenpipe_witness.patching import observe
from brokenpipe_witness.pools import settings
from brokenpipe_witness.request_context import current_request, current_request_id
from brokenpipe_witness.safe_call import never_raises


def instrument() -> None:
    """Wrap the methods on the class of this database."""
    from django.db.backends.postgresql.base import DatabaseWrapper

    observe(DatabaseWrapper, "connect", _begin_connect, _end_connect)
    observe(DatabaseWrapper, "is_usable", _begin_check, _end_check, _end_check)


def _kept_info(wrapper: Any) -> DriverConnection | None:
    """None: there is no connection, or a pool has it, or it is of another driver."""
    info: DriverConnection | None = getattr(wrapper.connection, ATTRIBUTE, None)
    return info if info is not None and info.pool is None else None


@never_raises
def _begin_connect(wrapper: Any, _args: Any) -> Any:
    return wrapper


@never_raises
def _end_connect(wrapper: Any, _result: Any) -> None:
    _record_settings(wrapper.settings_dict)
    info = _kept_info(wrapper)
    if info is not None:
        planes.record(planes.POOLS, "django")
        age_s = wrapper.settings_dict.get("CONN_MAX_AGE")
        info.lifetime_ms = age_s * 1000.0 if age_s else None


_recorded_databases: set[int] = set()  # each connects again and again


@never_raises
def _record_settings(database: Any) -> None:
    """The settings of its connections. A pool's are its option, all of which are numbers and flags or not recorded."""
    if id(database) in _recorded_databases:
        return
    _recorded_databases.add(id(database))
    arguments = {name: database.get(name) for name in ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS")}
    pool = (database.get("OPTIONS") or {}).get("pool")
    if pool:
        plain = isinstance(pool, dict)
        arguments["pool"] = {k: v for k, v in pool.items() if isinstance(v, (int, float))} if plain else True
    settings.record("django", "DATABASES", arguments)


_Check = tuple[DriverConnection, Any, int, bool]


@never_raises
def _begin_check(wrapper: Any, _args: Any) -> _Check | None:
    info = _kept_info(wrapper)
    if info is None:
        return None
    info.pinging = True
    return info, wrapper.connection, now(), socket_state.is_dead(wrapper.connection)


@never_raises
def _end_check(state: _Check, usable: Any) -> None:
    """A check after an error, at the end of a request, finds what that has met already: it masks nothing."""
    info, connection, began, dead = state
    info.pinging = False
    took = now() - began
    if usable is True:
        info.last_used = now()
        request = current_request()
        checkout = use_kept(request, info, connection) if request is not None else None
        if checkout is not None and not checkout.statements:
            checkout.ping_ns = took
    elif usable is False:
        if info.incident is None:
            info.incident = "ping"
        line = {"k": "ping_failed", "t": now(), "port": info.port, "ms": milliseconds(took)}
        write(line | {"id": current_request_id(), "dead": dead})
