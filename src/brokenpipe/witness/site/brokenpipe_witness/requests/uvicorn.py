"""Every application that uvicorn loads, also in a worker of gunicorn."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness import planes
from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.requests import asgi
from brokenpipe_witness.safe_call import never_raises


def instrument() -> None:
    """Wrap the application outside of all middleware."""
    from uvicorn.config import Config

    wrap(Config, "load", _wrap_load)


def _wrap_load(real: Method) -> Method:
    def load(config: Any, *args: Any, **kwargs: Any) -> Any:
        result = real(config, *args, **kwargs)
        _wrap_app(config)
        return result

    return load


@never_raises
def _wrap_app(config: Any) -> None:
    config.loaded_app = asgi.instrumented(config.loaded_app)
    planes.record(planes.REQUESTS, "uvicorn")
