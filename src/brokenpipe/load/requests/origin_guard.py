"""Nothing is sent to any host but the arm's own: not by an absolute URL, not by a redirect."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from geventhttpclient.url import URL
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, FastRequest

from brokenpipe.load.messages import Refused
from brokenpipe.load.state import Tower

_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)  # Locust's own test


class RefusedError(Exception):
    """An address that is not the arm's, of the locustfile or a redirect; the run ends with this."""


class Own:
    """The address of one arm, and the refusal of all others."""

    def __init__(self, tower: Tower, arm: str) -> None:
        self.arm = arm
        self._tower = tower
        self._base = tower.config.arms[arm].rstrip("/")
        parsed = URL(self._base)
        self._origin = (parsed.scheme, parsed.host, parsed.port)

    def path(self, base_url: str | None, url: str) -> str:
        """What stands behind the arm's address in this URL. Raises RefusedError for another address.

        Locust joins address and path without looking: `@other/` or `0/` would lead to another host or port.
        """
        if url[:1] == "/" and base_url == self._base:  # nearly always
            return url
        full = url if _ABSOLUTE.match(url) else f"{base_url}{url}"
        rest = full[len(self._base) :]
        if not full.startswith(self._base) or rest[:1] not in ("/", "?", "#", ""):
            raise self._refused(full)
        return rest or "/"

    def check(self, url: URL) -> None:
        """Raises RefusedError unless this address, to which the service has redirected, is one of the arm."""
        if (url.scheme, url.host, url.port) != self._origin:
            self._tower.outbox.append(Refused(str(url), redirected_by=self.arm))
            raise RefusedError(f"the service redirects to {url}, which is not its own address ({self._base})")

    def guard(self, client: HttpSession | FastHttpSession) -> None:
        """Have the client ask before it follows a redirect."""
        if isinstance(client, FastHttpSession):
            client.client.request_type = self._request_type  # type: ignore[misc]  # of this client only
        else:
            self._guard_adapters(client)

    @cached_property
    def _request_type(self) -> type[FastRequest]:
        own = self

        class GuardedRequest(FastRequest):
            """A request of geventhttpclient, which changes itself when it is redirected."""

            def redirect(self, code: int, location: str) -> None:
                super().redirect(code, location)
                own.check(self.url_split)

        return GuardedRequest

    def _guard_adapters(self, session: HttpSession) -> None:
        get_adapter = session.get_adapter

        def guarded(url: str) -> Any:  # requests asks for an adapter at every hop
            if not url.startswith(f"{self._base}/"):
                self.check(URL(url))
            return get_adapter(url)

        session.get_adapter = guarded  # type: ignore[method-assign]

    def _refused(self, url: str) -> RefusedError:
        self._tower.outbox.append(Refused(url))
        return RefusedError(f"{url} is not an address of this arm ({self._base})")
