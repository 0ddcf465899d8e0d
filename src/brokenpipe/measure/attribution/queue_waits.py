"""Which fault made a request wait in its pool's queue: it held up those that had the connections, or ended them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from brokenpipe.measure.attribution.connection_faults import Cause, ConnectionFaults
from brokenpipe.measure.attribution.emptied_pools import EmptyPeriods
from brokenpipe.measure.attribution.fault_effects import is_delay, is_silent
from brokenpipe.measure.attribution.fault_windows import FaultWindow
from brokenpipe.measure.attribution.proxy_connections import ProxyConnection
from brokenpipe.measure.attribution.slow_operations import Stall, latest
from brokenpipe.measure.model.attribution import Relation


@dataclass(frozen=True, slots=True)
class QueueWaits:
    """The slow operations of each arm, and the faults that may have held them up."""

    stalls: Mapping[str, Sequence[Stall]]
    faults: ConnectionFaults
    empty: EmptyPeriods

    def cause(self, arm: str, began: int, until: int) -> Cause | None:
        """The fault on whose silent connections others hung, an active one that they hung on, or one that left none."""
        if silent := self._silent_connection(arm, began, until):
            end = self.faults.fault_on(arm, silent, until)
            return Cause(Relation.SECONDARY, *end, "links of others") if end else None
        active = self.faults.windows.during(arm, began, until)
        window = next((each for each in active if self._holds_up_others(each, arm, until)), None)
        if window := window or self._lasting_silence(arm, began, until):
            return Cause(Relation.SECONDARY, window, until, "fault at that time")
        empty = self.empty.at(arm, until)
        return Cause(Relation.SECONDARY, *empty.end, "links of others") if empty else None

    def _silent_connection(self, arm: str, began: int, until: int) -> ProxyConnection | None:
        """The latest silenced connection on which another request hung while this one waited."""
        for stall in latest(self.stalls[arm], until):
            connection = self.faults.connections.connection(arm, stall.port, stall.since)
            if connection is None or connection.silenced is None:
                continue
            if connection.over_at is None or connection.over_at >= began:
                return connection
        return None

    def _lasting_silence(self, arm: str, began: int, until: int) -> FaultWindow | None:
        """A silent fault, healed by now, in which others began to hang that still hung when this one began to wait."""
        for stall in latest(self.stalls[arm], until):
            if stall.seen_at < began:
                continue
            active = self.faults.windows.during(arm, stall.since, stall.since)
            if window := next((each for each in active if is_silent(each)), None):
                return window
        return None

    def _holds_up_others(self, window: FaultWindow, arm: str, until: int) -> bool:
        """Whether it holds up other requests. A silent fault holds up all; a latency, those with a record of it."""
        if not is_delay(window):
            return is_silent(window)
        held_up = (stall for stall in latest(self.stalls[arm], until) if stall.since >= window.begins)
        return any(
            self.faults.effects.could_delay(window, each.kind, max(until, each.seen_at) - each.since)
            for each in held_up
        )
