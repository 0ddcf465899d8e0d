"""The witness inside a target's process. It changes nothing, raises nothing, holds nothing alive.

requests          plane: the request, its id, status, the exception that left the application
pools             plane: taking a connection from a pool, errors on it, and how it ends
connections       plane: drivers, for their own pools and for connections that are opened outside of any
planes            which libraries of each plane this process uses
import_hook       runs when the target imports a library that is known, and not before
aggregates        sums over unremarkable requests
pool_sampler      the pool's numbers, four times a second
slow_operations   requests that hang, and where
event_loop        how late the service's event loop runs its timers
pool_state        a driver's pool: its number, what it holds, its limits
connection_info   a driver's connection, until it is closed
opening           opening a connection, and for whom
operations        statements on a driver's connection, and their errors
request_context   the state of the current request, which the others write into
checkout          one connection of a request, from the wait for it to its return
socket_state      a connection's socket: its port, and whether it has ended
exception_chain   an exception and its causes, as data
ndjson_file       the file
system_calls      what asks the kernel, as it was at the start
safe_call         the guard that keeps the witness from raising
patching          wrapping a library's method
"""

from __future__ import annotations

from importlib import import_module
from typing import Callable

INSTRUMENTATIONS = {
    "asyncpg.connection": "connections.asyncpg",
    "asyncpg.pool": "pools.asyncpg",
    "django.core.handlers.exception": "requests.django",
    "django.db.backends.postgresql.base": "pools.django",
    "flask.app": "requests.flask",
    "granian.asgi": "requests.granian:instrument_asgi",
    "granian.wsgi": "requests.granian:instrument_wsgi",
    "gunicorn.workers.base": "requests.gunicorn",
    "gunicorn.workers.gasgi": "requests.gunicorn:instrument_asgi",
    "hypercorn.app_wrappers": "requests.hypercorn",
    "pg8000.core": "connections.pg8000",
    "psycopg.connection_async": "connections.psycopg",
    "psycopg_pool": "pools.psycopg_pool",
    "psycopg2": "connections.psycopg2",
    "psycopg2.pool": "pools.psycopg2",
    "sqlalchemy": "pools.sqlalchemy",
    "uvicorn.config": "requests.uvicorn",
    "waitress.server": "requests.waitress",
    "werkzeug.serving": "requests.werkzeug",
    "wsgiref.simple_server": "requests.wsgiref",
}
"""By the module that the target imports: ours, and its function for it if that is not `instrument`. None of ours is
imported before."""


def start() -> None:
    """Wait for the imports of known libraries. The file is opened at once: it proves that the witness ran."""
    from brokenpipe_witness import ndjson_file, system_calls  # noqa: F401 (before anything can replace them)
    from brokenpipe_witness.import_hook import after_import

    for imported, instrumentation in INSTRUMENTATIONS.items():
        after_import(imported, _instrument(instrumentation))
    ndjson_file.open_file()


def _instrument(name: str) -> Callable[[], None]:
    def instrument() -> None:
        module, _, function = name.partition(":")
        getattr(import_module(f"brokenpipe_witness.{module}"), function or "instrument")()

    return instrument
