"""Attribution of failed requests to faults, with evidence: request → connection → proxy connection → fault.

    direct        the fault hit the connection that this request was using, or was given
    collateral    it had to connect in place of a connection that a fault had ended, and that failed
    secondary     it waited for a connection while the fault held up other requests, or had ended every connection
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

from brokenpipe.error_class import HANG_CLASSES, ErrorClass
from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.connection_faults import Cause, ConnectionFaults
from brokenpipe.measure.attribution.emptied_pools import EmptyPeriods, empty_periods
from brokenpipe.measure.attribution.event_loop import (
    EVENT_LOOP,
    read_standstills,
    read_time_limits,
    reconnects_after_standstill,
)
from brokenpipe.measure.attribution.failed_reconnects import failed_reconnects
from brokenpipe.measure.attribution.fault_effects import fault_effects, is_silent
from brokenpipe.measure.attribution.fault_windows import HARNESS, SLACK_NS, FaultWindow, fault_windows
from brokenpipe.measure.attribution.idle_connections import died_at_first_byte
from brokenpipe.measure.attribution.prevention import read_prevention
from brokenpipe.measure.attribution.proxy_connections import ProxyConnection, proxy_connections
from brokenpipe.measure.attribution.queue_waits import QueueWaits
from brokenpipe.measure.attribution.replaced_connections import replaced_connections
from brokenpipe.measure.attribution.slow_operations import stalls_by_arm
from brokenpipe.measure.failures.request_stage import DbOperation, RequestStage, request_stage
from brokenpipe.measure.failures.root_cause import FailedRequest, State, failures_between_phases
from brokenpipe.measure.failures.witness_coverage import coverage_by_arm, fully_witnessed_arms
from brokenpipe.measure.model.attribution import Attribution, Relation
from brokenpipe.measure.run_metadata import plan_of

_LATE_NOTICE_NS = 1_000_000_000


class Attributor:
    """Attributes one failure at a time, from the records of connections, faults and pools."""

    def __init__(self, history: History, failures: Sequence[FailedRequest] = ()) -> None:
        self.connections = proxy_connections(history)
        self.windows = fault_windows(history)
        self.effects = fault_effects(history)
        self.faults = ConnectionFaults(self.connections, self.windows, self.effects)
        self.episodes = history.rows("SELECT t0, t1, phase, n FROM episode_list ORDER BY t0")
        self.begins = [row[0] for row in self.episodes]
        self.failed_reconnects = failed_reconnects(history, self.faults.fault_that_ended)
        waited = any(each.operation and each.operation.kind == "checkout" for each in failures)
        empty = empty_periods(history, self.faults.fault_that_ended) if waited else EmptyPeriods({})
        self.replaced = replaced_connections(history, self.faults.fault_that_ended) if waited else {}
        self.queue_waits = QueueWaits(stalls_by_arm(history), self.faults, empty)
        self.standstills = read_standstills(history)
        failed = (*failures, *(failures_between_phases(history) if self.standstills.any_on_record else ()))
        self.time_limits = read_time_limits(failed)
        in_standstill = {(each.arm, each.id) for each in failed if self._loop_stood_still(each)}
        self.reconnecting = reconnects_after_standstill(history, in_standstill)
        self.fully_witnessed = fully_witnessed_arms(coverage_by_arm(history, plan_of(history).scenario.arms))
        self.prevention = read_prevention(history)

    def attribute(self, failure: FailedRequest) -> Attribution:
        """Attribute one failed request to a fault, or to none."""
        operation = failure.operation
        at = _failed_at(operation, failure)
        connection = self.connections.connection(failure.arm, operation.port, at) if operation else None
        cause = self._cause(failure, connection)
        phase, episode = self._episode(cause.window, failure.begin if cause.at is None else cause.at)
        stage, pre_ping, recycle = self._stage_and_prevention(failure, connection, cause.relation)
        return Attribution(
            relation=cause.relation,
            fault=cause.window.fault if cause.window else "",
            phase=phase,
            episode=episode,
            evidence=cause.evidence,
            stage=stage,
            pre_ping=pre_ping,
            recycle=recycle,
            standstill_s=self._standstill_s(failure) if cause.relation is Relation.SERVICE else None,
        )

    def _stage_and_prevention(
        self, failure: FailedRequest, connection: ProxyConnection | None, relation: Relation
    ) -> tuple[RequestStage, bool | None, bool | None]:
        """The stage of the request, and whether pre-ping and recycle prevent its failure."""
        stage = request_stage(
            failure.operation,
            response_began=failure.response_began,
            link_ended=_unusable_since(connection),
        )
        if stage is RequestStage.MID_STATEMENT and died_at_first_byte(
            failure, connection, self.windows, self.effects
        ):
            return RequestStage.AFTER_REST, None, None
        return stage, *self.prevention.preventable(failure, connection, relation)

    # --- the rules, strongest evidence first ----------------------------------------------------------

    def _cause(self, failure: FailedRequest, connection: ProxyConnection | None) -> Cause:
        rules = (
            self._by_connection,
            self._by_event_loop,
            self._by_active_fault,
            self._by_dead_connection,
            self._by_failed_reconnect,
            self._by_queue_wait,
            self._by_time_alone,
        )
        cause = next((found for rule in rules if (found := rule(failure, connection))), None)
        if self._unknown_fault_came_between(failure, cause):
            return Cause(Relation.UNKNOWN, None, None, "")
        if cause is not None:
            return cause
        followed = self._is_followed(failure, connection)
        return Cause(Relation.UNATTRIBUTED if followed else Relation.UNKNOWN, None, None, "")

    def _unknown_fault_came_between(self, failure: FailedRequest, cause: Cause | None) -> bool:
        """Whether a fault of which nothing is known came after the cause that was found, and before the failure.

        What the event loop explains, it may explain better only while it is active.
        """
        at = _failed_at(failure.operation, failure)
        unknown = next((each for each in self.windows.before(failure.arm, at) if not each.is_known), None)
        if unknown is None:
            return False
        if cause is not None and cause.relation is Relation.SERVICE:
            return unknown.overlaps(failure.begin, at)
        return cause is None or cause.window is None or cause.window.begins < unknown.begins

    def _is_followed(self, failure: FailedRequest, connection: ProxyConnection | None) -> bool:
        """Whether the records would lead to a fault if one had caused it: its operation and connection are known.

        A request that waits or connects has no connection yet. An error of the service itself has none either, provided
        that the witness saw all requests and pools. What a request without any record waited for is not known.
        """
        if failure.operation is not None:
            return connection is not None or (
                bool(self.connections) and failure.operation.kind in {"checkout", "connect"}
            )
        return failure.error_class is ErrorClass.APPLICATION and failure.arm in self.fully_witnessed

    def _by_connection(self, failure: FailedRequest, connection: ProxyConnection | None) -> Cause | None:
        """Its connection was cut, silenced or ended at the proxy, and that is why it failed."""
        if connection is None or not (
            failure.error_class.is_disconnect or failure.error_class in HANG_CLASSES
        ):
            return None
        # A connection ends once. On a busy machine its client may hear of it before the proxy has written it down.
        slack_ns = _LATE_NOTICE_NS if failure.error_class.is_disconnect else SLACK_NS
        until = _failed_at(failure.operation, failure) + slack_ns
        began = failure.operation.began if failure.operation else None
        end = self.faults.fault_on(failure.arm, connection, until, began)
        if end is None and failure.error_class.is_disconnect:
            end = self.faults.fault_behind_goodbye(failure.arm, connection, until, began)
        return Cause(Relation.DIRECT, *end, "link") if end else None

    def _by_event_loop(self, failure: FailedRequest, _: ProxyConnection | None) -> Cause | None:
        """The service's event loop stood still while it waited. That is measured; a latency's share is an estimate.

        Or it had to connect in place of a connection that was given up because of that.
        """
        instead = failure.operation is not None and failure.operation.kind == "connect"
        if self._loop_stood_still(failure) or (instead and (failure.arm, failure.id) in self.reconnecting):
            return Cause(Relation.SERVICE, None, None, EVENT_LOOP)
        return None

    def _standstill_s(self, failure: FailedRequest) -> float | None:
        stood = self.standstills.standstill_s(failure)
        return None if stood is None else round(stood, 1)

    def _loop_stood_still(self, failure: FailedRequest) -> bool:
        """Not during a fault that was enough by itself: then no answer would have come in time, however well it ran."""
        if self.standstills.standstill_s(failure) is None:
            return False
        active = self.windows.during(failure.arm, failure.begin, _failed_at(failure.operation, failure))
        return not any(
            is_silent(window) or self.time_limits.ran_out_within(failure, self.effects.least_delay_ns(window))
            for window in active
        )

    def _by_active_fault(self, failure: FailedRequest, _: ProxyConnection | None) -> Cause | None:
        """It failed in a way that an active fault causes, while the failed operation was under way."""
        operation = failure.operation
        if operation is None or (operation.kind == "checkout" and not operation.opening_failed):
            return None
        kind = "connect" if operation.opening_failed else operation.kind  # by its pool
        until = _failed_at(operation, failure)
        took_ns = until - operation.began if operation.began else None
        since = (operation.began or until) - self.effects.lasting_ns(failure.arm, failure.error_class)
        active = self.windows.during(failure.arm, since, until)
        possible = (w for w in active if self.effects.could_fail(w, failure.error_class, kind, took_ns))
        window = next(possible, None)
        return Cause(Relation.DIRECT, window, until, "fault at that time") if window else None

    def _by_dead_connection(self, failure: FailedRequest, connection: ProxyConnection | None) -> Cause | None:
        """Its pool found a connection dead that a fault had ended, and paused before it tried another."""
        waited = failure.operation is not None and failure.operation.kind == "checkout"
        if waited and (replaced := self.replaced.get((failure.arm, failure.id))):
            return Cause(Relation.COLLATERAL, *replaced, "link of its sister")
        if connection is None or failure.error_class is not ErrorClass.DEAD_CONNECTIONS:
            return None
        end = self.faults.fault_on(failure.arm, connection, _failed_at(failure.operation, failure) + SLACK_NS)
        return Cause(Relation.COLLATERAL, *end, "link of its sister") if end else None

    def _by_failed_reconnect(self, failure: FailedRequest, _: ProxyConnection | None) -> Cause | None:
        """It failed to replace a connection that a fault had ended, or that the pool had dropped because of one."""
        if failure.operation is None or failure.operation.kind != "connect":
            return None
        end = self.failed_reconnects.get((failure.arm, failure.id))
        return Cause(Relation.COLLATERAL, *end, "link of its sister") if end else None

    def _by_queue_wait(self, failure: FailedRequest, _: ProxyConnection | None) -> Cause | None:
        """It waited in the pool's queue while others hung on silent connections, or on an active fault."""
        operation = failure.operation
        if operation is None or operation.kind != "checkout":
            return None
        began = operation.began or failure.begin
        return self.queue_waits.cause(failure.arm, began, _failed_at(operation, failure))

    def _by_time_alone(self, failure: FailedRequest, _: ProxyConnection | None) -> Cause | None:
        """Without a log of links: attribute a broken connection to the fault before it, if that is possible."""
        if self.connections or not failure.broken:
            return None
        until = _failed_at(failure.operation, failure)
        window = next(iter(self.windows.before(failure.arm, until)), None)
        if window is None or (failure.state == "in use" and not window.overlaps(failure.begin, until)):
            return None
        at = window.begins if window.momentary else until
        return Cause(Relation.DIRECT, window, at, "time alone")

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
        replace(failure, state=_NOT_IN_USE.get(attribution.stage, failure.state))
        if failure.state == "in use"
        else failure
        for failure, attribution in zip(failures, attributions, strict=True)
    )


def _failed_at(operation: DbOperation | None, failure: FailedRequest) -> int:
    """When it failed, or was given up."""
    return operation.t if operation is not None and operation.t is not None else failure.end


def _unusable_since(connection: ProxyConnection | None) -> int | None:
    """When a connection became unusable: ended (not by its own client), forgotten or silenced."""
    if connection is None:
        return None
    over = connection.over_at if connection.closed_by != "client" else None
    return min((t for t in (over, connection.forgotten, connection.silenced) if t is not None), default=None)
