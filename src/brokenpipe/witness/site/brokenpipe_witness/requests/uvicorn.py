"""Every application that uvicorn loads, outside of all middleware; also in a worker of gunicorn.

One of WSGI is wrapped inside of uvicorn's adapter, which calls it in threads that know nothing of the ASGI request.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.patching import Method
from brokenpipe_witness.requests import asgi, wsgi
from brokenpipe_witness.requests.applications import wrap_application


def instrument() -> None:
    from uvicorn.config import Config

    wrap_application(Config, "load", "loaded_app", asgi.instrumented, _asgi_library)
    wrap_application(Config, "load", "loaded_app", _with_wsgi_instrumented, _wsgi_library)


def _asgi_library(config: Any) -> str | None:
    return None if config.interface == "wsgi" else "uvicorn"


def _wsgi_library(config: Any) -> str | None:
    return "uvicorn" if config.interface == "wsgi" else None


def _with_wsgi_instrumented(app: Method, library: str) -> Method:
    adapter: Any = app
    while not type(adapter).__name__.endswith("WSGIMiddleware"):
        adapter = adapter.app  # the adapter lies below uvicorn's own middleware
    adapter.app = wsgi.instrumented(adapter.app, library)
    return app
