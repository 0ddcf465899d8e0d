"""Faults of a history that no installed distribution provides: a name, and parameters that mean nothing here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import ConfigDict

from brokenpipe.errors import ProxyError
from brokenpipe.faults.base import Fault
from brokenpipe.faults.contract import Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl


class UnknownFault(Fault):
    """A fault that was played elsewhere. It can be named, and not injected; its contract promises nothing."""

    model_config = ConfigDict(extra="allow")

    momentary: ClassVar[bool] = False
    is_known: ClassVar[bool] = False

    @property
    def parameters_text(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in (self.model_extra or {}).items()) or "unknown"

    @property
    def contract(self) -> Contract:
        alive = SocketExpectation("alive", "injection", 0.0, 0.0)
        return Contract(idle=alive, fresh=alive, mid_transfer=alive)

    def inject(self, wire: ProxyControl) -> None:
        raise ProxyError(f"{wire}: {self.name} is no fault that is installed")


class UnknownStrike(UnknownFault):
    """One that happened at one moment, as its run has recorded."""

    momentary: ClassVar[bool] = True


def unknown_fault(recorded: Mapping[str, object], *, momentary: bool) -> UnknownFault:
    """The fault of a history. Raises ValidationError if that is no table with a name."""
    return (UnknownStrike if momentary else UnknownFault).model_validate(recorded)
