"""A wrapper of one user's HTTP session: every request waits for the gate, gets an id, and is tracked to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from gevent import GreenletExit, getcurrent
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession

from brokenpipe.load.requests.cookies import skip_without_cookies
from brokenpipe.load.requests.origin_guard import ArmOrigin
from brokenpipe.load.requests.parameters import keyword_arguments, limit_timeout
from brokenpipe.load.requests.resending import send_once
from brokenpipe.load.requests.streaming import track_body
from brokenpipe.load.requests.tracked_request import TrackedRequest
from brokenpipe.load.seeded_random import UserIdentity
from brokenpipe.load.state import LoadState

HEADER = "X-Request-ID"
KEY_HEADER = "idempotency-key"  # https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
CONTEXT_KEY = "brokenpipe_request"  # in a request's context: its tracking key, for Locust's event


def request_name(method: str, name: str) -> str:
    """The name of a request in the history: `POST /chat`. Many locustfiles put the method in front themselves."""
    return name if name.startswith(f"{method} ") else f"{method} {name}"


def request_name_for_arm(name: str, arm: str) -> str:
    """The name in Locust's tables, which sort by name: the arms of one request stand below each other."""
    return f"{name} · {arm}"


class _RequestNames(dict[tuple[str, str], tuple[str, str]]):
    """Cache of one arm's request names, in the history and in Locust's tables, by method and name.

    It has as many entries as Locust's tables have rows.
    """

    def __init__(self, arm: str) -> None:
        super().__init__()
        self._arm = arm

    def __missing__(self, method_and_name: tuple[str, str]) -> tuple[str, str]:
        name = request_name(*method_and_name)
        self[method_and_name] = names = name, request_name_for_arm(name, self._arm)
        return names


class RequestInterceptor:
    """Replaces `client.request` of one user.

    `identity` is the user apart from its arm, `origin` the address of its arm.
    """

    def __init__(
        self,
        state: LoadState,
        origin: ArmOrigin,
        identity: UserIdentity,
        client: HttpSession | FastHttpSession,
    ) -> None:
        self._state = state
        self._gate = state.gates[origin.arm]
        self.sends_arrivals = False  # requests are arrivals of an open load; those of on_start are not
        self._origin = origin
        self._arm = origin.arm
        self._names = _RequestNames(origin.arm)
        self._identity = identity
        self._client = client
        self._send: Callable[..., Any] = client.request
        self._has_started = False
        self._unfinished: list[TrackedRequest] = []
        self._is_requests = isinstance(client, HttpSession)
        origin.guard(client)
        if isinstance(client, FastHttpSession):
            send_once(client)
            skip_without_cookies(client)
        client.request = self.request  # type: ignore[method-assign]

    def request(self, method: str, url: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Send a request as the client would, once the gate is open.

        Raises ForeignUrlError for an address that is not the arm's, StopUser when the run is over.
        """
        self._wait_for_gate()
        due_ns = self._wait_for_arrival() if self.sends_arrivals else None
        path = self._origin.path_of(self._client.base_url, url)
        name_in_history, name_in_tables = self._names[method, name or self._client.request_name or path]
        if args:
            kwargs |= keyword_arguments(self._send, args)
        tracked = self._start_request(name_in_history, kwargs, due_ns)
        try:
            response = self._send(method, url, name_in_tables, **kwargs)
        except GreenletExit:
            tracked.discard()
            raise
        except BaseException as error:  # gevent's Timeout is not an Exception
            tracked.fail_with(error)
            raise
        if not tracked.done:
            self._unfinished.append(tracked)
            tracked.response_returned(response)
            if tracked.stream:
                track_body(response, tracked)
        return response

    def _wait_for_gate(self) -> None:
        """Finish what the user has left without a verdict, and wait for the gate."""
        if self._unfinished:
            self._finish_abandoned()
        if not self._has_started:
            self._has_started = True
            self._state.users_started += 1
        if self._gate.closed:
            self._gate.wait()

    def _wait_for_arrival(self) -> int | None:
        """Wait for the next arrival. Returns when it was due; None without an open load."""
        open_load = self._state.open_load
        while open_load:
            due_ns = open_load.wait_for_arrival(self._arm)
            if not self._gate.closed:
                return due_ns
            open_load.record_missed(self._arm, due_ns)  # the gate closed before this greenlet ran
            self._gate.wait()
        return None

    def _start_request(
        self, name_in_history: str, kwargs: dict[str, Any], due_ns: int | None
    ) -> TrackedRequest:
        """Put the id into the headers, so that outcome and target can be matched, and begin to track the request."""
        request_id = self._identity.next_request_id()
        key = None
        if given := kwargs.get("headers"):
            headers = dict(given)
            key = _idempotency_key(headers)
            request_id = self._set_request_id(headers, request_id)
        else:
            headers = {HEADER: request_id}
        kwargs["headers"] = headers
        if self._is_requests:
            kwargs["timeout"] = limit_timeout(kwargs.get("timeout"), self._state.config.time_limit_s)
        stream = bool(kwargs.get("stream"))
        tracked = TrackedRequest(self._state, self._arm, request_id, name_in_history, key, stream=stream)
        tracking = {CONTEXT_KEY: tracked.tracking_key}
        kwargs["context"] = {**context, **tracking} if (context := kwargs.get("context")) else tracking
        if due_ns is not None and self._state.open_load:
            self._state.open_load.record_late_start(self._arm, request_id, due_ns, tracked.start_ns)
        return tracked

    def _set_request_id(self, headers: MutableMapping[str, Any], ours: str) -> str:
        """The id of the request: ours, put into its headers, unless the locustfile has set one."""
        for key, value in headers.items():
            if key.lower() == "x-request-id" and value is not None:
                return self._make_unique(str(value), ours)
        headers[HEADER] = ours
        return ours

    def _make_unique(self, given: str, ours: str) -> str:
        """An id set by the locustfile; with ours behind it if this arm has had the same one lately."""
        return given if self._state.used_ids.add(f"{self._arm} {given}") else f"{given} {ours}"

    def _finish_abandoned(self) -> None:
        """End the requests that this greenlet has left without a verdict: its user goes on."""
        here = getcurrent()
        for tracked in self._unfinished:
            if tracked.greenlet is here:  # another greenlet of the same user may still use its own responses
                tracked.finish_without_verdict()
        self._unfinished = [tracked for tracked in self._unfinished if not tracked.done]


def _idempotency_key(headers: Mapping[str, Any]) -> str | None:
    """The idempotency key in these headers, if there is one."""
    for name, value in headers.items():
        if name.lower() == KEY_HEADER and value:
            return value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return None
