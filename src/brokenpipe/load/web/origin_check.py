"""A same-origin check for the web UI: only pages that it has served itself, on this machine, may send requests to it.

Locust lets every page of the web read its answers (CORS) and takes a POST from anywhere, so any page open in a browser
could start a load or break a database. This check runs before all routes, Locust's own included:

    Host      one of ours, or it is another name for 127.0.0.1 (DNS rebinding)
    Origin    ours, if a browser names it at all; a POST has to, by Origin or by Referer
    answers   no permission for other origins to read, none to put us into a frame

https://owasp.org/www-community/attacks/csrf   https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Origin
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

Environ = Mapping[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_READS = frozenset({"GET", "HEAD"})
_SECURITY_HEADERS = (
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)


class OriginCheck:
    """A WSGI application in front of another. `port` is where the web UI listens."""

    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if refusal := self.refusal(environ):
            start_response(
                "403 Forbidden", [("Content-Type", "text/plain; charset=utf-8"), *_SECURITY_HEADERS]
            )
            return [f"brokenpipe: {refusal}\n".encode()]

        def answer(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            own = [header for header in headers if not header[0].lower().startswith("access-control-")]
            named = {name.lower() for name, _ in own}
            return start_response(
                status, own + [each for each in _SECURITY_HEADERS if each[0].lower() not in named], *more
            )

        return self._app(environ, answer)

    def refusal(self, environ: Environ) -> str | None:
        """Why this request is not answered; None: it is."""
        host = environ.get("HTTP_HOST", "")
        if host not in self._hosts:
            return f"asked for under the name {host!r}: use http://{min(self._hosts)}"
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and not self._is_ours(origin):
            return f"asked for by a page of {origin}: only pages of this server may"
        if environ.get("REQUEST_METHOD") in _READS or origin is not None:
            return None
        if self._is_ours(environ.get("HTTP_REFERER", "")):
            return None
        return f"who asks for this must say so: send the header Origin: http://{host}"

    def _is_ours(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme == "http" and parts.netloc in self._hosts
