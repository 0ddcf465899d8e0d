"""What Flask turns into an answer itself: the exception, which leaves no application."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.request_context import record_answered


def instrument() -> None:
    """Wrap the place to which every exception comes that no handler of the application has taken."""
    from flask.app import Flask

    wrap(Flask, "handle_exception", _wrap_handling)


def _wrap_handling(real: Method) -> Method:
    def handle_exception(app: Any, e: Exception) -> Any:
        record_answered(e)
        return real(app, e)

    return handle_exception
