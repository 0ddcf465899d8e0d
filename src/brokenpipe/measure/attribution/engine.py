"""Attribution of failed requests to faults, with evidence: request → connection → proxy connection → fault.

    direct        the fault hit the connection that this request was using, or was given
    collateral    it had to connect in place of a connection that a fault had ended, and that failed
    secondary     it waited for a connection while the fault held up other requests
    service       the service's own event loop stood still, and a time limit ran out because of that
    unattributed  it was followed, and nothing recorded leads from it to a fault
    unknown       it could not be followed: the witness did not see it, or the proxy has no record of its connection

Nothing is guessed: a fault that was active at the time is evidence only for failures that it causes without ending a
connection, such as refused connections. Histories without a log of links are attributed by times alone, and marked so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.event_loop import (
    EVENT_LOOP,
    Standstills,
    TimeLimits,
    read_standstills,
    read_time_limits,
    reconnects_after_standstill,
)
from brokenpipe.measure.attribution.failed_reconnects import failed_reconnects
from brokenpipe.measure.attribution.fault_effects import (
    HANG_CLASSES,
    SILENT_FAULTS,
    FaultEffects,
    fault_effects,
)
from brokenpipe.measure.attribution.fault_windows import (
    HARNESS,
    SLACK_NS,
    FaultWindow,
    FaultWindows,
    fault_windows,
)
from brokenpipe.measure.attribution.idle_connections import died_at_first_byte, pinging_arms
from brokenpipe.measure.attribution.proxy_connections import (
    ProxyConnection,
    ProxyConnections,
    proxy_connections,
)
from brokenpipe.measure.attribution.slow_operations import latest, stalls_by_arm
from brokenpipe.measure.failures.request_stage import DbOperation, RequestStage, request_stage
from brokenpipe.measure.failures.root_cause import FailedRequest, State, failures_between_phases
from brokenpipe.measure.failures.witness_coverage import coverage_by_arm, fully_witnessed_arms
from brokenpipe.measure.model.attribution import Attribution, Relation
from brokenpipe.measure.run_metadata import plan_of

_Cause = tuple[Relation, FaultWindow | None, int | None, str]  # with the time of the effect on the connection

_LATE_NOTICE_NS = 1_000_000_000
_TOXIC_OF = {"socket_kill": "kill_switch"}  # all others have the fault's own name


class Attributor:
    """Attributes one failure at a time, from the records of connections, faults and pools."""

    def __init__(self, history: History, failures: Sequence[FailedRequest] = ()) -> None:
        self.connections: ProxyConnections = proxy_connections(history)
        self.windows: FaultWindows = fault_windows(history)
        self.episodes = history.rows("SELECT t0, t1, phase, n FROM episode_list ORDER BY t0")
        self.begins = [row[0] for row in self.episodes]
        self.effects: FaultEffects = fault_effects(history)
        self.failed_reconnects = failed_reconnects(history, self._fault_that_ended)
        self.stalls = stalls_by_arm(history)
        self.standstills: Standstills = read_standstills(history)
        failed = (*failures, *(failures_between_phases(history) if self.standstills.any_on_record else ()))
        self.time_limits: TimeLimits = read_time_limits(failed)
        self.in_standstill = {(each.arm, each.id) for each in failed if self._loop_stood_still(each)}
        self.reconnecting = reconnects_after_standstill(history, self.in_standstill)
        (recycle,) = history.one("SELECT min(recycle_ms) FROM closes")
        self.recycle_ms: float | None = recycle
        self.fully_witnessed = fully_witnessed_arms(coverage_by_arm(history, plan_of(history).scenario.arms))
        self.pinging = pinging_arms(history)

    def attribute(self, failure: FailedRequest) -> Attribution:
        """Attribute one failed request to a fault, or to none."""
        act = failure.operation
        life = self.connections.connection(failure.arm, act.port, _failed_at(act, failure)) if act else None
        tie, window, at, evidence = self._cause(failure, life)
        phase, episode = self._episode(window, failure.begin if at is None else at)
        pre_ping, recycle = self._preventable(failure, life, tie)
        moment = request_stage(act, response_began=failure.response_began, link_ended=_unusable_since(life))
        if moment is RequestStage.MID_STATEMENT and died_at_first_byte(
            failure, life, self.windows, self.effects
        ):
            moment, pre_ping, recycle = RequestStage.AFTER_REST, None, None
        return Attribution(
            relation=tie,
            fault=window.fault if window else "",
            phase=phase,
            episode=episode,
            evidence=evidence,
            stage=moment,
            pre_ping=pre_ping,
            recycle=recycle,
            standstill_s=self._standstill_s(failure) if tie is Relation.SERVICE else None,
        )

    # --- the rules, strongest evidence first ----------------------------------------------------------

    def _cause(self, failure: FailedRequest, life: ProxyConnection | None) -> _Cause:
        rules = (
            self._by_connection,
            self._by_event_loop,
            self._by_active_fault,
            self._by_failed_reconnect,
            self._by_queue_wait,
            self._by_time_alone,
        )
        owed = next((owed for rule in rules if (owed := rule(failure, life))), None)
        if owed is None:
            tie = Relation.UNATTRIBUTED if self._is_followed(failure, life) else Relation.UNKNOWN
            return (tie, None, None, "")
        return owed

    def _is_followed(self, failure: FailedRequest, life: ProxyConnection | None) -> bool:
        """Whether the records would lead to a fault if one had caused it: its operation and connection are known.

        A request that waits or connects has no connection yet. An error of the service itself has none either, provided
        that the witness saw all requests and pools. What a request without any record waited for is not known.
        """
        if failure.operation is not None:
            return life is not None or (
                bool(self.connections) and failure.operation.kind in {"checkout", "connect"}
            )
        return failure.error_class is ErrorClass.APPLICATION and failure.arm in self.fully_witnessed

    def _by_connection(self, failure: FailedRequest, life: ProxyConnection | None) -> _Cause | None:
        """Its connection was cut, silenced or ended at the proxy, and that is why it failed."""
        if life is None or not (failure.error_class.is_disconnect or failure.error_class in HANG_CLASSES):
            return None
        # A connection ends once. On a busy machine its client may hear of it before the proxy has written it down.
        slack_ns = _LATE_NOTICE_NS if failure.error_class.is_disconnect else SLACK_NS
        until = _failed_at(failure.operation, failure) + slack_ns
        began = failure.operation.began if failure.operation else None
        owed = self._fault_on_connection(failure.arm, life, until, began)
        if owed is None and failure.error_class.is_disconnect:
            owed = self._fault_behind_goodbye(failure.arm, life, until, began)
        return (Relation.DIRECT, *owed, "link") if owed else None

    def _fault_on_connection(
        self, arm: str, life: ProxyConnection, until: int, began: int | None = None
    ) -> tuple[FaultWindow, int] | None:
        """The fault that cut, silenced or ended a connection, and when. `began`: when its operation began."""
        for struck in (life.cut, life.silenced):
            if struck is not None and struck <= until:
                window = self._fault_with_toxic(arm, life.toxic, struck)
                return (window, struck) if window else None
        if life.ended is not None and life.ended <= until and life.closed_by in {"server", "no_server"}:
            idle = began is None or life.ended <= began
            return self._server_fault(arm, life.ended, life.ended, idle=idle)
        return None

    def _fault_behind_goodbye(
        self, arm: str, life: ProxyConnection, until: int, began: int | None
    ) -> tuple[FaultWindow, int] | None:
        """The fault that made the server send an error and close, if the client closed first because of it.

        The client got the server's error instead of an answer: under TLS that looks like an end to it.
        """
        if (
            life.closed_by != "client"
            or began is None
            or life.ended is None
            or not began <= life.ended <= until
        ):
            return None
        return self._server_fault(arm, began, life.ended, idle=False)

    def _server_fault(
        self, arm: str, since: int, ended: int, *, idle: bool
    ) -> tuple[FaultWindow, int] | None:
        """The fault in that time that could make the server end the connection, and when it ended."""
        for window in self.windows.before(arm, ended):
            lasted = window.overlaps(since - self.effects.effect_after_heal_ns(window), ended)
            if lasted and window.fault != HARNESS and self.effects.could_end(window, idle=idle):
                return window, ended
        return None

    def _fault_that_ended(self, arm: str, port: int, at: int) -> tuple[FaultWindow, int] | None:
        """The fault that had ended the connection of a port. Ends by the harness do not count."""
        life = self.connections.connection(arm, port, at)
        owed = self._fault_on_connection(arm, life, at + SLACK_NS) if life else None
        return owed if owed and owed[0].fault != HARNESS else None

    def _fault_with_toxic(self, arm: str, toxic: str | None, at: int) -> FaultWindow | None:
        """The last fault that used this toxic. Between phases the harness itself uses `kill_switch`."""
        for window in self.windows.before(arm, at):
            if _TOXIC_OF.get(window.fault, window.fault) == toxic:
                return window
            if window.fault == HARNESS and toxic == "kill_switch":
                return window
        return None

    def _by_event_loop(self, failure: FailedRequest, _: ProxyConnection | None) -> _Cause | None:
        """The service's event loop stood still while it waited. That is measured; a latency's share is an estimate.

        Or it had to connect in place of a connection that was given up because of that.
        """
        instead = failure.operation is not None and failure.operation.kind == "connect"
        if self._loop_stood_still(failure) or (instead and (failure.arm, failure.id) in self.reconnecting):
            return (Relation.SERVICE, None, None, EVENT_LOOP)
        return None

    def _standstill_s(self, failure: FailedRequest) -> float | None:
        stood = self.standstills.standstill_s(failure)
        return None if stood is None else round(stood, 1)

    def _loop_stood_still(self, failure: FailedRequest) -> bool:
        """Not during a fault that was enough by itself: then no answer would have come in time, however well it ran."""
        if self.standstills.standstill_s(failure) is None:
            return False
        there = self.windows.during(failure.arm, failure.begin, _failed_at(failure.operation, failure))
        return not any(
            window.fault in SILENT_FAULTS
            or self.time_limits.ran_out_within(failure, self.effects.least_delay_ns(window))
            for window in there
        )

    def _by_active_fault(self, failure: FailedRequest, _: ProxyConnection | None) -> _Cause | None:
        """It failed in a way that an active fault causes, while the failed operation was under way."""
        act = failure.operation
        if act is None or act.kind == "checkout":
            return None
        until = _failed_at(act, failure)
        took_ns = until - act.began if act.began else None
        since = (act.began or until) - self.effects.lasting_ns(failure.error_class)
        there = self.windows.during(failure.arm, since, until)
        possible = (w for w in there if self.effects.could_fail(w, failure.error_class, act.kind, took_ns))
        window = next(possible, None)
        return (Relation.DIRECT, window, until, "fault at that time") if window else None

    def _by_failed_reconnect(self, failure: FailedRequest, _: ProxyConnection | None) -> _Cause | None:
        """It failed to replace a connection that a fault had ended, or that the pool had dropped because of one."""
        if failure.operation is None or failure.operation.kind != "connect":
            return None
        owed = self.failed_reconnects.get((failure.arm, failure.id))
        return (Relation.COLLATERAL, *owed, "link of its sister") if owed else None

    def _by_queue_wait(self, failure: FailedRequest, _: ProxyConnection | None) -> _Cause | None:
        """It waited in the pool's queue while others hung on silent connections, or on an active fault."""
        act = failure.operation
        if act is None or act.kind != "checkout":
            return None
        until = _failed_at(act, failure)
        began = act.began or failure.begin
        for stall in latest(self.stalls[failure.arm], until):
            life = self.connections.connection(failure.arm, stall.port, stall.since)
            if (
                life is not None
                and life.silenced is not None
                and (life.over_at is None or life.over_at >= began)
            ):
                owed = self._fault_on_connection(failure.arm, life, until)
                return (Relation.SECONDARY, *owed, "links of others") if owed else None
        there = self.windows.during(failure.arm, began, until)
        window = next((each for each in there if self._blocks_others(each, failure.arm, until)), None)
        if window := window or self._lasting_silence(failure.arm, began, until):
            return Relation.SECONDARY, window, until, "fault at that time"
        return None

    def _lasting_silence(self, arm: str, began: int, until: int) -> FaultWindow | None:
        """A silent fault, healed by now, in which others began to hang that still hung when this one began to wait."""
        for stall in latest(self.stalls[arm], until):
            there = self.windows.during(arm, stall.since, stall.since) if stall.seen_at >= began else ()
            if window := next((each for each in there if each.fault in SILENT_FAULTS), None):
                return window
        return None

    def _blocks_others(self, window: FaultWindow, arm: str, until: int) -> bool:
        """Whether it holds up other requests. A silent fault holds up all; a latency, those with a record of it."""
        if window.fault != "latency":
            return window.fault in SILENT_FAULTS
        there = (stall for stall in latest(self.stalls[arm], until) if stall.since >= window.begins)
        return any(
            self.effects.could_delay(window, each.kind, max(until, each.seen_at) - each.since)
            for each in there
        )

    def _by_time_alone(self, failure: FailedRequest, _: ProxyConnection | None) -> _Cause | None:
        """Without a log of links: attribute a broken connection to the fault before it, if that is possible."""
        if self.connections or not failure.broken:
            return None
        until = _failed_at(failure.operation, failure)
        window = next(iter(self.windows.before(failure.arm, until)), None)
        if window is None or (failure.state == "in use" and not window.overlaps(failure.begin, until)):
            return None
        at = window.begins if window.momentary else until
        return (Relation.DIRECT, window, at, "time alone")

    # --- what follows ---------------------------------------------------------------------------------

    def _episode(self, window: FaultWindow | None, at: int) -> tuple[str, int | None]:
        """The episode of the fault: a strike has its own, a held fault has the one of its effect."""
        if window is None:
            return "", None
        if window.fault == HARNESS or window.episode is not None:
            return window.phase, window.episode
        n = bisect_right(self.begins, at) - 1
        over = n < 0 or (at >= self.episodes[n][1] and not window.overlaps(self.episodes[n][1], at))
        if over or self.episodes[n][2] != window.phase:
            return window.phase, None
        return window.phase, self.episodes[n][3]

    def _preventable(
        self, failure: FailedRequest, life: ProxyConnection | None, tie: Relation
    ) -> tuple[bool | None, bool | None]:
        """By pre-ping and by recycle. A ping finds a dead connection, and hangs on a silent one; recycle finds both."""
        act = failure.operation
        if tie is Relation.SERVICE:
            return False, False
        if act is None or tie in {Relation.UNATTRIBUTED, Relation.UNKNOWN}:
            return None, None
        handed = act.handed
        dead = failure.state == "stale" or (life is not None and _is_before(life.dead_since, handed))
        silent = life is not None and _is_before(life.silenced, handed)
        if not dead and not silent and failure.state == "" and life is None and tie is Relation.DIRECT:
            return (False, False) if act.kind in {"connect", "checkout"} else (None, None)
        old = self._old_enough(handed, life) if life else None
        pinged = failure.arm in self.pinging  # and it was alive then: it died right after
        return dead and not silent and not pinged, old and (dead or silent)

    def _old_enough(self, handed: int | None, life: ProxyConnection) -> bool | None:
        """At its last checkout, for the shortest recycle of this experiment."""
        if self.recycle_ms is None:
            return None
        if handed is None:
            return False
        return (handed - life.opened) / 1e6 >= self.recycle_ms


def attribute_failures(history: History, failures: Sequence[FailedRequest]) -> tuple[Attribution, ...]:
    """One for each failure, in the same order."""
    attributor = Attributor(history, failures)
    known: dict[Attribution, Attribution] = {}  # a strike breaks many requests alike
    each = (attributor.attribute(failure) for failure in failures)
    return tuple(known.setdefault(one, one) for one in each)


_NOT_IN_USE: Mapping[RequestStage, State] = {
    RequestStage.STALE: "stale",
    RequestStage.AFTER_REST: "after rest",
}


def refine_by_connection(
    failures: Sequence[FailedRequest], attributions: Sequence[Attribution]
) -> tuple[FailedRequest, ...]:
    """The failures, no longer `in use` where the proxy knew of the end first, or it came with the first byte."""
    return tuple(
        replace(failure, state=_NOT_IN_USE.get(owed.stage, failure.state))
        if failure.state == "in use"
        else failure
        for failure, owed in zip(failures, attributions, strict=True)
    )


def _failed_at(act: DbOperation | None, failure: FailedRequest) -> int:
    """When it failed, or was given up."""
    return act.t if act is not None and act.t is not None else failure.end


def _unusable_since(life: ProxyConnection | None) -> int | None:
    """When a connection became unusable: ended (not by its own client), forgotten or silenced."""
    if life is None:
        return None
    over = life.over_at if life.closed_by != "client" else None
    return min((t for t in (over, life.forgotten, life.silenced) if t is not None), default=None)


def _is_before(earlier: int | None, later: int | None) -> bool:
    return earlier is not None and later is not None and earlier < later
