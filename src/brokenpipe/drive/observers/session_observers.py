"""The situations of socket_observers.py for a fault at the server: sessions of Postgres, read on plain sockets.

idle           logged in before the injection, quiet since
fresh          logged in after it, then asked the fault's own question; while the server is away, tried again and again
mid-transfer   one statement after the other, at the injection too
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from brokenpipe.drive.observers.socket_observers import GRACE_S, Observation, watch_time_s
from brokenpipe.drive.raw_postgres.raw_socket import Address, SocketEvent
from brokenpipe.drive.raw_postgres.session import (
    LOGIN_TIMEOUT_S,
    Login,
    LoginFailedError,
    PgSession,
    pg_session,
)
from brokenpipe.faults import Fault, Situation, SocketExpectation

_TRY_EVERY_S = 0.005
_STATEMENT_EVERY_S = 0.005
_STATEMENTS_S = 0.03


@dataclass(frozen=True, slots=True)
class LoginTarget:
    """Address and login with which a session is opened."""

    address: Address
    login: Login


def idle(
    target: LoginTarget, inject: Callable[[], None], _fault: Fault, expected: SocketExpectation
) -> Observation:
    """A session that is idle during the injection, and at the end asks whether it is still alive."""
    with pg_session(target.address, target.login) as opened, ThreadPoolExecutor(1, "inject") as executor:
        injected_ns = time.monotonic_ns()
        injection = executor.submit(inject)
        ended = opened.wait_closed(injected_ns + _ns(watch_time_s(expected)))
        injection.result()
        return _observation(ended or _answer_to(opened, "SELECT 1", GRACE_S), injected_ns)


def fresh(
    target: LoginTarget, inject: Callable[[], None], fault: Fault, expected: SocketExpectation
) -> Observation:
    """A session that is opened after the injection."""
    injected_ns = time.monotonic_ns()
    if expected.seen == "refused":
        with ThreadPoolExecutor(1, "inject") as executor:
            return _observe_refusal(target, executor.submit(inject), injected_ns)
    inject()
    return observe_new_session(target, fault, expected)


def observe_new_session(target: LoginTarget, fault: Fault, expected: SocketExpectation) -> Observation:
    """A new session that sends the fault's question."""
    before_ns = time.monotonic_ns()
    patience_s = expected.latest_s + GRACE_S if expected.seen == "silence" else LOGIN_TIMEOUT_S
    try:
        with pg_session(target.address, target.login, patience_s) as opened:
            answer = _answer_to(opened, fault.trigger_sql, expected.latest_s + GRACE_S)
            if answer.seen == "alive" and expected.seen != "alive":
                until_ns = opened.last_byte_ns + _ns(expected.latest_s + GRACE_S)
                answer = opened.wait_closed(until_ns) or SocketEvent("alive", time.monotonic_ns())
            return _observation(answer, opened.last_byte_ns)
    except LoginFailedError as instead:
        return _observation(instead.event, before_ns)


def mid_transfer(
    target: LoginTarget, inject: Callable[[], None], _fault: Fault, expected: SocketExpectation
) -> Observation:
    """A session that sends one statement after the other during the injection."""
    with pg_session(target.address, target.login) as opened, ThreadPoolExecutor(1, "inject") as executor:
        _repeat_statement(opened, time.monotonic_ns() + _ns(_STATEMENTS_S))
        injected_ns = time.monotonic_ns()
        injection = executor.submit(inject)
        seen = _repeat_statement(opened, injected_ns + _ns(watch_time_s(expected)))
        injection.result()
        if seen.seen == "alive":  # as of the last statement; the injection may have taken longer
            seen = _answer_to(opened, "SELECT 1", GRACE_S)
        return _observation(seen, injected_ns)


OBSERVERS: Mapping[
    Situation, Callable[[LoginTarget, Callable[[], None], Fault, SocketExpectation], Observation]
] = {
    "idle": idle,
    "fresh": fresh,
    "mid_transfer": mid_transfer,
}


def _repeat_statement(opened: PgSession, until_ns: int) -> SocketEvent:
    """Send statement after statement until then, or until one has no regular answer."""
    while True:
        answer = _answer_to(opened, "SELECT 1", GRACE_S)
        if answer.seen != "alive" or time.monotonic_ns() >= until_ns:
            return answer
        time.sleep(_STATEMENT_EVERY_S)


def _answer_to(opened: PgSession, statement: str, patience_s: float) -> SocketEvent:
    try:
        opened.ask(statement)
    except ConnectionError:  # it has ended; the server's last message can still be read
        ended = opened.wait_closed(time.monotonic_ns() + _ns(GRACE_S))
        return ended or SocketEvent("reset", time.monotonic_ns())
    return opened.answer(time.monotonic_ns() + _ns(patience_s))


def _observe_refusal(target: LoginTarget, injection: Future[None], injected_ns: int) -> Observation:
    """Log in until the injection is over: the first refusal, if a login follows it; else what was seen last."""
    refused: SocketEvent | None = None
    while True:
        last_try = injection.done()
        seen = _try_login(target)
        if seen.seen == "refused" and refused is None:
            refused = seen
        if last_try:
            injection.result()
            return _observation(refused if refused and seen.seen == "alive" else seen, injected_ns)
        time.sleep(_TRY_EVERY_S)


def _try_login(target: LoginTarget) -> SocketEvent:
    try:
        with pg_session(target.address, target.login):
            return SocketEvent("alive", time.monotonic_ns())
    except LoginFailedError as instead:
        return instead.event


def _observation(event: SocketEvent, since_ns: int) -> Observation:
    return Observation(event.seen, (event.t_ns - since_ns) / 1e9)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
