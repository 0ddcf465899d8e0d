"""Two faults of another distribution: one that is held, made of toxics of its own, and one that strikes.

The folder is what an installed distribution looks like: this module, and its entry points. Put on PYTHONPATH, it is
installed.
"""

from __future__ import annotations

import time
from typing import ClassVar, Literal, Self

from pydantic import Field

from brokenpipe.error_class import HANG_CLASSES, ErrorClass
from brokenpipe.faults import Contract, Fault, How, ProxyControl, ServerEnds, SocketExpectation, Toxic
from brokenpipe.faults.contract import DELAY_LATE_S, LATE_S

BOTH_WAYS = (
    Toxic("far_upstream", "latency", "upstream", {"latency": 0, "jitter": 0}),
    Toxic("far_downstream", "latency", "downstream", {"latency": 0, "jitter": 0}),
)


class FarRegion(Fault):
    """A database in another region: what is sent is late in both directions."""

    name: Literal["far_region"] = "far_region"
    ms: int = Field(ge=1, le=5000, examples=[20], description="Milliseconds of one way.")

    momentary: ClassVar[bool] = False
    all_toxics: ClassVar[tuple[Toxic, ...]] = BOTH_WAYS
    can_cause: ClassVar[frozenset[ErrorClass]] = HANG_CLASSES
    delays: ClassVar[bool] = True
    spares_active: ClassVar[bool] = True

    @property
    def delay_ms(self) -> int:
        return 2 * self.ms

    @property
    def parameters_text(self) -> str:
        return f"{self.ms} ms each way"

    @property
    def contract(self) -> Contract:
        late_s = 2 * self.ms / 1000
        late = SocketExpectation("delayed", "sending", late_s, late_s + 2 * DELAY_LATE_S)
        return Contract(idle=late, fresh=late, mid_transfer=late)

    def inject(self, wire: ProxyControl) -> None:
        for toxic in self.all_toxics:
            wire.update(toxic.name, latency=self.ms)

    def shortened(self) -> Self:
        return self.model_copy(update={"ms": min(self.ms, 50)})


class Failover(Fault):
    """A load balancer that fails over: its connections end, and for a moment it accepts none."""

    name: Literal["failover"] = "failover"
    away_ms: int = Field(default=100, ge=0, le=2000, description="Milliseconds without a listener.")

    momentary: ClassVar[bool] = True
    can_cause: ClassVar[frozenset[ErrorClass]] = frozenset({ErrorClass.REFUSED})
    ends_connecting: ClassVar[bool] = True
    server_ends: ClassVar[ServerEnds] = "any"

    @property
    def parameters_text(self) -> str:
        return f"{self.away_ms} ms away"

    @property
    def ending(self) -> How:
        return "fin"

    @property
    def min_interval_s(self) -> float:
        return 0.2 + 2 * self.away_ms / 1000

    @property
    def contract(self) -> Contract:
        latest_s = self.away_ms / 1000 + 5 * LATE_S  # a socket is looked at when the injection is over
        end = SocketExpectation("eof", "injection", 0.0, latest_s)
        return Contract(
            idle=end, fresh=SocketExpectation("alive", "injection", 0.0, latest_s), mid_transfer=end
        )

    def inject(self, wire: ProxyControl) -> None:
        wire.refuse()
        time.sleep(self.away_ms / 1000)
        wire.accept()

    def heal(self, wire: ProxyControl) -> None:
        """Nothing: it is over when it has happened."""
