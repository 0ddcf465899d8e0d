"""What could have prevented a failure: pre-ping, recycle, both or neither."""

from __future__ import annotations

from dataclasses import dataclass

from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.idle_connections import pinging_arms
from brokenpipe.measure.attribution.proxy_connections import ProxyConnection
from brokenpipe.measure.failures.root_cause import FailedRequest
from brokenpipe.measure.model.attribution import Relation


@dataclass(frozen=True, slots=True)
class Prevention:
    """What pools of this run did to prevent failures: the shortest recycle of any arm, and the arms that ping."""

    recycle_ms: float | None
    pinging_arms: frozenset[str]

    def preventable(
        self, failure: FailedRequest, connection: ProxyConnection | None, relation: Relation
    ) -> tuple[bool | None, bool | None]:
        """By pre-ping and by recycle. A ping finds a dead connection, and hangs on a silent one; recycle finds both."""
        operation = failure.operation
        if relation is Relation.SERVICE:
            return False, False
        if operation is None or relation in {Relation.UNATTRIBUTED, Relation.UNKNOWN}:
            return None, None
        handed = operation.handed
        dead = failure.state == "stale" or (
            connection is not None and _is_before(connection.dead_since, handed)
        )
        silent = connection is not None and _is_before(connection.silenced, handed)
        hit_while_unseen = not dead and not silent and failure.state == "" and connection is None
        if hit_while_unseen and relation is Relation.DIRECT:
            return (False, False) if operation.kind in {"connect", "checkout"} else (None, None)
        old = self._old_enough(handed, connection) if connection else None
        pinged = failure.arm in self.pinging_arms  # and it was alive then: it died right after
        return dead and not silent and not pinged, old and (dead or silent)

    def _old_enough(self, handed: int | None, connection: ProxyConnection) -> bool | None:
        """At its last checkout, for the shortest recycle of this experiment."""
        if self.recycle_ms is None:
            return None
        if handed is None:
            return False
        return (handed - connection.opened) / 1e6 >= self.recycle_ms


def read_prevention(history: History) -> Prevention:
    """Read what prevents failures in the pools of a run."""
    (recycle_ms,) = history.one("SELECT min(recycle_ms) FROM closes")
    return Prevention(recycle_ms, pinging_arms(history))


def _is_before(earlier: int | None, later: int | None) -> bool:
    return earlier is not None and later is not None and earlier < later
