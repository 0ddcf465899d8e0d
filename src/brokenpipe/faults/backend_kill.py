"""The server ends every session of the service, with an error that gives the reason."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.error_class import ErrorClass
from brokenpipe.faults.base import Fault, How, Place, ServerEnds
from brokenpipe.faults.contract import SERVER_LATE_S, Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl


class BackendKill(Fault):
    """What pg_terminate_backend does: an administrator, a maintenance script, a failover tool.

    The server sends a reason first, unlike a reset; some drivers pass it on and some lose it. Sessions opened later
    live. The sessions of other arms, and those of the harness, are in other databases.
    """

    name: Literal["backend_kill"] = "backend_kill"

    momentary: ClassVar[bool] = True
    place: ClassVar[Place] = "server"
    can_cause: ClassVar[frozenset[ErrorClass]] = frozenset({ErrorClass.SERVER_SHUTDOWN})
    ends_connecting: ClassVar[bool] = True
    server_ends: ClassVar[ServerEnds] = "any"

    @property
    def parameters_text(self) -> str:
        return "pg_terminate_backend"

    @property
    def ending(self) -> How:
        return "fin"

    @property
    def contract(self) -> Contract:
        end = SocketExpectation("57P01", "injection", 0.0, SERVER_LATE_S)
        return Contract(
            idle=end, fresh=SocketExpectation("alive", "injection", 0.0, 2 * SERVER_LATE_S), mid_transfer=end
        )

    def inject(self, wire: ProxyControl) -> None:
        wire.server.terminate()

    def heal(self, wire: ProxyControl) -> None:
        """Nothing: it is over when it has happened."""
