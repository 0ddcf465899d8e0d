"""A cookie jar that works only where there are cookies: it saves about what the tracking of a request costs.

The jar of the standard library takes locks, reads clocks and walks through itself for each request, though it is
empty and the response sets nothing: a quarter of the Python code that FastHttpUser runs for a request.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

from locust.contrib.fasthttp import FastHttpSession


class _SparingCookieJar(CookieJar):
    """A jar that leaves requests alone as long as it is empty, and responses that set no cookie."""

    def add_cookie_header(self, request: Any) -> None:
        if self._cookies:  # type: ignore[attr-defined]  # typeshed does not have it; len() would walk through all
            super().add_cookie_header(request)

    def extract_cookies(self, response: Any, request: Any) -> None:
        headers = response.info()
        if "set-cookie" in headers or "set-cookie2" in headers:
            super().extract_cookies(response, request)


def skip_without_cookies(session: FastHttpSession) -> None:
    """Make the session's cookie jar do nothing where there is nothing to do. A jar of another class stays as it is."""
    if type(session.cookiejar) is CookieJar:
        session.cookiejar.__class__ = _SparingCookieJar
