"""Every application of a server that is made of Python's own, as that of Django's `runserver` is."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.requests import wsgi
from brokenpipe_witness.requests.applications import wrap_application


def instrument() -> None:
    from wsgiref.simple_server import WSGIServer

    wrap_application(WSGIServer, "set_app", "application", wsgi.instrumented, _library)


def _library(server: Any) -> str:
    modules = {kind.__module__ for kind in type(server).__mro__}
    return "django" if "django.core.servers.basehttp" in modules else "wsgiref"
