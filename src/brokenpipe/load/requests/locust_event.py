"""Locust's `request` event, with every outcome passing through before Locust's statistics see it."""

# mypy: disallow-untyped-calls=False
# (Locust's events carry no types)

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from locust.event import EventHook

from brokenpipe.load.requests.failures import failure_of_event
from brokenpipe.load.requests.interceptor import MARK, row, row_of_arm
from brokenpipe.load.state import Tower
from brokenpipe.load.users.seeded_random import current


@dataclass(frozen=True, slots=True)
class Told:
    """A request by a client of the locustfile's own, as its event told of it."""

    start_ns: int
    arm: str
    id: str
    name: str
    key: None = None
    begun: bool = False


class RequestEvent(EventHook):
    """Takes the place of `locust.events.request`, before the user's locustfile adds its listeners to it."""

    tower: Tower

    def __init__(self) -> None:
        super().__init__()
        self._strangers = itertools.count(1)  # requests outside every user's greenlets

    def fire(self, *, reverse: bool = False, **meta: Any) -> None:
        """A client says how a request went: one of Locust's (a flight of ours), or the locustfile's own."""
        context = meta.get("context") or {}
        mark = context.get(MARK)
        if mark is None:
            self._record(meta, context)
        elif (flight := self.tower.flights.get(mark)) and not flight.report(meta):
            return
        super().fire(reverse=reverse, **meta)

    def publish(self, meta: Mapping[str, Any]) -> None:
        """Hand an outcome to Locust's statistics and whoever else listens."""
        super().fire(**meta)

    def _record(self, meta: dict[str, Any], context: Mapping[str, Any]) -> None:
        """A request by a client of the locustfile's own, known only now that it is over.

        Its arm is told by the user's `context()`; without it nobody could tell whose request it was.
        """
        arm = context.get("arm")
        if arm not in self.tower.tallies:
            return
        name = row(str(meta.get("request_type")), str(meta.get("name")))
        ms = float(meta.get("response_time") or 0.0)
        now_ns = time.monotonic_ns()
        age_s = time.time() - meta["start_time"] if meta.get("start_time") else ms / 1e3
        start_ns = now_ns - int(age_s * 1e9)
        person = current()
        request_id = person.next_request_id() if person else self._stranger()
        status = getattr(meta.get("response"), "status_code", None) or 0
        self.tower.tallies[arm].started += 1
        failure = failure_of_event(meta.get("exception"))
        self.tower.ended(Told(start_ns, arm, request_id, name), ms, status, failure)
        meta["name"] = row_of_arm(name, arm)

    def _stranger(self) -> str:
        seat = self.tower.seat
        return f"event-{next(self._strangers) * seat.of + seat.number}"
