"""The witness inside a target's process. It changes nothing, raises nothing, holds nothing alive.

import_hook       runs when the target imports SQLAlchemy or uvicorn, and not before
asgi              the request: its id, status, the exception that left the app
checkouts         taking a connection from the pool: waiting, pinging, connecting
statements        errors on a connection that a request holds
connections       how connections end: closed, invalidated, found dead by a ping
aggregates        sums over unremarkable requests
pool_sampler      the pool's numbers, four times a second
slow_operations   requests that hang, and where
event_loop        how late the service's event loop runs its timers
repeats           requests that arrive more than once
request_context   the state of the current request, which the others write into
socket_state      a connection's socket: its port, and whether it has ended
exception_chain   an exception and its causes, as data
ndjson_file       the file
safe_call         the guard that keeps the witness from raising
patching          wrapping a library's method
"""


def start() -> None:
    """Wait for the imports of known libraries. The file is opened at once: it proves that the witness ran."""
    from brokenpipe_witness import ndjson_file
    from brokenpipe_witness.import_hook import after_import

    after_import("sqlalchemy", _instrument_sqlalchemy)
    after_import("uvicorn.config", _instrument_uvicorn)
    ndjson_file.open_file()


def _instrument_sqlalchemy() -> None:
    from brokenpipe_witness import checkouts, connections, statements

    checkouts.instrument()
    connections.instrument()
    statements.instrument()


def _instrument_uvicorn() -> None:
    from brokenpipe_witness import asgi

    asgi.instrument()
