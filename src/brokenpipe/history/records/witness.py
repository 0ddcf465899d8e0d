"""witness-ARM-PID.ndjson: what the witness records inside a target.

The witness is copied into processes that have nothing of ours, so it writes these lines from dictionaries of its own.
A test compares what it writes with what is declared here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from brokenpipe.history.records.base import Int32, Json, Record, Stored, TimeNs


@dataclass(frozen=True, slots=True)
class WitnessCheckout:
    """One checkout of a request, in its line."""

    t: TimeNs | None = None
    port: Int32 | None = None
    wait_ms: float | None = None
    ping_ms: float | None = None
    connect_ms: float | None = None
    failed_ping_ms: float | None = None
    backoff_ms: float | None = None
    fresh: bool | None = None
    dead: bool | None = None
    held_ms: float | None = None
    statements: Int32 | None = None
    statements_ms: float | None = None


@dataclass(frozen=True, slots=True)
class WitnessException:
    """One exception of a chain, the outermost first."""

    type: str | None = None
    text: str | None = None
    sqlstate: str | None = None
    errno: int | None = None
    invalidated: bool | None = None


@dataclass(frozen=True, slots=True)
class WitnessPoolState:
    """What a pool was at when it gave no connection: counted since it was asked for this one.

    `last_failure`: how the last connection could not be opened. `backoff_ms`: its pauses between dead connections.
    """

    out: Int32 | None = None
    most: Int32 | None = None
    failed_pings: Int32 | None = None
    failed_connects: Int32 | None = None
    last_failure: Sequence[WitnessException] | None = None
    backoff_ms: float | None = None


@dataclass(frozen=True, slots=True)
class WitnessOperation:
    """An operation that failed, or that a request waits for: one of `errors`, or `waiting`."""

    t: TimeNs | None = None
    where: str | None = None
    act: str | None = None
    began: TimeNs | None = None
    since: TimeNs | None = None
    handed: TimeNs | None = None
    port: Int32 | None = None
    dead_at_checkout: bool | None = None
    dead: bool | None = None
    statement: Int32 | None = None
    transaction: Int32 | None = None
    rest_ms: float | None = None
    pid: int | None = None
    on_loop: bool | None = None
    holding: Int32 | None = None
    pool_state: WitnessPoolState | None = None
    disconnect: bool | None = None
    chain: Sequence[WitnessException] | None = None


Operation = Annotated[Any, Stored("JSON", holds=WitnessOperation)]
Operations = Annotated[Any, Stored("JSON", holds=Sequence[WitnessOperation])]
Exceptions = Annotated[Any, Stored("JSON", holds=Sequence[WitnessException])]


@dataclass(frozen=True, slots=True)
class WitnessRequest(Record):
    """What a request did with the pool, of one with something to tell. `left_t`: when its client had gone."""

    KIND: ClassVar[str] = "request"
    TABLE: ClassVar[str] = "testimonies"
    FILES: ClassVar[str] = "witness-*.ndjson"
    id: str
    t0: TimeNs
    t1: TimeNs | None = None
    status: Int32 | None = None
    began: bool | None = None
    began_t: TimeNs | None = None
    failed: bool | None = None
    left_t: TimeNs | None = None
    checkouts: Sequence[WitnessCheckout] | None = None
    nested: Int32 | None = None
    nested_wait_ms: float | None = None
    unreturned: Int32 | None = None
    loop_ms: float | None = None
    errors: Operations | None = None
    waiting: Operation | None = None
    raised: Exceptions | None = None
    pool: Json | None = None


@dataclass(frozen=True, slots=True)
class WitnessTally(Record):
    """Sums over the requests that have no line of their own, and their checkouts.

    `request_ms`: what they took in all. `loop_ms`: what of that passed while the loop was late, and outside of any
    operation of a pool or database.
    """

    KIND: ClassVar[str] = "tally"
    TABLE: ClassVar[str] = "tallies"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    t0: TimeNs | None = None
    requests: Int32 | None = None
    checkouts: Int32 | None = None
    pings: Int32 | None = None
    ping_ms: float | None = None
    wait_ms: float | None = None
    waits_ms: Sequence[float] | None = None
    held_ms: float | None = None
    connects: Int32 | None = None
    connect_ms: float | None = None
    failed_ping_ms: float | None = None
    statements_ms: float | None = None
    loop_ms: float | None = None
    request_ms: float | None = None


@dataclass(frozen=True, slots=True)
class WitnessReturn(Record):
    """A connection that came back `ms` after the request that took it had ended. `collected`: as garbage."""

    KIND: ClassVar[str] = "returned"
    TABLE: ClassVar[str] = "returns"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    id: str | None = None
    port: Int32 | None = None
    handed: TimeNs | None = None
    ms: float | None = None
    of: Int32 | None = None
    collected: bool | None = None


@dataclass(frozen=True, slots=True)
class WitnessStall(Record):
    """An operation that has not ended for a while: seen at `t`, begun at `since`."""

    KIND: ClassVar[str] = "stall"
    TABLE: ClassVar[str] = "stalls"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    id: str
    act: str | None = None
    since: TimeNs | None = None
    port: Int32 | None = None
    holding: Int32 | None = None
    pid: Int32 | None = None
    dead_at_checkout: bool | None = None
    dead: bool | None = None
    handed: TimeNs | None = None
    statement: Int32 | None = None
    transaction: Int32 | None = None
    rest_ms: float | None = None


@dataclass(frozen=True, slots=True)
class WitnessConnect(Record):
    """A connection that the pool opened. `of` says which of several pools, `id` for which request."""

    KIND: ClassVar[str] = "connect"
    TABLE: ClassVar[str] = "connects"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    port: Int32 | None = None
    ms: float | None = None
    of: Int32 | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessConnectFailure(Record):
    """A connection that could not be opened, and the errors that said so."""

    KIND: ClassVar[str] = "connect_failed"
    TABLE: ClassVar[str] = "connect_failures"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    ms: float | None = None
    of: Int32 | None = None
    id: str | None = None
    chain: Exceptions | None = None


@dataclass(frozen=True, slots=True)
class WitnessPingFailure(Record):
    """A ping that failed at a checkout."""

    KIND: ClassVar[str] = "ping_failed"
    TABLE: ClassVar[str] = "ping_failures"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    port: Int32 | None = None
    id: str | None = None
    ms: float | None = None
    dead: bool | None = None


@dataclass(frozen=True, slots=True)
class WitnessInvalidation(Record):
    """A connection that the pool marked as unusable. `soft`: at its next checkout."""

    KIND: ClassVar[str] = "invalidate"
    TABLE: ClassVar[str] = "invalidations"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    port: Int32 | None = None
    soft: bool | None = None
    of: Int32 | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessClose(Record):
    """A connection that the pool closed. `dead`: it was already; `after`: what had failed on it."""

    KIND: ClassVar[str] = "close"
    TABLE: ClassVar[str] = "closes"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    port: Int32 | None = None
    age_ms: float | None = None
    recycle_ms: float | None = None
    dead: bool | None = None
    after: str | None = None
    pool_invalidated: bool | None = None
    of: Int32 | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessPool(Record):
    """How full a pool is. `most` and `timeout_s` are its limits."""

    KIND: ClassVar[str] = "pool"
    TABLE: ClassVar[str] = "pools"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    pid: Int32 | None = None
    size: Int32 | None = None
    idle: Int32 | None = None
    out: Int32 | None = None
    overflow: Int32 | None = None
    most: Int32 | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class WitnessLoopLag(Record):
    """How late the service's event loop woke at worst since the last such line."""

    KIND: ClassVar[str] = "loop"
    TABLE: ClassVar[str] = "loops"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    pid: Int32 | None = None
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class WitnessTick(Record):
    """The witness's thread is alive. Where this is missing, the process stood still."""

    KIND: ClassVar[str] = "tick"
    TABLE: ClassVar[str] = "witness_ticks"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    pid: Int32 | None = None


@dataclass(frozen=True, slots=True)
class WitnessRepeat(Record):
    """An id that an earlier request had: the two cannot be told apart."""

    KIND: ClassVar[str] = "repeat"
    TABLE: ClassVar[str] = "repeats"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessPlane(Record):
    """A library that the witness sees: in the plane of requests, pools or connections. Once in each process."""

    KIND: ClassVar[str] = "plane"
    TABLE: ClassVar[str] = "planes"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    plane: str | None = None
    library: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessPoolSettings(Record):
    """How a pool was made. `arguments`: numbers and flags; texts among them are Python source."""

    KIND: ClassVar[str] = "pool_settings"
    TABLE: ClassVar[str] = "pool_settings"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    library: str | None = None
    constructor: str | None = None
    arguments: Json | None = None


@dataclass(frozen=True, slots=True)
class WitnessWebSocket(Record):
    """A WebSocket connection that the service accepted. Its messages are not followed."""

    KIND: ClassVar[str] = "websocket"
    TABLE: ClassVar[str] = "websockets"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    pid: Int32 | None = None


@dataclass(frozen=True, slots=True)
class WitnessTrouble(Record):
    """Something that the witness itself failed at."""

    KIND: ClassVar[str] = "trouble"
    TABLE: ClassVar[str] = "troubles"
    FILES: ClassVar[str] = "witness-*.ndjson"
    t: TimeNs
    text: str | None = None
