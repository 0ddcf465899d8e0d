"""The database server stops and starts again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field

from brokenpipe.error_class import ErrorClass
from brokenpipe.faults.base import Fault, How, Place, ServerEnds
from brokenpipe.faults.contract import SERVER_LATE_S, Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl
from brokenpipe.faults.server_control import StopMode

UP_AGAIN_S = 5.0  # measured: 0.3 s on a quiet machine
LEAST_EVERY_S = 4.0
KILLED_LATE_S = 0.2  # all processes are found and frozen first; measured: 22 to 84 ms on a busy machine

# What a session sees of its end, and what is as good.
_ENDS: Mapping[StopMode, tuple[SocketEffect, SocketEffect | None]] = {
    "fast": ("57P01", None),
    "immediate": ("57P01", "eof"),  # said by a backend that is ending itself: one in ten is not received
    "kill": ("eof", "57P01"),  # in a container a backend may outlive its postmaster for long enough to say so
}


class ServerRestart(Fault):
    """An upgrade, a changed setting, an administrator (fast); one without patience (immediate); no memory left (kill).

        sessions ended, notified or not ─▶ refused ─▶ "the database system is starting up" ─▶ up

    The server is one for all arms, so it happens once to all of them. `away_ms`: how much longer than need be it
    stays away.
    """

    name: Literal["server_restart"] = "server_restart"
    mode: StopMode = Field(
        default="fast",
        description="How the server stops: fast (an administrator), immediate (a crash), or kill (no memory left).",
    )
    away_ms: int = Field(
        default=0,
        ge=0,
        le=60_000,
        description="How many milliseconds longer than need be the server stays away.",
    )

    momentary: ClassVar[bool] = True
    place: ClassVar[Place] = "server"
    can_cause: ClassVar[frozenset[ErrorClass]] = frozenset(
        {
            ErrorClass.REFUSED,
            ErrorClass.NOT_ACCEPTING,
            ErrorClass.SERVER_SHUTDOWN,
            ErrorClass.SERVER_CRASH,
            ErrorClass.POOLER,  # what PgBouncer says while Postgres is away
        }
    )
    ends_connecting: ClassVar[bool] = True
    server_ends: ClassVar[ServerEnds] = "any"
    stops_server: ClassVar[bool] = True

    @property
    def shared(self) -> bool:
        return True

    @property
    def min_interval_s(self) -> float:
        return LEAST_EVERY_S + 2 * self.away_ms / 1000

    @property
    def parameters_text(self) -> str:
        return self.mode + (f", {self.away_ms} ms away" if self.away_ms else "")

    @property
    def ending(self) -> How:
        return "fin"

    @property
    def contract(self) -> Contract:
        told, also = _ENDS[self.mode]
        late_s = KILLED_LATE_S if self.mode == "kill" else SERVER_LATE_S
        end = SocketExpectation(told, "injection", 0.0, late_s, also)
        away = SocketExpectation("refused", "injection", 0.0, UP_AGAIN_S + self.away_ms / 1000)
        return Contract(idle=end, fresh=away, mid_transfer=end)

    def inject(self, wire: ProxyControl) -> None:
        self.inject_everywhere((wire,))

    def inject_everywhere(self, wires: Sequence[ProxyControl]) -> None:
        # A proxy whose server is away accepts and hangs up; without it in between one would be refused.
        direct = [wire for wire in wires if not wire.server.pooled]

        def refuse() -> None:
            for wire in direct:
                wire.refuse()

        def accept() -> None:
            for wire in direct:
                wire.accept()

        wires[0].server.restart(self.mode, self.away_ms / 1000, on_stopped=refuse, on_listening=accept)

    def heal(self, wire: ProxyControl) -> None:
        """Nothing: it is over when it has happened."""

    def shortened(self) -> ServerRestart:
        return self.model_copy(update={"away_ms": min(self.away_ms, 500)})

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        return cls(), cls(mode="immediate"), cls(mode="kill")
