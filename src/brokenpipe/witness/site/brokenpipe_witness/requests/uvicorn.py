"""Every application that uvicorn loads, outside of all middleware; also in a worker of gunicorn."""

from __future__ import annotations

from brokenpipe_witness.requests import asgi
from brokenpipe_witness.requests.applications import wrap_application


def instrument() -> None:
    from uvicorn.config import Config

    wrap_application(Config, "load", "loaded_app", asgi.instrumented, "uvicorn")
