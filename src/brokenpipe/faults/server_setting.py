"""A limit of the server: one setting changed while the fault is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from brokenpipe.error_class import ErrorClass
from brokenpipe.faults.base import Fault, How, Place, ServerEnds, Situation
from brokenpipe.faults.contract import SERVER_LATE_S, Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl

Setting = Literal[
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
    "statement_timeout",
    "connection_limit",
    "default_transaction_read_only",
]

_SESSION_LIVES = frozenset({"statement_timeout", "default_transaction_read_only"})
_ENDS_IDLE_SESSIONS = frozenset({"idle_session_timeout", "idle_in_transaction_session_timeout"})

BRIEF_MS = 400
_ALIVE_S = 0.3


@dataclass(frozen=True, slots=True)
class _LimitRule:
    """`key`: the parameter with its value. `seen`: the SQLSTATE in which it shows when `trigger_sql` is sent."""

    key: Literal["after_ms", "connections"] | None
    seen: SocketEffect
    causes: ErrorClass
    trigger_sql: Callable[[int], str]


_RULES: Mapping[str, _LimitRule] = {
    "idle_session_timeout": _LimitRule("after_ms", "57P05", ErrorClass.IDLE_SESSION, lambda _: "SELECT 1"),
    "idle_in_transaction_session_timeout": _LimitRule(
        "after_ms", "25P03", ErrorClass.IDLE_IN_TRANSACTION, lambda _: "BEGIN"
    ),
    "statement_timeout": _LimitRule(
        "after_ms",
        "57014",
        ErrorClass.STATEMENT_CANCELLED,
        lambda ms: f"SELECT pg_sleep({(ms + 2000) / 1000})",
    ),
    "connection_limit": _LimitRule(
        "connections", "53300", ErrorClass.TOO_MANY_CONNECTIONS, lambda _: "SELECT 1"
    ),
    "default_transaction_read_only": _LimitRule(
        None, "25006", ErrorClass.READ_ONLY, lambda _: "BEGIN; CREATE TABLE brokenpipe_probe (); ROLLBACK"
    ),
}


class ServerSetting(Fault):
    """A limit that an administrator or a managed database sets for the sessions of the service.

    An open session feels a limit from its next statement on. A connection limit is for new sessions only. The
    sessions of the harness are exempt. All settings but the connection limit are those of the server, and so of all
    arms at once.
    """

    name: Literal["server_setting"] = "server_setting"
    setting: Setting = Field(
        description="Which of the server's limits: the timeouts take after_ms, connection_limit takes connections."
    )
    after_ms: int | None = Field(
        default=None,
        ge=50,
        le=3_600_000,
        description="Milliseconds: what the setting of the server is set to.",
    )
    connections: int | None = Field(
        default=None, ge=0, le=60, description="How many sessions the service may have in its database."
    )

    momentary: ClassVar[bool] = False
    place: ClassVar[Place] = "server"
    detected_on: ClassVar[Situation] = "fresh"
    can_cause: ClassVar[frozenset[ErrorClass]] = frozenset(rule.causes for rule in _RULES.values())
    spares_active: ClassVar[bool] = True
    server_ends: ClassVar[ServerEnds] = "idle"

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        given = {key for key in ("after_ms", "connections") if getattr(self, key) is not None}
        key = _RULES[self.setting].key
        if given != ({key} - {None}):
            found = " and ".join(sorted(given)) or "no value"
            asked = f"takes {key}" if key else "takes no value: it is on while it is held"
            raise ValueError(f"{self.setting} {asked}; found {found}")
        return self

    @property
    def shared(self) -> bool:
        return self.setting != "connection_limit"

    @property
    def parameters_text(self) -> str:
        unit = {"after_ms": f" {self.after_ms} ms", "connections": f" {self.connections}", None: ""}
        return self.setting + unit[_RULES[self.setting].key]

    @property
    def silence_ms(self) -> int | None:
        return self.after_ms if self.setting == "idle_session_timeout" else None

    @property
    def session_limit(self) -> int | None:
        return self.connections

    @property
    def causes(self) -> frozenset[ErrorClass]:
        return frozenset({_RULES[self.setting].causes})

    @property
    def causes_after_ms(self) -> int:
        return (self.after_ms or 0) if self.setting == "statement_timeout" else 0

    @property
    def ends_at_server(self) -> ServerEnds:
        return "idle" if self.setting in _ENDS_IDLE_SESSIONS else "none"

    @property
    def lasts_after_heal_ms(self) -> int:
        """A session keeps a limit on its rest until its next statement."""
        return (self.after_ms or 0) if self.setting in _ENDS_IDLE_SESSIONS else 0

    @property
    def trigger_sql(self) -> str:
        return _RULES[self.setting].trigger_sql(self.after_ms or 0)

    @property
    def ending(self) -> How | None:
        """FIN, where the server sends a reason before it ends a session: an RST may overtake that."""
        return None if self.setting in _SESSION_LIVES else "fin"

    @property
    def contract(self) -> Contract:
        alive = SocketExpectation("alive", "injection", 0.0, _ALIVE_S)
        after_s = (self.after_ms or 0) / 1000
        shown = SocketExpectation(_RULES[self.setting].seen, "last_byte", after_s, after_s + SERVER_LATE_S)
        return Contract(idle=alive, fresh=shown, mid_transfer=alive)

    def inject(self, wire: ProxyControl) -> None:
        if self.connections is not None:
            wire.server.set(self.setting, str(self.connections))
        else:
            wire.server.set(self.setting, "on" if self.after_ms is None else str(self.after_ms))

    def heal(self, wire: ProxyControl) -> None:
        wire.server.set(self.setting, None)

    def shortened(self) -> ServerSetting:
        if self.connections is not None:
            return self.model_copy(update={"connections": 0})
        return self.model_copy(update={"after_ms": self.after_ms and min(self.after_ms, BRIEF_MS)})

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        return (
            cls(setting="idle_session_timeout", after_ms=300),
            cls(setting="idle_in_transaction_session_timeout", after_ms=300),
            cls(setting="statement_timeout", after_ms=300),
            cls(setting="connection_limit", connections=0),
            cls(setting="default_transaction_read_only"),
        )
