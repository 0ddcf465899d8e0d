"""Every byte in one direction arrives late; none is lost."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from brokenpipe.error_class import HANG_CLASSES, ErrorClass
from brokenpipe.faults.base import Fault
from brokenpipe.faults.contract import DELAY_LATE_S, Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Stream, Toxic

LATENCY_UPSTREAM = Toxic("latency_upstream", "latency", "upstream", {"latency": 0, "jitter": 0})
LATENCY_DOWNSTREAM = Toxic("latency_downstream", "latency", "downstream", {"latency": 0, "jitter": 0})

_BRIEF_MS = 200


class Latency(Fault):
    """A database that moved to another zone.

    `ms` milliseconds are added in one direction, so to each round trip once; `jitter_ms` varies that evenly
    by as much up and down. Establishing a connection is not delayed by itself: the proxy's kernel accepts it.
    """

    name: Literal["latency"] = "latency"
    ms: int = Field(
        ge=1,
        le=10_000,
        examples=[25],
        description="Milliseconds added in one direction, to each round trip once.",
    )
    jitter_ms: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="By how many milliseconds the delay varies, up and down.",
    )
    direction: Stream = Field(
        default="downstream", description="downstream: towards the service. upstream: towards Postgres."
    )

    momentary: ClassVar[bool] = False
    all_toxics: ClassVar[tuple[Toxic, ...]] = (LATENCY_DOWNSTREAM, LATENCY_UPSTREAM)
    can_cause: ClassVar[frozenset[ErrorClass]] = HANG_CLASSES
    delays: ClassVar[bool] = True
    spares_active: ClassVar[bool] = True

    @model_validator(mode="after")
    def _never_negative(self) -> Self:
        if self.jitter_ms > self.ms:
            raise ValueError(
                f"jitter_ms is at most ms, or delays were negative: found {self.jitter_ms} > {self.ms}"
            )
        return self

    @property
    def parameters_text(self) -> str:
        jitter = f" ± {self.jitter_ms}" if self.jitter_ms else ""
        return f"{self.ms}{jitter} ms {self.direction}"

    @property
    def delay_ms(self) -> int:
        return self.ms

    @property
    def least_delay_ms(self) -> int:
        return max(0, self.ms - self.jitter_ms)

    @property
    def most_delay_ms(self) -> int:
        return self.ms + self.jitter_ms

    @property
    def contract(self) -> Contract:
        least, most = self.ms - self.jitter_ms, self.ms + self.jitter_ms
        late = SocketExpectation("delayed", "sending", least / 1000, most / 1000 + DELAY_LATE_S)
        return Contract(idle=late, fresh=late, mid_transfer=late)

    def toxics(self) -> tuple[Toxic, ...]:
        return (LATENCY_UPSTREAM if self.direction == "upstream" else LATENCY_DOWNSTREAM,)

    def inject(self, wire: ProxyControl) -> None:
        for toxic in self.toxics():
            wire.update(toxic.name, latency=self.ms, jitter=self.jitter_ms)

    def shortened(self) -> Latency:
        return self.model_copy(
            update={"ms": min(self.ms, _BRIEF_MS), "jitter_ms": min(self.jitter_ms, _BRIEF_MS)}
        )

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        return cls(ms=25), cls(ms=25, direction="upstream")
