"""The database server stands still: it keeps its connections, and answers nothing."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.error_class import HANG_CLASSES, ErrorClass
from brokenpipe.faults.base import Fault, Place, Situation
from brokenpipe.faults.contract import Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl

_LONG_ENOUGH_S = 0.3  # for an answer, which takes a millisecond


class ServerPause(Fault):
    """A virtual machine that is moved or snapshotted, a machine that swaps, a disk that hangs.

    The server's processes stand still, and its kernel lives: connections open, what is sent is acknowledged and waits.
    So neither keepalives nor TCP_USER_TIMEOUT notice anything. When it is healed everything is answered, late, and no
    byte is missing. The server is one for all arms, so it happens to all of them.
    """

    name: Literal["server_pause"] = "server_pause"

    momentary: ClassVar[bool] = False
    place: ClassVar[Place] = "server"
    detected_on: ClassVar[Situation] = "fresh"
    # A statement is cancelled by a limit of the service's own.
    can_cause: ClassVar[frozenset[ErrorClass]] = HANG_CLASSES | {ErrorClass.STATEMENT_CANCELLED}
    silences: ClassVar[bool] = True
    ends_connecting: ClassVar[bool] = True
    stops_server: ClassVar[bool] = True

    @property
    def shared(self) -> bool:
        return True

    @property
    def parameters_text(self) -> str:
        return "all its processes"

    @property
    def contract(self) -> Contract:
        silent = SocketExpectation("silence", "injection", 0.0, _LONG_ENOUGH_S)
        return Contract(idle=silent, fresh=silent, mid_transfer=silent)

    def inject(self, wire: ProxyControl) -> None:
        wire.server.pause()

    def heal(self, wire: ProxyControl) -> None:
        wire.server.resume()
