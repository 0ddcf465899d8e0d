"""requests.ndjson: what the load records: requests, arrivals, and how late its own loop was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from brokenpipe.history.records.base import Int32, Microseconds, Record, TimeNs

FailureKind = Literal["status", "transport", "timeout", "declared", "no_files", "no_ports", "no_memory"]


@dataclass(frozen=True, slots=True)
class RequestStart(Record):
    """A request whose end is not known yet: it may be cut off, or its end be lost with the process.

    `id` is the same in every arm for the same user's same request; with `arm` it is unique. `key` is what
    the client calls the write that it asks for, by the header `Idempotency-Key`; a client that repeats a
    request whose answer it missed repeats the key.
    """

    KIND: ClassVar[str] = "start"
    TABLE: ClassVar[str] = "started"
    FILES: ClassVar[str] = "requests*.ndjson"
    t: TimeNs
    arm: str
    id: str
    name: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RequestEnd(Record):
    """A request with its outcome: of a stream, when its body ended. It began at `t0` and took `ms`.

    `status` is 0 when there was no answer. `failure` names who says that it failed: the HTTP status, the
    transport between load and target, the time limit, or the locustfile; None for a success. The last three mean that
    the load itself had no descriptor, port or memory left: such a request was never sent, and counts nowhere. `begun`:
    it was under way for long enough to have a Start as well. Ends of older histories have `t`, their own time, and
    no `t0`: there every request has a Start.
    """

    KIND: ClassVar[str] = "end"
    TABLE: ClassVar[str] = "ended"
    FILES: ClassVar[str] = "requests*.ndjson"
    SPARSE: ClassVar[bool] = True  # millions of lines are alike
    t0: TimeNs | None
    arm: str
    name: str | None
    id: str
    ms: Microseconds
    status: Int32
    key: str | None = None
    begun: bool | None = None
    failure: FailureKind | None = None
    error: str | None = None
    t: TimeNs | None = None


NEVER_SENT = ("no_files", "no_ports", "no_memory")  # an end's failure: it is the load's own, and no arm's


@dataclass(frozen=True, slots=True)
class LoopLag(Record):
    """How much later than asked the load's event loop woke up: the worst since the last such line."""

    KIND: ClassVar[str] = "lag"
    TABLE: ClassVar[str] = "lags"
    FILES: ClassVar[str] = "requests*.ndjson"
    t: TimeNs
    ms: float


@dataclass(frozen=True, slots=True)
class ArrivalLate(Record):
    """Of an open load: a request that began later than `t`, when it was due, by `ms` (from 1 ms on)."""

    KIND: ClassVar[str] = "late"
    TABLE: ClassVar[str] = "late"
    FILES: ClassVar[str] = "requests*.ndjson"
    t: TimeNs
    arm: str
    id: str
    ms: float


@dataclass(frozen=True, slots=True)
class ArrivalMissed(Record):
    """Of an open load: what was due at `t` and never begun, because the load paused before a user was free."""

    KIND: ClassVar[str] = "missed"
    TABLE: ClassVar[str] = "missed"
    FILES: ClassVar[str] = "requests*.ndjson"
    t: TimeNs
    arm: str
