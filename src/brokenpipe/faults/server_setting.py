"""The server's own limits: one setting changed while it is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from brokenpipe.faults.base import Fault, How, Place, Situation
from brokenpipe.faults.contract import SERVER_LATE_S, Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

Setting = Literal[
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
    "statement_timeout",
    "connection_limit",
    "default_transaction_read_only",
]

_SESSION_LIVES = frozenset({"statement_timeout", "default_transaction_read_only"})

BRIEF_MS = 400
_ALIVE_S = 0.3


@dataclass(frozen=True, slots=True)
class _LimitRule:
    """`key` of the fault gives its value, `seen` is the SQLSTATE it shows in, `question` brings that about."""

    key: Literal["after_ms", "connections"] | None
    seen: SocketEffect
    trigger_sql: Callable[[int], str]


_RULES: Mapping[str, _LimitRule] = {
    "idle_session_timeout": _LimitRule("after_ms", "57P05", lambda _: "SELECT 1"),
    "idle_in_transaction_session_timeout": _LimitRule("after_ms", "25P03", lambda _: "BEGIN"),
    "statement_timeout": _LimitRule("after_ms", "57014", lambda ms: f"SELECT pg_sleep({(ms + 2000) / 1000})"),
    "connection_limit": _LimitRule("connections", "53300", lambda _: "SELECT 1"),
    "default_transaction_read_only": _LimitRule(
        None, "25006", lambda _: "BEGIN; CREATE TABLE brokenpipe_probe (); ROLLBACK"
    ),
}


class ServerSetting(Fault):
    """What an administrator, or a managed database, sets for the sessions of the service.

    A session that lives feels a limit from its next statement on, and a connection limit not at all: it is for
    those that come. The harness's own sessions are exempt. All settings but the connection limit are those of the
    server, and so of all arms at once.
    """

    name: Literal["server_setting"] = "server_setting"
    setting: Setting
    after_ms: int | None = Field(default=None, ge=50, le=3_600_000)
    connections: int | None = Field(default=None, ge=0, le=60)

    momentary: ClassVar[bool] = False
    place: ClassVar[Place] = "server"
    detected_on: ClassVar[Situation] = "fresh"

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
    def trigger_sql(self) -> str:
        return _RULES[self.setting].trigger_sql(self.after_ms or 0)

    @property
    def ending(self) -> How | None:
        """A session that is told why it ends must be able to read that: an RST may overtake it."""
        return None if self.setting in _SESSION_LIVES else "fin"

    @property
    def contract(self) -> Contract:
        alive = SocketExpectation("alive", "injection", 0.0, _ALIVE_S)
        after_s = (self.after_ms or 0) / 1000
        shown = SocketExpectation(_RULES[self.setting].seen, "last_byte", after_s, after_s + SERVER_LATE_S)
        return Contract(idle=alive, fresh=shown, mid_transfer=alive)

    def toxics(self) -> tuple[Toxic, ...]:
        return ()

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
