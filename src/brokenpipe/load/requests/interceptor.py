"""Takes each request of one user through the gate, marks it, and follows it to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from gevent import GreenletExit, getcurrent
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession

from brokenpipe.load.requests.origin_guard import Own
from brokenpipe.load.requests.parameters import by_name, limited
from brokenpipe.load.requests.resending import send_once
from brokenpipe.load.requests.streaming import watch
from brokenpipe.load.requests.tracked_request import Flight
from brokenpipe.load.state import Tower
from brokenpipe.load.users.seeded_random import Person

HEADER = "X-Request-ID"
KEY_HEADER = "idempotency-key"  # https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
MARK = "brokenpipe_request"  # the key in a request's context that leads from Locust's event to the flight


def row(method: str, name: str) -> str:
    """What a request is called in the history: `POST /chat`. Many a locustfile names it so itself."""
    return name if name.startswith(f"{method} ") else f"{method} {name}"


def row_of_arm(name: str, arm: str) -> str:
    """What it is called in Locust's tables, which sort by name: one request's arms stand below each other."""
    return f"{name} · {arm}"


class _Names(dict[tuple[str, str], tuple[str, str]]):
    """What requests of one arm are called, in the history and in Locust's tables, by method and name.

    As many as Locust has rows in its tables.
    """

    def __init__(self, arm: str) -> None:
        super().__init__()
        self._arm = arm

    def __missing__(self, asked: tuple[str, str]) -> tuple[str, str]:
        named = row(*asked)
        self[asked] = names = named, row_of_arm(named, self._arm)
        return names


class Courier:
    """Stands in for `client.request` of one user.

    `person` is the user apart from its arm, `own` its arm's address.
    """

    def __init__(self, tower: Tower, own: Own, person: Person, client: HttpSession | FastHttpSession) -> None:
        self._tower = tower
        self._gate = tower.gates[own.arm]
        self.arrives = False  # its requests are arrivals of an open load; those of its on_start are not
        self._own = own
        self._arm = own.arm
        self._names = _Names(own.arm)
        self._person = person
        self._client = client
        self._send: Callable[..., Any] = client.request
        self._began = False
        self._handed_out: list[Flight] = []
        self._is_requests = isinstance(client, HttpSession)
        own.guard(client)
        if isinstance(client, FastHttpSession):
            send_once(client)
        client.request = self.request  # type: ignore[method-assign]

    def request(self, method: str, url: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Send a request as the client would, when the gate is open.

        Raises RefusedError for an address that is not the arm's, StopUser when the run is over.
        """
        self._await_turn()
        due_ns = self._arrival() if self.arrives else None
        path = self._own.path(self._client.base_url, url)
        named, in_tables = self._names[method, name or self._client.request_name or path]
        if args:
            kwargs |= by_name(self._send, args)
        flight = self._take_off(named, kwargs, due_ns)
        try:
            response = self._send(method, url, in_tables, **kwargs)
        except GreenletExit:
            flight.forget()
            raise
        except BaseException as error:  # gevent's Timeout is not an Exception
            flight.failed_by(error)
            raise
        if not flight.done:
            self._handed_out.append(flight)
            flight.handed_out(response)
            if flight.stream:
                watch(response, flight)
        return response

    def _await_turn(self) -> None:
        """Give what the user left behind its verdict, and wait for the gate."""
        if self._handed_out:
            self._settle()
        if not self._began:
            self._began = True
            self._tower.users_begun += 1
        if self._gate.closed:
            self._gate.wait()

    def _arrival(self) -> int | None:
        """Wait for the next arrival; when it was due."""
        arrivals = self._tower.arrivals
        while arrivals:
            due_ns = arrivals.take(self._arm)
            if not self._gate.closed:
                return due_ns
            arrivals.miss(self._arm, due_ns)  # the gate closed before this user's turn in the event loop
            self._gate.wait()
        return None

    def _take_off(self, named: str, kwargs: dict[str, Any], due_ns: int | None) -> Flight:
        """Mark the request, so that its outcome and the target can be matched."""
        request_id = self._person.next_request_id()
        key = None
        if given := kwargs.get("headers"):
            headers = dict(given)
            key = _key(headers)
            request_id = self._identify(headers, request_id)
        else:
            headers = {HEADER: request_id}
        kwargs["headers"] = headers
        if self._is_requests:
            kwargs["timeout"] = limited(kwargs.get("timeout"), self._tower.config.time_limit_s)
        stream = bool(kwargs.get("stream"))
        flight = Flight(self._tower, self._arm, request_id, named, key, stream=stream)
        context = kwargs.get("context")
        kwargs["context"] = {**context, MARK: flight.mark} if context else {MARK: flight.mark}
        if due_ns is not None and self._tower.arrivals:
            self._tower.arrivals.began(self._arm, request_id, due_ns, flight.start_ns)
        return flight

    def _identify(self, headers: MutableMapping[str, Any], ours: str) -> str:
        """The request's id: ours, put into its headers, unless the locustfile has set one."""
        for key, value in headers.items():
            if key.lower() == "x-request-id" and value is not None:
                return self._taken_over(str(value), ours)
        headers[HEADER] = ours
        return ours

    def _taken_over(self, given: str, ours: str) -> str:
        """An id given by the locustfile; with ours behind it if a user of this arm has given it before."""
        taken = self._tower.given_ids[self._arm]
        unique = given if given not in taken else f"{given} {ours}"
        taken.add(unique)
        return unique

    def _settle(self) -> None:
        """The user goes on: what it left behind without a verdict gets one."""
        here = getcurrent()
        for flight in self._handed_out:
            if flight.greenlet is here:  # another greenlet of the same user may still be busy with its own
                flight.abandon()
        self._handed_out = [flight for flight in self._handed_out if not flight.done]


def _key(headers: Mapping[str, Any]) -> str | None:
    """What the client calls the write that it asks for, if it says."""
    for name, value in headers.items():
        if name.lower() == KEY_HEADER and value:
            return value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return None
