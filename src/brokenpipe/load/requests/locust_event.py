"""A hook in the place of Locust's `request` event: it sees every outcome before Locust's statistics do."""

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
from brokenpipe.load.requests.interceptor import CONTEXT_KEY, request_name, request_name_for_arm
from brokenpipe.load.seeded_random import current_user
from brokenpipe.load.state import LoadState


@dataclass(frozen=True, slots=True)
class ExternalRequest:
    """A request by a client of the locustfile's own, as its event describes it."""

    start_ns: int
    arm: str
    id: str
    name: str
    key: None = None
    start_logged: bool = False


class RequestEvent(EventHook):
    """Replaces `locust.events.request`, before the user's locustfile adds its listeners to it."""

    state: LoadState

    def __init__(self) -> None:
        super().__init__()
        self._fire = super().fire  # looked up once
        self._unowned = itertools.count(1)  # requests outside every user's greenlets

    def fire(self, **meta: Any) -> None:
        """Take an outcome from a client: one of Locust's, whose request is tracked, or one of the locustfile's own."""
        context = meta.get("context") or {}
        tracking_key = context.get(CONTEXT_KEY)
        if tracking_key is None:
            self._record_external(meta, context)
        elif (tracked := self.state.tracked_requests.get(tracking_key)) and not tracked.accept_verdict(meta):
            return
        self._fire(**meta)

    def publish(self, meta: Mapping[str, Any]) -> None:
        """Pass an outcome to Locust's statistics and all other listeners."""
        self._fire(**meta)

    def _record_external(self, meta: dict[str, Any], context: Mapping[str, Any]) -> None:
        """Record a request by a client of the locustfile's own, which is known only now that it has ended.

        Its arm is in the user's `context()`. Without that, the request belongs to no arm and is not recorded.
        """
        arm = context.get("arm")
        if arm not in self.state.counts_of:
            return
        name = request_name(str(meta.get("request_type")), str(meta.get("name")))
        ms = float(meta.get("response_time") or 0.0)
        now_ns = time.monotonic_ns()
        age_s = time.time() - meta["start_time"] if meta.get("start_time") else ms / 1e3
        start_ns = now_ns - int(age_s * 1e9)
        identity = current_user()
        request_id = identity.next_request_id() if identity else self._unowned_id()
        status = getattr(meta.get("response"), "status_code", None) or 0
        self.state.counts_of[arm].started += 1
        failure = failure_of_event(meta.get("exception"))
        self.state.record_end(ExternalRequest(start_ns, arm, request_id, name), ms, status, failure)
        meta["name"] = request_name_for_arm(name, arm)

    def _unowned_id(self) -> str:
        shard = self.state.shard
        return f"event-{next(self._unowned) * shard.of + shard.number}"
