"""Every application that waitress serves."""

from __future__ import annotations

from brokenpipe_witness.requests import wsgi
from brokenpipe_witness.requests.applications import wrap_application


def instrument() -> None:
    from waitress.server import BaseWSGIServer

    wrap_application(BaseWSGIServer, "__init__", "application", wsgi.instrumented, "waitress")
