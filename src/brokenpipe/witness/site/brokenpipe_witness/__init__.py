"""The witness inside a target's process. It changes nothing, raises nothing, holds nothing alive.

after_import   wakes up when the target imports SQLAlchemy or uvicorn, and not before
asgi           the request around everything: its id, status, the exception that left the app
checkouts      taking a connection from the pool: waiting, pinging, connecting
statements     what went wrong on a connection that a request held
lives          how connections end: closed, invalidated, found dead by a ping
tally          the requests with nothing to tell, added up
gauge          the pool's numbers, four times a second
stalls         requests that hang, and where
event_loop     how late the service's event loop runs what is due
arrivals       requests that arrive more than once
scene          what is going on in the current request; the others write into it
wire, chain    a connection's socket; an exception and its causes
tape, quiet    the file; and the promise not to raise
"""


def begin() -> None:
    """Wait for the imports that matter. A target that never makes them gets a file that says that it was looked at."""
    from brokenpipe_witness import tape
    from brokenpipe_witness.after_import import after_import

    after_import("sqlalchemy", _watch_sqlalchemy)
    after_import("uvicorn.config", _watch_uvicorn)
    tape.open_now()


def _watch_sqlalchemy() -> None:
    from brokenpipe_witness import checkouts, lives, statements

    checkouts.watch()
    lives.watch()
    statements.watch()


def _watch_uvicorn() -> None:
    from brokenpipe_witness import asgi

    asgi.watch()
