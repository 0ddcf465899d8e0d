"""Toxiproxy's HTTP API with every answer checked.

Requests are sent by toxiproxy-python. Here each call gets a time limit, each status is checked, and a web proxy named
in the environment is not used for an address of this machine. Host and port
are attributes of its class `APIConsumer`; a subclass for each server allows for more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from pydantic import TypeAdapter, ValidationError
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from brokenpipe.errors import ProxyError, ProxyHung
from brokenpipe.stack.processes.ports import LOOPBACK

T = TypeVar("T")

CALL_TIMEOUT_S = 2.0  # a call takes 2 to 5 ms; one that hangs behind a stuck connection never returns
_NO_HTTP_PROXY: Mapping[str, None] = {"http": None, "all": None}
_REFUSAL_ERRORS: tuple[type[Exception], ...] = (InvalidToxic, NotFound, ProxyExists)
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
        self._consumer: type[APIConsumer] = type("_Server", (APIConsumer,), {"host": host, "port": port})

    def version(self) -> str:
        """The server's version: the cheapest request to see whether it answers."""
        return _parsed(_VERSION, self._call(self._consumer.get, "/version")).version

    def read_proxy(self, name: str) -> ProxyState:
        """State of a proxy, read from the server."""
        return _parsed(_PROXY, self._call(self._consumer.get, f"/proxies/{name}"))

    def create_proxy(self, name: str, *, listen: str, upstream: str) -> None:
        """Create a proxy that does not listen yet, so that no client connects before its toxics are there."""
        self._post("/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": False})

    def delete_proxy(self, name: str) -> None:
        """Delete a proxy. Its connections end with it."""
        self._call(self._consumer.delete, f"/proxies/{name}")

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
        self._call(self._consumer.delete, f"/proxies/{proxy}/toxics/{toxic}")

    def _post(self, path: str, body: Mapping[str, object]) -> None:
        self._call(self._consumer.post, path, json=body)

    def _call(self, method: Callable[..., requests.Response], path: str, **arguments: Any) -> bytes:
        where = f"Toxiproxy on port {self.port}, {method.__name__.upper()} {path}"
        try:
            response = method(path, timeout=CALL_TIMEOUT_S, proxies=_NO_HTTP_PROXY, **arguments)
        except requests.Timeout as error:
            raise _hung(f"{where}: no answer within {CALL_TIMEOUT_S:g} s") from error
        except requests.RequestException as error:
            raise ProxyError(
                f"{where}: the server cannot be reached", remedy="See its log: has it ended?"
            ) from error
        except _REFUSAL_ERRORS as error:
            raise ProxyError(f"{where}: refused: {_text(error.args[0])}") from error
        if response.status_code == _SERVICE_UNAVAILABLE:
            raise _hung(f"{where}: answered 503 after {response.elapsed.total_seconds():.1f} s")
        if not response.ok:
            raise ProxyError(f"{where}: answered {response.status_code}: {_text(response.content)}")
        return bytes(response.content)


def _hung(message: str) -> ProxyHung:
    return ProxyHung(message, remedy="Kill and restart the server; what was measured since is not valid.")


def _text(content: object) -> str:
    return content.decode(errors="replace").strip() if isinstance(content, bytes) else str(content)


def _parsed(adapter: TypeAdapter[T], content: bytes) -> T:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise ProxyError(f"Toxiproxy answered what is not understood: {_text(content)[:200]}") from error
