"""Detects whether a fault took effect, by a raw socket through an arm's own proxy."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import wraps
from typing import ParamSpec

from brokenpipe.drive.detection.session_sentinel import SessionSentinel
from brokenpipe.drive.detection.tcp_sentinel import ANSWER_TIMEOUT_S, Sentinel, probe_connect
from brokenpipe.drive.observers import session_observers
from brokenpipe.drive.observers.session_observers import LoginTarget
from brokenpipe.drive.raw_postgres.session import Login
from brokenpipe.errors import ProxyError, StackError
from brokenpipe.faults import Fault, SocketEffect, SocketExpectation
from brokenpipe.stack.postgres.database import NO_ARMS_DATABASE
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.proxy.proxy import Proxy

# A raw socket on a machine that is busy with the experiment is read later than on a quiet one.
SLACK_S = 0.3
EARLY_SLACK_S = 0.05
ROUND_TRIPS = 3
CUT_POLL_S = 0.05

_Params = ParamSpec("_Params")


@dataclass(frozen=True, slots=True)
class Detection:
    """What a socket saw, how long after the injection, and whether that is what the fault's contract says."""

    seen: str
    after_ms: float | None
    landed: bool


def _errors_are_not_detected(detect: Callable[_Params, Detection]) -> Callable[_Params, Detection]:
    """Turn an OSError of our own socket into a failed detection, with the error as what was seen."""

    @wraps(detect)
    def wrapped(*args: _Params.args, **kwargs: _Params.kwargs) -> Detection:
        try:
            return detect(*args, **kwargs)
        except OSError as error:
            return Detection(f"nothing could be seen: {error}", None, landed=False)

    return wrapped


def open_sentinel(proxy: Proxy, answer_s: float = ANSWER_TIMEOUT_S) -> Sentinel:
    """A raw connection through this proxy that has had one answer from Postgres, within so many seconds."""
    return Sentinel.open(proxy.host, proxy.port, answer_s)


def open_sentinel_for(fault: Fault, proxy: Proxy) -> Sentinel | SessionSentinel:
    """The sentinel that can detect a strike of this fault. Raises OSError."""
    return SessionSentinel(sentinel_target_of(proxy)) if fault.place == "server" else open_sentinel(proxy)


def sentinel_target_of(proxy: Proxy) -> LoginTarget:
    """As `login_target_of`, in another database: there it takes none of the connections that the arm may have."""
    target = login_target_of(proxy)
    return replace(target, login=replace(target.login, database=NO_ARMS_DATABASE))


def login_target_of(proxy: Proxy) -> LoginTarget:
    """Address and login of the service's role; past a PgBouncer, which keeps its clients whatever the server does."""
    database = proxy.server
    place = database.server if database.pooled else proxy
    certificates = database.server.certificates
    authority = certificates.authority if certificates else None
    return LoginTarget(
        (place.host, place.port), Login(database.user, database.password, database.name, authority)
    )


def round_trip_ms(proxy: Proxy, answer_s: float = ANSWER_TIMEOUT_S) -> float:
    """The time of one round trip through this proxy, in ms: the least of a few.

    Raises OSError: TimeoutError if one takes longer than `answer_s`.
    Postgres starts a process for each, which on a busy machine takes anything; what the wire adds stays.
    """
    trips = []
    for _ in range(ROUND_TRIPS):
        with open_sentinel(proxy, answer_s) as sentinel:
            trips.append(sentinel.round_trip_ms)
    return min(trips)


@_errors_are_not_detected
def detect_end(opened: Future[Sentinel | SessionSentinel], fault: Fault, since_ns: int) -> Detection:
    """Detect how the sentinel's connection ends, counted from `since_ns`."""
    return _detect_sentinel_end(opened.result(), fault, since_ns)


def detect_deferred_strike(proxy: Proxy, fault: Fault, since_ns: int, until: float) -> Detection:
    """Detect whether a deferred strike has cut a commit before `until`, by what its toxic says of its last cut.

    A commit of our own would itself be cut, so no socket is used.
    """
    (toxic,) = fault.toxics()

    def hit() -> bool | None:
        counts = proxy.read_back(toxic.name)
        return True if counts["cut"] >= since_ns else None

    try:
        landed = poll(hit, timeout_s=max(until - time.monotonic(), 0.0), every_s=CUT_POLL_S)
    except ProxyError as error:
        return Detection(error.message, None, landed=False)
    after_ms = (time.monotonic_ns() - since_ns) / 1e6
    return Detection("cut" if landed else "no commit came", after_ms if landed else None, landed=bool(landed))


@_errors_are_not_detected
def detect_held(proxy: Proxy, fault: Fault, baseline_ms: float | None) -> Detection:
    """Detect a held fault. `baseline_ms`: a round trip without it, None if that could not be measured."""
    if fault.place == "server":
        return detect_on_session(proxy, fault)
    if fault.expected_effect.seen == "delayed":
        return detect_delay(proxy, fault, baseline_ms)
    if fault.detected_on == "fresh":
        return detect_on_connect(proxy, fault)
    return detect_idle_end(proxy, fault)


def detect_on_session(proxy: Proxy, fault: Fault) -> Detection:
    """Detect a fault of the server by a new session of the service's role."""
    if fault.session_limit is not None:
        return _detect_connection_limit(proxy, fault, fault.session_limit)
    return _detect_on_new_session(sentinel_target_of(proxy), fault)


def _detect_connection_limit(proxy: Proxy, fault: Fault, limit: int) -> Detection:
    """Detect a connection limit. Below it no session is opened: that would take a connection from the service."""
    try:
        in_force, sessions = proxy.server.connection_limit(), proxy.server.sessions()
    except StackError as error:
        return Detection(error.message, None, landed=False)
    if in_force != limit:
        return Detection(f"a limit of {in_force}", None, landed=False)
    if sessions < limit:
        return Detection(f"{limit - sessions} below the limit", None, landed=True)
    return _detect_on_new_session(login_target_of(proxy), fault)


def _detect_on_new_session(target: LoginTarget, fault: Fault) -> Detection:
    seen = session_observers.observe_new_session(target, fault, fault.expected_effect)
    if fault.expected_effect.seen == "silence":
        return Detection(seen.seen, None, landed=seen.seen == "silence")
    return Detection(
        seen.seen, seen.after_s * 1e3, landed=_meets(fault.expected_effect, seen.seen, seen.after_s)
    )


def detect_on_connect(proxy: Proxy, fault: Fault) -> Detection:
    """Detect a fault by a new connection and one question."""
    before_ns = time.monotonic_ns()
    seen = probe_connect(proxy.host, proxy.port, fault.expected_effect.latest_s + SLACK_S)
    took_ms = None if seen in {"silence", "unreached"} else (time.monotonic_ns() - before_ns) / 1e6
    return Detection(seen, took_ms, landed=seen == fault.expected_effect.seen)


def detect_idle_end(proxy: Proxy, fault: Fault) -> Detection:
    """Detect how an idle connection ends, counted from the answer to its last byte."""
    sentinel = open_sentinel(proxy)
    if fault.expected_effect.rest_s is not None:
        return _detect_end_after_rest(sentinel, fault.expected_effect, fault.expected_effect.rest_s)
    return _detect_sentinel_end(sentinel, fault, time.monotonic_ns())


def detect_delay(proxy: Proxy, fault: Fault, baseline_ms: float | None) -> Detection:
    """Detect an added delay, against the `baseline_ms` without the fault. None: it was not measured."""
    if baseline_ms is None:
        return Detection("no connection before the fault", None, landed=False)
    trip_ms = round_trip_ms(proxy, fault.expected_effect.latest_s + ANSWER_TIMEOUT_S)
    earliest_ms, latest_ms = (
        1e3 * end for end in (fault.expected_effect.earliest_s, fault.expected_effect.latest_s)
    )
    added_ms = trip_ms - baseline_ms
    # A quiet trip may itself have been slow, so of the addition only the better half is asked for; but no trip
    # can be faster than the delay.
    landed = trip_ms >= earliest_ms and earliest_ms / 2 <= added_ms <= latest_ms + 1e3 * SLACK_S
    return Detection("delayed" if landed else "not delayed as asked", added_ms, landed)


def _meets(expected: SocketExpectation, seen: SocketEffect, after_s: float) -> bool:
    # Too early is as wrong as too late: something else than the fault ended it. The clock was read after the
    # answer, so an idle limit, which counts from the question, may be over that much sooner.
    in_time = expected.earliest_s - EARLY_SLACK_S <= after_s <= expected.latest_s + SLACK_S
    return seen in {expected.seen, expected.also} and in_time


def _detect_end_after_rest(sentinel: Sentinel, expected: SocketExpectation, rest_s: float) -> Detection:
    """Detect the answer to the first byte after a rest. An end during the rest has a negative time."""
    due_ns = time.monotonic_ns() + round(rest_s * 1e9)
    with sentinel:
        seen, at_ns = sentinel.wait_end_after_rest(rest_s, expected.latest_s + SLACK_S)
    after_s = (at_ns - due_ns) / 1e9
    return Detection(seen, after_s * 1e3, landed=_meets(expected, seen, after_s))


def _detect_sentinel_end(sentinel: Sentinel | SessionSentinel, fault: Fault, since_ns: int) -> Detection:
    expected = fault.expected_effect
    with sentinel:
        seen, at_ns = sentinel.end(expected.latest_s + SLACK_S)
    after_s = (at_ns - since_ns) / 1e9
    if expected.seen == "silence":  # which is no moment: it is asked for at the end, and answered by waiting
        return Detection(seen, None, landed=seen == "silence")
    return Detection(seen, after_s * 1e3, landed=_meets(expected, seen, after_s))
