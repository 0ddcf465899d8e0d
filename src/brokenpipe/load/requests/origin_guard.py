"""A guard that lets requests go to the arm's own origin only: no absolute URL and no redirect leads elsewhere."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from geventhttpclient.url import URL
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, FastRequest

from brokenpipe.load.messages import Refused
from brokenpipe.load.state import LoadState

_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)  # Locust's own test


class ForeignUrlError(Exception):
    """A URL outside the arm's origin, in the locustfile or in a redirect. It ends the run."""


class ArmOrigin:
    """The origin of one arm's service. Requests to any other origin are refused."""

    def __init__(self, state: LoadState, arm: str) -> None:
        self.arm = arm
        self._state = state
        self._base = state.config.arms[arm].rstrip("/")
        parsed = URL(self._base)
        self._origin = (parsed.scheme, parsed.host, parsed.port)

    def path_of(self, base_url: str | None, url: str) -> str:
        """The path of this URL below the arm's address. Raises ForeignUrlError for another address.

        Locust joins address and path without a check: `@other/` or `0/` would lead to another host or port.
        """
        if url[:1] == "/" and base_url == self._base:  # nearly always
            return url
        full = url if _ABSOLUTE.match(url) else f"{base_url}{url}"
        rest = full[len(self._base) :]
        if not full.startswith(self._base) or rest[:1] not in ("/", "?", "#", ""):
            raise self._foreign_url_error(full)
        return rest or "/"

    def check_redirect(self, url: URL) -> None:
        """Raise ForeignUrlError unless this URL, to which the service has redirected, is within the arm's origin."""
        if (url.scheme, url.host, url.port) != self._origin:
            self._state.outbox.append(Refused(str(url), redirected_by=self.arm))
            raise ForeignUrlError(
                f"the service redirects to {url}, which is not its own address ({self._base})"
            )

    def guard(self, client: HttpSession | FastHttpSession) -> None:
        """Make the client check every redirect before it follows it."""
        if isinstance(client, FastHttpSession):
            client.client.request_type = self._request_type  # type: ignore[misc]  # of this client only
        else:
            self._guard_adapters(client)

    @cached_property
    def _request_type(self) -> type[FastRequest]:
        origin = self

        class GuardedRequest(FastRequest):
            """A request of geventhttpclient, whose `redirect` changes the request itself."""

            def redirect(self, code: int, location: str) -> None:
                super().redirect(code, location)
                origin.check_redirect(self.url_split)

        return GuardedRequest

    def _guard_adapters(self, session: HttpSession) -> None:
        get_adapter = session.get_adapter

        def guarded(url: str) -> Any:  # requests asks for an adapter at every hop
            if not url.startswith(f"{self._base}/"):
                self.check_redirect(URL(url))
            return get_adapter(url)

        session.get_adapter = guarded  # type: ignore[method-assign]

    def _foreign_url_error(self, url: str) -> ForeignUrlError:
        self._state.outbox.append(Refused(url))
        return ForeignUrlError(f"{url} is not an address of this arm ({self._base})")
