"""Whether a fault can have made an operation fail: what its class says, weighed against the operation's duration.

An active fault alone is no evidence: a service has time limits, full pools and failures of its own. So a statement
limit cancels only what took as long as it allows, and a latency of 20 ms does not explain a second.

A fault whose parameters are unknown can do what its class can with any. One that is not installed explains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from brokenpipe.error_class import HANG_CLASSES, ErrorClass
from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.fault_windows import SERVER_SLACK_NS, SLACK_NS, FaultWindow
from brokenpipe.measure.run_metadata import plan_of

# At most: asyncpg prepares a statement first, and asks a new connection for its types.
ROUND_TRIPS: Mapping[str, int] = {"connect": 8, "ping": 4}
_OTHER_ROUND_TRIPS = 3
_NS_PER_MS = 1_000_000


def is_silent(window: FaultWindow) -> bool:
    """Whether nothing is answered while it is active, so that every request hangs."""
    return window.kind is not None and window.kind.silences


def is_delay(window: FaultWindow) -> bool:
    """Whether it delays answers."""
    return window.kind is not None and window.kind.delays


def spares_active(window: FaultWindow) -> bool:
    """Whether a connection that is in use goes on under it."""
    return window.kind is not None and window.kind.spares_active


@dataclass(frozen=True, slots=True)
class FaultEffects:
    """What active faults can do, and a pooler after them. Of one whose parameters are unknown, only its kind is."""

    pooler_retries_ns: Mapping[str, int] = field(default_factory=dict)
    """For so long the pooler of an arm tells clients of a server that it could not reach before."""

    def lasting_ns(self, arm: str, error_class: ErrorClass) -> int:
        """How long after a fault a client of an arm may still get this error."""
        return self.pooler_retries_ns.get(arm, 0) if error_class is ErrorClass.POOLER else 0

    def could_fail(self, window: FaultWindow, error_class: ErrorClass, act: str, took_ns: int | None) -> bool:
        """Whether it can make an operation fail in this way. `took_ns` None: not known."""
        if act == "connect" and error_class.is_disconnect:
            return self._could_end_while_connecting(window, took_ns)
        if window.kind is None:
            return False
        fault = window.injected
        if error_class not in (fault.causes if fault else window.kind.can_cause):
            return False
        if error_class in HANG_CLASSES and is_delay(window):
            return self.could_delay(window, act, took_ns)
        return fault is None or took_ns is None or _lasted(took_ns, fault.causes_after_ms)

    def could_end(self, window: FaultWindow, *, idle: bool) -> bool:
        """Whether it can make the server end a connection. `idle`: no statement was under way on it."""
        if window.kind is None:
            return False
        which = window.injected.ends_at_server if window.injected else window.kind.server_ends
        return which == "any" or (which == "idle" and idle)

    def effect_after_heal_ns(self, window: FaultWindow) -> int:
        """How long it may end connections after its healing: a session keeps a limit until its next statement."""
        lasts_ms = window.injected.lasts_after_heal_ms if window.injected else 0
        return lasts_ms * _NS_PER_MS + SERVER_SLACK_NS if lasts_ms else 0

    def could_delay(self, window: FaultWindow, act: str, took_ns: int | None) -> bool:
        """Whether it is at least half of an operation's time: all of it under silence, round trips under a latency."""
        if window.injected is None or not is_delay(window):
            return is_delay(window) or is_silent(window)
        if took_ns is None:
            return False  # nothing is guessed
        late_ms = ROUND_TRIPS.get(act, _OTHER_ROUND_TRIPS) * window.injected.most_delay_ms
        return 2 * late_ms * _NS_PER_MS >= took_ns

    def delay_ns(self, window: FaultWindow) -> int:
        """By how much it delays one round trip at most."""
        return window.injected.most_delay_ms * _NS_PER_MS if window.injected else 0

    def least_delay_ns(self, window: FaultWindow) -> int:
        """By how much it delays one round trip at least."""
        return window.injected.least_delay_ms * _NS_PER_MS if window.injected else 0

    def _could_end_while_connecting(self, window: FaultWindow, took_ns: int | None) -> bool:
        if window.kind is None:
            return False
        fault = window.injected
        after_ms = fault.ends_connecting_after_ms if fault else (0 if window.kind.ends_connecting else None)
        if not after_ms:
            return after_ms == 0
        return took_ns is not None and _lasted(took_ns, after_ms)


def _lasted(took_ns: int, least_ms: int) -> bool:
    return took_ns + SLACK_NS >= least_ms * _NS_PER_MS


def fault_effects(history: History) -> FaultEffects:
    """The effects of faults in the run with its plan's poolers."""
    scenario = plan_of(history).scenario
    poolers = {arm: pooler for arm in scenario.arms if (pooler := scenario.pgbouncer_of(arm))}
    return FaultEffects({arm: int(pooler.server_login_retry * 1e9) for arm, pooler in poolers.items()})
