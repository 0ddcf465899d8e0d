"""Every application that granian serves. Its workers are forked: they inherit what is wrapped here before."""

from __future__ import annotations

from typing import Any, Callable

from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.requests import asgi, wsgi
from brokenpipe_witness.safe_call import never_raises


def instrument_asgi() -> None:
    """Wrap each ASGI application where a worker binds it to its server."""
    from granian import asgi as binding  # not yet an attribute of the package

    wrap(binding, "_callback_wrapper", _wrap_binding(asgi.instrumented))


def instrument_wsgi() -> None:
    """The same of WSGI applications."""
    from granian import wsgi as binding

    wrap(binding, "_callback_wrapper", _wrap_binding(wsgi.instrumented))


def _wrap_binding(instrumented: Callable[[Method, str], Method]) -> Callable[[Method], Method]:
    @never_raises
    def instrument_app(app: Method) -> Method | None:
        return instrumented(app, "granian")

    def around(real: Method) -> Method:
        def _callback_wrapper(callback: Any, *args: Any, **kwargs: Any) -> Any:
            return real(instrument_app(callback) or callback, *args, **kwargs)

        return _callback_wrapper

    return around
