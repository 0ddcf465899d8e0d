"""Effects of a fault on connections that it did not end: error classes by kind, parameters and duration.

An active fault alone is no evidence: a service has time limits, full pools and failures of its own. So a statement
limit cancels only what took as long as it allows, and a latency of 20 ms does not explain a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brokenpipe.error_class import ErrorClass
from brokenpipe.faults.idle_reset import IdleReset
from brokenpipe.faults.latency import Latency
from brokenpipe.faults.server_setting import ServerSetting
from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.fault_windows import SERVER_SLACK_NS, SLACK_NS, FaultWindow
from brokenpipe.plan.plan import Plan

# At most: asyncpg prepares a statement first, and asks a new connection for its types.
ROUND_TRIPS: Mapping[str, int] = {"connect": 8, "ping": 4}
_OTHER_ROUND_TRIPS = 3

HANG_CLASSES = frozenset({ErrorClass.TIMEOUT, ErrorClass.CLIENT_TIMEOUT, ErrorClass.CONNECT_TIMEOUT})

SILENT_FAULTS = frozenset({"black_hole", "packet_drop", "server_pause"})
"""Faults under which every request hangs."""

_FAULTS_CAUSING: Mapping[ErrorClass, frozenset[str]] = {
    ErrorClass.REFUSED: frozenset({"refuse", "server_restart"}),
    ErrorClass.NOT_ACCEPTING: frozenset({"server_restart"}),
    ErrorClass.SERVER_SHUTDOWN: frozenset({"server_restart", "backend_kill"}),
    ErrorClass.SERVER_CRASH: frozenset({"server_restart"}),
    ErrorClass.POOLER: frozenset({"server_restart"}),  # what PgBouncer says while Postgres is away
    **dict.fromkeys(HANG_CLASSES, SILENT_FAULTS | {"latency"}),
    ErrorClass.STATEMENT_CANCELLED: frozenset({"server_pause"}),  # by a limit of the service's own
    ErrorClass.EOF: frozenset({"packet_drop"}),  # ETIMEDOUT: the service's own kernel gave up
}
_SETTING_CAUSING: Mapping[ErrorClass, str] = {
    ErrorClass.IDLE_SESSION: "idle_session_timeout",
    ErrorClass.IDLE_IN_TRANSACTION: "idle_in_transaction_session_timeout",
    ErrorClass.STATEMENT_CANCELLED: "statement_timeout",
    ErrorClass.READ_ONLY: "default_transaction_read_only",
    ErrorClass.TOO_MANY_CONNECTIONS: "connection_limit",
}
_IDLE_LIMITS = frozenset({"idle_session_timeout", "idle_in_transaction_session_timeout"})
_END_WHILE_CONNECTING = frozenset({"socket_kill", "refuse", "server_restart", "backend_kill"}) | SILENT_FAULTS
_END_AT_THE_SERVER = frozenset({"refuse", "backend_kill", "server_restart"})


@dataclass(frozen=True, slots=True)
class FaultEffects:
    """What active faults can do, and a pooler after them. Of one whose parameters are unknown, only its kind is."""

    pooler_retries_ns: int = (
        0  # for so long a pooler tells clients of a server that it could not reach before
    )

    def lasting_ns(self, error_class: ErrorClass) -> int:
        """How long after a fault a client may still get this error."""
        return self.pooler_retries_ns if error_class is ErrorClass.POOLER else 0

    def could_fail(self, window: FaultWindow, error_class: ErrorClass, act: str, took_ns: int | None) -> bool:
        """Whether it can make an operation fail in this way. `took_ns` None: not known."""
        if act == "connect" and error_class.is_disconnect:
            return self._could_end_while_connecting(window, took_ns)
        if window.fault == "server_setting":
            return self._could_limit(window, error_class, took_ns)
        made = window.fault in _FAULTS_CAUSING.get(error_class, frozenset())
        return made and (window.fault != "latency" or self.could_delay(window, act, took_ns))

    def could_end(self, window: FaultWindow, *, idle: bool) -> bool:
        """Whether it can make the server end a connection. `idle`: no statement was under way on it."""
        if window.fault != "server_setting":
            return window.fault in _END_AT_THE_SERVER
        setting = self._setting(window)
        return idle and (setting is None or setting.setting in _IDLE_LIMITS)

    def effect_after_heal_ns(self, window: FaultWindow) -> int:
        """How long it may end connections after its healing: a session keeps a limit until its next statement."""
        setting = self._setting(window)
        if setting is None or setting.setting not in _IDLE_LIMITS:
            return 0
        return (setting.after_ms or 0) * 1_000_000 + SERVER_SLACK_NS

    def could_delay(self, window: FaultWindow, act: str, took_ns: int | None) -> bool:
        """Whether it is at least half of an operation's time: all of it under silence, round trips under a latency."""
        fault = window.injected
        if not isinstance(fault, Latency):
            return window.fault == "latency" or window.fault in SILENT_FAULTS
        if took_ns is None:
            return False  # nothing is guessed
        late_ms = ROUND_TRIPS.get(act, _OTHER_ROUND_TRIPS) * (fault.ms + fault.jitter_ms)
        return 2 * late_ms * 1_000_000 >= took_ns

    def delay_ns(self, window: FaultWindow) -> int:
        """By how much it delays one round trip."""
        fault = window.injected
        return (fault.ms + fault.jitter_ms) * 1_000_000 if isinstance(fault, Latency) else 0

    def least_delay_ns(self, window: FaultWindow) -> int:
        """By how much it delays one round trip at least."""
        fault = window.injected
        return max(0, fault.ms - fault.jitter_ms) * 1_000_000 if isinstance(fault, Latency) else 0

    def _could_end_while_connecting(self, window: FaultWindow, took_ns: int | None) -> bool:
        fault = window.injected
        if isinstance(fault, IdleReset) and took_ns is not None:
            return took_ns + SLACK_NS >= fault.after_ms * 1_000_000
        return window.fault in _END_WHILE_CONNECTING

    def _could_limit(self, window: FaultWindow, error_class: ErrorClass, took_ns: int | None) -> bool:
        setting, wanted = self._setting(window), _SETTING_CAUSING.get(error_class)
        if wanted is None or setting is None:
            return wanted is not None
        if setting.setting != wanted:
            return False
        if error_class is not ErrorClass.STATEMENT_CANCELLED or took_ns is None:
            return True
        return took_ns + SLACK_NS >= (setting.after_ms or 0) * 1_000_000

    def _setting(self, window: FaultWindow) -> ServerSetting | None:
        fault = window.injected
        return fault if isinstance(fault, ServerSetting) else None


def fault_effects(history: History) -> FaultEffects:
    """The effects of faults in the run with its plan's pooler."""
    plan = Plan.model_validate(history.document("plan.json"), strict=False)
    pooler = plan.scenario.pgbouncer
    retries_ns = int(pooler.server_login_retry * 1e9) if pooler else 0
    return FaultEffects(retries_ns)
