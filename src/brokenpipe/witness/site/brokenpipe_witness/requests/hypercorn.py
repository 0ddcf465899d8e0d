"""Every application that hypercorn serves: of ASGI under asyncio and trio, of WSGI in threads."""

from __future__ import annotations

from brokenpipe_witness.requests import asgi, wsgi
from brokenpipe_witness.requests.applications import wrap_application


def instrument() -> None:
    from hypercorn.app_wrappers import ASGIWrapper, WSGIWrapper

    wrap_application(ASGIWrapper, "__init__", "app", asgi.instrumented, "hypercorn")
    wrap_application(WSGIWrapper, "__init__", "app", wsgi.instrumented, "hypercorn")
