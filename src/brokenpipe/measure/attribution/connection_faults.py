"""Which fault ended a connection, or silenced it: from the proxy's record of its end and the faults before that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from brokenpipe.measure.attribution.fault_effects import FaultEffects
from brokenpipe.measure.attribution.fault_windows import HARNESS, SLACK_NS, FaultWindow, FaultWindows
from brokenpipe.measure.attribution.proxy_connections import ProxyConnection, ProxyConnections
from brokenpipe.measure.model.attribution import Relation

ConnectionEnd = tuple[FaultWindow, int]  # by which fault, and when


class Cause(NamedTuple):
    """How a failure is related to a fault, and what shows it. `at`: when the fault had its effect."""

    relation: Relation
    window: FaultWindow | None
    at: int | None
    evidence: str


@dataclass(frozen=True, slots=True)
class ConnectionFaults:
    """The faults of a run beside its connections through the proxy."""

    connections: ProxyConnections
    windows: FaultWindows
    effects: FaultEffects

    def fault_on(
        self, arm: str, connection: ProxyConnection, until: int, began: int | None = None
    ) -> ConnectionEnd | None:
        """The fault that cut, silenced or ended a connection, and when. `began`: when its operation began."""
        for struck in (connection.cut, connection.silenced):
            if struck is not None and struck <= until:
                window = self._fault_with_toxic(arm, connection.toxic, struck)
                return (window, struck) if window else None
        ended = connection.ended
        if ended is not None and ended <= until and connection.closed_by in {"server", "no_server"}:
            return self._server_fault(arm, ended, ended, idle=began is None or ended <= began)
        return None

    def fault_behind_goodbye(
        self, arm: str, connection: ProxyConnection, until: int, began: int | None
    ) -> ConnectionEnd | None:
        """The fault that made the server send an error and close, if the client closed first because of it.

        The client got the server's error instead of an answer: under TLS that looks like an end to it.
        """
        ended = connection.ended
        if connection.closed_by != "client" or began is None or ended is None or not began <= ended <= until:
            return None
        return self._server_fault(arm, began, ended, idle=False)

    def fault_that_ended(self, arm: str, port: int, at: int) -> ConnectionEnd | None:
        """The fault that had ended the connection of a port. Ends by the harness do not count."""
        connection = self.connections.connection(arm, port, at)
        end = self.fault_on(arm, connection, at + SLACK_NS) if connection else None
        return end if end and end[0].fault != HARNESS else None

    def _server_fault(self, arm: str, since: int, ended: int, *, idle: bool) -> ConnectionEnd | None:
        """The fault in that time that could make the server end the connection, and when it ended."""
        for window in self.windows.before(arm, ended):
            lasted = window.overlaps(since - self.effects.effect_after_heal_ns(window), ended)
            if lasted and window.fault != HARNESS and self.effects.could_end(window, idle=idle):
                return window, ended
        return None

    def _fault_with_toxic(self, arm: str, toxic: str | None, at: int) -> FaultWindow | None:
        """The last fault that used this toxic. Between phases the harness itself uses `kill_switch`."""
        for window in self.windows.before(arm, at):
            if toxic and window.kind and window.kind.recorded_as == toxic:
                return window
            if window.fault == HARNESS and toxic == "kill_switch":
                return window
        return None
