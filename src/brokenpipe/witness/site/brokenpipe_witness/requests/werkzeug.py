"""Every application that Werkzeug's own server serves: `flask run`, `app.run()`."""

from __future__ import annotations

from brokenpipe_witness.requests import wsgi
from brokenpipe_witness.requests.applications import wrap_application


def instrument() -> None:
    from werkzeug.serving import BaseWSGIServer

    wrap_application(BaseWSGIServer, "__init__", "app", wsgi.instrumented, "werkzeug")
