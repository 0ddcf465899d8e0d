"""What Django turns into an answer itself: the exception, which leaves no application."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.request_context import record_answered


def instrument() -> None:
    """Wrap the one place to which every exception of a view or a middleware comes, sync or async."""
    from django.core.handlers import exception

    wrap(exception, "response_for_exception", _wrap_response)


def _wrap_response(real: Method) -> Method:
    def response_for_exception(request: Any, exc: BaseException) -> Any:
        record_answered(exc)
        return real(request, exc)

    return response_for_exception
