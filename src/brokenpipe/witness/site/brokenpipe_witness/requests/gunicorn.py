"""The applications of gunicorn's own workers. Those of others' (uvicorn's) are wrapped where these load them."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.requests import asgi, wsgi
from brokenpipe_witness.requests.applications import wrap_application

_WSGI_WORKERS = {"gunicorn.workers.sync", "gunicorn.workers.gthread", "gunicorn.workers.base_async"}


def instrument() -> None:
    """Wrap what sync, gthread and gevent workers call, in each worker after the fork."""
    from gunicorn.workers.base import Worker

    wrap_application(Worker, "load_wsgi", "wsgi", wsgi.instrumented, _library)


def instrument_asgi() -> None:
    """Wrap what gunicorn's ASGI worker calls."""
    from gunicorn.workers.gasgi import ASGIWorker

    wrap_application(ASGIWorker, "load_wsgi", "asgi", asgi.instrumented, "gunicorn")


def _library(worker: Any) -> str | None:
    is_wsgi = any(kind.__module__ in _WSGI_WORKERS for kind in type(worker).__mro__)
    return "gunicorn" if is_wsgi else None
