"""Toxiproxy's HTTP API with every answer checked.

What a status means is known to toxiproxy-python. Requests are sent here: each has a time limit, and no web proxy of
the environment is asked. A start takes some two hundred calls, each an eighth of the processor time of a call of
`requests`, which makes a session for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from toxiproxy.api import validate_response
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from brokenpipe.errors import ProxyError, ProxyHung
from brokenpipe.stack.processes.ports import LOOPBACK

T = TypeVar("T")

CALL_TIMEOUT_S = 2.0  # a call takes 2 to 5 ms; one that hangs behind a stuck connection never returns
_REFUSAL_ERRORS: tuple[type[Exception], ...] = (InvalidToxic, NotFound, ProxyExists)
_HEADERS = {"Content-Type": "application/json"}
_FIRST_ERROR = 400
_SERVICE_UNAVAILABLE = 503  # the server's own handler gave up after 25 s: it is hung


@dataclass(frozen=True, slots=True)
class ToxicState:
    """A toxic as the server reports it."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, int]


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy as the server reports it. `listen` and `upstream` are host:port."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicState, ...]


@dataclass(frozen=True, slots=True)
class _Version:
    version: str


@dataclass(frozen=True, slots=True)
class _Response:
    status_code: int
    content: bytes


_PROXY = TypeAdapter(ProxyState)
_VERSION = TypeAdapter(_Version)


class ToxiproxyApi:
    """Calls to the server on one port of `host`.

    Every method raises ProxyHung when no answer comes in time, and ProxyError when the server cannot be
    reached, refuses, or answers what cannot be understood.
    """

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.host = host
        self.port = port

    def version(self) -> str:
        """The server's version: the cheapest request to see whether it answers."""
        return _parsed(_VERSION, self._call("GET", "/version")).version

    def read_proxy(self, name: str) -> ProxyState:
        """State of a proxy, read from the server."""
        return _parsed(_PROXY, self._call("GET", f"/proxies/{name}"))

    def create_proxy(self, name: str, *, listen: str, upstream: str) -> None:
        """Create a proxy that does not listen yet, so that no client connects before its toxics are there."""
        self._post("/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": False})

    def delete_proxy(self, name: str) -> None:
        """Delete a proxy. Its connections end with it."""
        self._call("DELETE", f"/proxies/{name}")

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Enable or disable a proxy. Disabled, it closes open connections and refuses new ones."""
        self._post(f"/proxies/{name}", {"enabled": enabled})

    def add_toxic(self, proxy: str, toxic: ToxicState) -> None:
        """Add a toxic, for open connections too."""
        body = {
            "name": toxic.name,
            "type": toxic.type,
            "stream": toxic.stream,
            "toxicity": toxic.toxicity,
            "attributes": toxic.attributes,
        }
        self._post(f"/proxies/{proxy}/toxics", body)

    def update_toxic(self, proxy: str, toxic: str, attributes: Mapping[str, int]) -> None:
        """Change the attributes that are named; the others stay."""
        self._post(f"/proxies/{proxy}/toxics/{toxic}", {"attributes": dict(attributes)})

    def delete_toxic(self, proxy: str, toxic: str) -> None:
        """Delete a toxic, from open connections too: never while something may block in it, or the server hangs."""
        self._call("DELETE", f"/proxies/{proxy}/toxics/{toxic}")

    def _post(self, path: str, body: Mapping[str, object]) -> None:
        self._call("POST", path, body)

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
        where, began = f"Toxiproxy on port {self.port}, {method} {path}", time.monotonic()
        try:
            response = self._send(method, path, body)
            validate_response(response)  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            raise _hung(f"{where}: no answer within {CALL_TIMEOUT_S:g} s") from error
        except (OSError, HTTPException) as error:
            raise ProxyError(
                f"{where}: the server cannot be reached", remedy="See its log: has it ended?"
            ) from error
        except _REFUSAL_ERRORS as error:
            raise ProxyError(f"{where}: refused: {_text(error.args[0])}") from error
        if response.status_code == _SERVICE_UNAVAILABLE:
            raise _hung(f"{where}: answered 503 after {time.monotonic() - began:.1f} s")
        if response.status_code >= _FIRST_ERROR:
            raise ProxyError(f"{where}: answered {response.status_code}: {_text(response.content)}")
        return response.content

    def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> _Response:
        connection = HTTPConnection(self.host, self.port, timeout=CALL_TIMEOUT_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), _HEADERS)
            response = connection.getresponse()
            return _Response(response.status, response.read())
        finally:
            connection.close()


def _hung(message: str) -> ProxyHung:
    return ProxyHung(message, remedy="Kill and restart the server; what was measured since is not valid.")


def _text(content: object) -> str:
    return content.decode(errors="replace").strip() if isinstance(content, bytes) else str(content)


def _parsed(adapter: TypeAdapter[T], content: bytes) -> T:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise ProxyError(f"Toxiproxy answered what is not understood: {_text(content)[:200]}") from error
