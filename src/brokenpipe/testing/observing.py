"""What a raw socket must see before a call returns: that a fault took effect, and that it is healed.

Connections of a pool are not used for it. As in a run, a connection of our own through the same proxy is watched
(drive/detection). Unlike in a run, what is seen late counts: a test needs the effect, not its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from brokenpipe.drive.detection.detect import (
    EARLY_SLACK_S,
    Detection,
    detect_deferred_strike,
    detect_end,
    detect_held,
    login_target_of,
    open_sentinel,
    open_sentinel_for,
    round_trip_ms,
)
from brokenpipe.drive.detection.session_sentinel import SessionSentinel
from brokenpipe.drive.detection.tcp_sentinel import Sentinel, probe_connect
from brokenpipe.drive.raw_postgres.session import LOGIN_TIMEOUT_S, LoginFailedError, pg_session
from brokenpipe.errors import FaultNotSeen
from brokenpipe.faults import Fault, SocketEffect
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.proxy.proxy import Proxy

ATTEMPTS = 3  # at a fault that is held; what is missed once may be the machine's doing
HEALED_WITHIN_S = 3.0  # measured: 5 ms, and for an idle limit the limit itself
_LONGER_THAN_A_LIMIT_S = 0.1
_ANSWER_S = 1.0
_COMMIT_S = 0.5  # for the proxy to say that it has cut a commit; measured: 2 ms


def observe_strike(proxy: Proxy, fault: Fault, strike: Callable[[], None]) -> str:
    """Let a fault strike that is over at once, while a connection watches. What that saw. Raises FaultNotSeen."""
    sentinel = _sentinel(proxy, fault)
    before_ns = time.monotonic_ns()
    try:
        strike()
    except BaseException:
        sentinel.__exit__(None, None, None)
        raise
    opened: Future[Sentinel | SessionSentinel] = Future()
    opened.set_result(sentinel)
    return _seen(fault, detect_end(opened, fault, before_ns))


def observe_held(proxy: Proxy, fault: Fault, baseline_ms: float | None) -> str:
    """What a connection sees of a fault that is in force. Raises FaultNotSeen."""
    for attempts_left in reversed(range(ATTEMPTS)):
        detection = detect_held(proxy, fault, baseline_ms)
        if _shows(detection, fault) or not attempts_left:
            break
    return _seen(fault, detection)


def observe_commit(proxy: Proxy, fault: Fault, since_ns: int) -> str:
    """Whether a fault that waits for a COMMIT has cut one since then. Raises FaultNotSeen."""
    return _seen(fault, detect_deferred_strike(proxy, fault, since_ns, time.monotonic() + _COMMIT_S))


def observe_healed(proxy: Proxy, fault: Fault, baseline_ms: float | None) -> None:
    """Returns when a connection has seen that a fault is over. Raises FaultNotSeen."""
    seen = "nothing"

    def healed() -> bool | None:
        nonlocal seen
        try:
            seen = _state_after(proxy, fault, baseline_ms)
        except OSError as error:
            seen = str(error)
        return True if seen == "alive" else None

    if not poll(healed, timeout_s=HEALED_WITHIN_S):
        raise FaultNotSeen(
            f"{fault}: it was healed, and a raw socket still saw {seen} {HEALED_WITHIN_S:g} s later"
        )


def measure_baseline(proxy: Proxy, fault: Fault) -> float | None:
    """A round trip without a fault that delays, in ms; None for any other, or if there is no connection."""
    if not fault.delays:
        return None
    try:
        return round_trip_ms(proxy)
    except OSError:
        return None


def _sentinel(proxy: Proxy, fault: Fault) -> Sentinel | SessionSentinel:
    try:
        return open_sentinel_for(fault, proxy)
    except OSError as error:
        raise FaultNotSeen(f"{fault}: there was no connection to see it on: {error}") from error


def _shows(detection: Detection, fault: Fault) -> bool:
    expected = fault.expected_effect
    if detection.landed or detection.after_ms is None or detection.seen not in {expected.seen, expected.also}:
        return detection.landed
    return detection.after_ms >= 1e3 * (expected.earliest_s - EARLY_SLACK_S)


def _seen(fault: Fault, detection: Detection) -> str:
    """What was seen, in a few words."""
    after = "" if detection.after_ms is None else f" after {detection.after_ms:.1f} ms"
    if not _shows(detection, fault):
        raise FaultNotSeen(
            f"{fault}: a raw socket through this wire should have seen {fault.expected_effect}; "
            f"it saw {detection.seen}{after}"
        )
    return f"{detection.seen}{after}"


def _state_after(proxy: Proxy, fault: Fault, baseline_ms: float | None) -> SocketEffect | str:
    """`alive`, or what is seen instead. Raises OSError."""
    if fault.place == "server":
        return _session_state(proxy)
    if fault.delays:
        return _delay_state(proxy, fault, baseline_ms)
    if fault.silence_ms is not None:
        with open_sentinel(proxy, _ANSWER_S) as sentinel:
            return sentinel.end(fault.silence_ms / 1e3 + _LONGER_THAN_A_LIMIT_S)[0]
    return probe_connect(proxy.host, proxy.port, _ANSWER_S)


def _session_state(proxy: Proxy) -> SocketEffect | str:
    target = login_target_of(proxy)
    try:
        with pg_session(target.address, target.login) as session:
            session.ask("SELECT 1")
            return session.answer(time.monotonic_ns() + round(LOGIN_TIMEOUT_S * 1e9)).seen
    except LoginFailedError as instead:
        return instead.event.seen


def _delay_state(proxy: Proxy, fault: Fault, baseline_ms: float | None) -> str:
    """No trip is faster than the least delay; where that is next to nothing, it is compared with what was before."""
    trip_ms = round_trip_ms(proxy)
    as_before = baseline_ms is not None and trip_ms <= baseline_ms + fault.delay_ms / 2
    return "alive" if trip_ms < fault.least_delay_ms or as_before else f"a round trip of {trip_ms:.1f} ms"
