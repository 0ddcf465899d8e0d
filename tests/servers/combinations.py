"""Servers and pools side by side, and what the witness sees of each combination: the table in docs/witness.md.

A new pool is a module in `apps` with the functions that `apps/work.py` names, and rows here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Sight(StrEnum):
    """What may be seen of a combination: a column of the table."""

    REQUESTS = "requests"
    WAITS = "waits"
    STALE_OR_IN_USE = "stale / in use"
    MASKED = "masked"
    SLOTS_LOST = "slots lost"


ALONE = "one request at a time: none waits for another's connection"
BLOCKS = "psycopg2 blocks all greenlets: none waits for another's connection"
RAISES = "a full pool raises at once: none waits"
LOOKS_AT_NONE = "the pool looks at no connection"
GIVES_BACK = "Django gives every connection back at the end of a request"


@dataclass(frozen=True)
class Combination:
    """One service: how it is started, what serves it, and why a cell of its row is empty.

    `library` is what the witness calls the server. The words of `command` are filled in with python, host and port.
    `prefix` goes before each path, `streams` means that it has an answer which asks the pool while it is read, and
    `notices` that the driver reads the end of an idle connection, so that no request meets it.
    """

    server: str
    interface: str
    pool: str
    pool_module: str
    library: str
    command: tuple[str, ...]
    prefix: str = ""
    streams: bool = False
    websockets: bool = False
    notices: bool = False
    unseen: dict[Sight, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.server}, {self.interface}, {self.pool}"

    @property
    def is_concurrent(self) -> bool:
        return self.unseen.get(Sight.WAITS) not in {ALONE, BLOCKS, RAISES}


def _module(*words: str) -> tuple[str, ...]:
    return ("{python}", "-m", *words)


_BIND = ("--bind", "{host}:{port}")
_HOST_PORT = ("--host", "{host}", "--port", "{port}")
_GUNICORN = ("gunicorn", *_BIND, "--graceful-timeout", "1")
_GRANIAN = ("granian", *_HOST_PORT, "--workers", "1", "--interface")


_SQLALCHEMY = {"pool_module": "sqlalchemy_pool"}
_PSYCOPG_POOL = {"pool": "psycopg_pool", "pool_module": "psycopg_pools"}
_ASYNCPG_POOL = {"pool": "asyncpg.Pool", "pool_module": "asyncpg_pools", "notices": True}
_PSYCOPG2_POOL = {
    "pool": "psycopg2.pool",
    "pool_module": "psycopg2_pools",
    "unseen": {Sight.WAITS: RAISES, Sight.MASKED: LOOKS_AT_NONE},
}
_DJANGO = {
    "pool": "Django's own, psycopg",
    "pool_module": "django_connections",
    "unseen": {Sight.WAITS: ALONE, Sight.SLOTS_LOST: GIVES_BACK},
}


def _asgi(server: str, library: str, *command: str, **more: Any) -> Combination:
    how: dict[str, Any] = {"pool": "SQLAlchemy, asyncpg", "websockets": True} | _SQLALCHEMY | more
    return Combination(server, "ASGI", library=library, command=_module(*command), **how)


def _wsgi(server: str, library: str, *command: str, **more: Any) -> Combination:
    how: dict[str, Any] = {"pool": "SQLAlchemy, psycopg2", "streams": True} | _SQLALCHEMY | more
    return Combination(server, "WSGI", library=library, command=_module(*command), **how)


COMBINATIONS = (
    _asgi("uvicorn", "uvicorn", "uvicorn", "asgi:app", *_HOST_PORT),
    _asgi("uvicorn", "uvicorn", "uvicorn", "asgi:app", *_HOST_PORT, **_PSYCOPG_POOL),
    _asgi("uvicorn", "uvicorn", "uvicorn", "asgi:app", *_HOST_PORT, **_ASYNCPG_POOL),
    _asgi("hypercorn", "hypercorn", "hypercorn", *_BIND, "asgi:app"),
    _asgi(
        "hypercorn, trio", "hypercorn", "hypercorn", "--worker-class", "trio", *_BIND, "asgi:app",
        pool="SQLAlchemy, psycopg2",
    ),
    _asgi("granian", "granian", *_GRANIAN, "asgi", "asgi:app"),
    _asgi("gunicorn, uvicorn-worker", "uvicorn", *_GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "asgi:app"),
    _asgi("gunicorn, asgi", "gunicorn", *_GUNICORN, "-k", "asgi", "asgi:app"),
    _asgi("Django on uvicorn", "uvicorn", "uvicorn", "django_app:asgi", *_HOST_PORT, prefix="/async", websockets=False),
    _wsgi("gunicorn, sync", "gunicorn", *_GUNICORN, "-k", "sync", "wsgi:app", unseen={Sight.WAITS: ALONE}),
    _wsgi("gunicorn, gthread", "gunicorn", *_GUNICORN, "-k", "gthread", "--threads", "4", "wsgi:app"),
    _wsgi("gunicorn, gthread", "gunicorn", *_GUNICORN, "-k", "gthread", "--threads", "4", "wsgi:app", **_PSYCOPG2_POOL),
    _wsgi("Django on gunicorn, sync", "gunicorn", *_GUNICORN, "-k", "sync", "django_app:wsgi", **_DJANGO),
    _wsgi("gunicorn, gthread, preload", "gunicorn", *_GUNICORN, "--preload", "--threads", "4", "wsgi:app"),
    _wsgi("gunicorn, gevent", "gunicorn", *_GUNICORN, "-k", "gevent", "wsgi:app", unseen={Sight.WAITS: BLOCKS}),
    _wsgi("granian", "granian", *_GRANIAN, "wsgi", "--blocking-threads", "4", "wsgi:app"),
    _wsgi("hypercorn", "hypercorn", "hypercorn", *_BIND, "wsgi:app"),
    _wsgi("uvicorn", "uvicorn", "uvicorn", "wsgi:app", "--interface", "wsgi", *_HOST_PORT),
    _wsgi("waitress", "waitress", "wsgi", "waitress", "{host}", "{port}"),
    _wsgi("wsgiref", "wsgiref", "wsgi", "wsgiref", "{host}", "{port}", unseen={Sight.WAITS: ALONE}),
    _wsgi("Flask's own (Werkzeug)", "werkzeug", "flask", "--app", "flask_app", "run", *_HOST_PORT),
    _wsgi("Flask on gunicorn, gthread", "gunicorn", *_GUNICORN, "--threads", "4", "flask_app:app"),
    _wsgi("Django's own (runserver)", "django", "django_app", "{host}:{port}"),
    _wsgi("Django on waitress", "waitress", "waitress", *_HOST_PORT, "django_app:wsgi"),
)  # fmt: skip
"""Every row of the table."""
