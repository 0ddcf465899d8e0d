"""The server ends every session of the service, and says so."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.base import Fault, How, Place
from brokenpipe.faults.contract import SERVER_LATE_S, Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic


class BackendKill(Fault):
    """What pg_terminate_backend does: an administrator, a maintenance script, a failover tool.

    Other than a reset, the end comes with a reason that some drivers pass on and some lose. Sessions opened later
    live. The other arms' sessions, and the harness's own, are in other databases.
    """

    name: Literal["backend_kill"] = "backend_kill"

    momentary: ClassVar[bool] = True
    place: ClassVar[Place] = "server"

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

    def toxics(self) -> tuple[Toxic, ...]:
        return ()

    def inject(self, wire: ProxyControl) -> None:
        wire.server.terminate()

    def heal(self, wire: ProxyControl) -> None:
        """Nothing: it is over when it has happened."""
