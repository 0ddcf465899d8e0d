"""Who may talk to the web UI: a page of its own, and no other page that somebody happens to have open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from brokenpipe.load.web.origin_check import OriginCheck

OURS = "http://127.0.0.1:8089"


def _behind(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What Locust's application does to every answer."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Access-Control-Allow-Origin", "*")])
    return [b"struck"]


def _ask(method: str = "GET", **headers: str) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/swarm", "HTTP_HOST": "127.0.0.1:8089"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    body = b"".join(OriginCheck(_behind, 8089)(environ, lambda *args: told.extend(args)))
    return told[0], dict(told[1]), body


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": OURS},
        {"origin": "http://localhost:8089", "host": "localhost:8089"},
        {"referer": f"{OURS}/?tab=stats"},
    ],
)
def test_our_own_pages_may_post(headers: dict[str, str]) -> None:
    """Our own pages may post; they name themselves by Origin, or at least by Referer."""
    status, _, body = _ask("POST", **headers)
    assert (status, body) == ("200 OK", b"struck")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "https://127.0.0.1:8089"},
        {"origin": "http://127.0.0.1:8089.evil.example"},
        {"origin": "http://127.0.0.1:8089@evil.example"},
        {"origin": "http://[evil"},
        {"origin": "https://evil.example", "referer": f"{OURS}/"},
        {"referer": "https://evil.example/?http://127.0.0.1:8089/"},
        {"origin": OURS, "host": "evil.example:8089"},
        {"origin": "http://evil.example:8089", "host": "evil.example:8089"},
        {"origin": OURS, "host": ""},
    ],
)
def test_no_other_page_may_post(headers: dict[str, str]) -> None:
    """A page of another host, port or scheme, a nameless one, and one that gave 127.0.0.1 its own name, may not."""
    status, _, body = _ask("POST", **headers)
    assert status == "403 Forbidden"
    assert body != b"struck"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "POST"])
def test_every_method_that_can_change_something_is_guarded(method: str) -> None:
    """Whatever is no plain reading has to say where it comes from; so has a browser's question beforehand."""
    assert _ask(method)[0] == "403 Forbidden"


def test_other_pages_may_not_read_either() -> None:
    """Nothing tells a browser that others may read, or put us into a frame and have somebody click there."""
    _, headers, _ = _ask()
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert _ask(origin="https://evil.example")[0] == "403 Forbidden"
    assert _ask(host="evil.example")[0] == "403 Forbidden"
    assert _ask()[0] == "200 OK", "a bookmark and a curl may read"
