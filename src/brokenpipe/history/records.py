"""Records of a history: one frozen dataclass for each kind of line.

Each file has one writer, and none is ever rewritten:

    experiment.ndjson        the harness   PhaseEdge, Episode, RecordedDoubt, SelfTest, ClockOffset, Resumed, Finish
    nemesis.ndjson           the nemesis   FaultAction, FaultDetection
    requests.ndjson          the load      RequestStart, RequestEnd, LoopLag, ArrivalLate, ArrivalMissed;
                                           of each worker, requests-w1.ndjson
    witness-ARM-PID.ndjson   the target    written by `witness/`, which imports nothing of ours
    gauges.ndjson            the sampler   ProcessGauge, MachineGauge, ClockReading, PostgresGauge, ConnectionSlots,
                                           ServerStart
    links.ndjson             Toxiproxy     written by `proxies/`, which is Go
    ledger.ndjson            the harness   LedgerEntry, LedgerSummary, of `ledger.py`: only of a target that has one
    containers.ndjson        the stack     ContainerEvent, of `containers.py`: only of a stack in containers
    watch.ndjson             the watch     WatchedPart, WatchTick, SilenceEdge, of `silences.py`

Every time is `time.monotonic_ns()`, which all processes of one machine share; a worker's differs by its
`ClockOffset`. Each file opens with a `Clock`, which ties it to the wall clock and names its format (`format.py`). Large
files go on in further ones, and an experiment that was cut off and resumed has files for each part: `file_names.py`
says how they are called, `resume.py` how their clocks are joined.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, Self

from brokenpipe.faults.contract import Since
from brokenpipe.faults.recorded import describe_fault
from brokenpipe.history.validity_codes import DOUBTS, Code

FORMAT = 2
"""Of what is written. 1: a fault was a text that also held its parameters, and a `Clock` had no format."""

RunEnding = Literal["done", "interrupted", "terminated", "failed", "stopped", "hung"]
"""How an experiment ended."""


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a history. `KIND` is its tag, the `k` of the JSON object."""

    KIND: ClassVar[str]

    def to_json(self) -> dict[str, object]:
        """The object as it stands in the file."""
        return {"k": self.KIND, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Clock(Record):
    """The opening line: the same instant on the monotonic and on the wall clock."""

    KIND: ClassVar[str] = "clock"
    t: int
    wall_ns: int
    pid: int
    writer: str
    format: int | None = FORMAT


# --- experiment.ndjson ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhaseEdge(Record):
    """One edge of a phase: what lies between `begin` and `end` counts."""

    KIND: ClassVar[str] = "phase"
    t: int
    name: str
    edge: Literal["begin", "end"]


@dataclass(frozen=True, slots=True)
class Episode(Record):
    """The unit of statistics, written when it is over. Requests belong to it by their start.

    `strike` is when the fault struck, or when users came back to what it had left; None in a block of
    a phase without strikes. `counts` is False for a lead-in. `arm`: the only one that was asked; None: all.
    """

    KIND: ClassVar[str] = "episode"
    phase: str
    n: int
    t0: int
    t1: int
    strike: int | None
    counts: bool
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedDoubt(Record):
    """A reason to mistrust what was measured. `unknown`: no check that rests on it may pass."""

    KIND: ClassVar[str] = "doubt"
    t: int
    code: str
    text: str
    remedy: str
    unknown: bool
    phase: str | None = None
    arm: str | None = None

    @classmethod
    def of(cls, code: Code, text: str, *, phase: str | None = None, arm: str | None = None) -> Self:
        """A doubt of the closed list, raised now. Of the whole run, or of a phase, an arm, or both."""
        kind = DOUBTS[code]
        return cls(time.monotonic_ns(), code.value, text, kind.remedy, kind.unknown, phase, arm)


@dataclass(frozen=True, slots=True)
class SelfTest(Record):
    """One situation of one fault's contract, tried on raw sockets before the experiment.

    `parameters` are those that were tried, with shorter times than the plan's.
    """

    KIND: ClassVar[str] = "probe"
    t: int
    fault: str
    situation: str
    expected: str
    seen: str
    after_ms: float | None
    held: bool
    parameters: Mapping[str, object] | None = None

    @property
    def fault_text(self) -> str:
        return describe_fault(self.fault, self.parameters)

    def __str__(self) -> str:
        outcome = "held" if self.held else f"did not hold: expected {self.expected}"
        return f"{self.fault_text}, {self.situation}: {outcome}; seen {self.seen} at {self.after_ms:.1f} ms"


@dataclass(frozen=True, slots=True)
class ClockOffset(Record):
    """A worker's clock, measured: to its times `offset_ns` is to be added, give or take `error_ns`."""

    KIND: ClassVar[str] = "sync"
    t: int
    worker: str
    offset_ns: int
    error_ns: int


@dataclass(frozen=True, slots=True)
class Resumed(Record):
    """The first line of a later part: what was cut off goes on, with a new stack. `part` counts from 1."""

    KIND: ClassVar[str] = "resumed"
    t: int
    part: int
    command: str


@dataclass(frozen=True, slots=True)
class Finish(Record):
    """The last line: how the experiment ended. Without it, it was cut off.

    `stopped`: by itself, after a phase without a fault in which an arm failed nearly every request. `hung`: because
    the plan's time was over and a part without which no arm goes on stood still. `files`: all other files of the
    history, with their sizes; None: an older history, which has no such list. `checksums`: SHA-256
    of these, of the plan, and of what stands before this line.
    """

    KIND: ClassVar[str] = "finish"
    t: int
    how: RunEnding
    files: Mapping[str, int] | None = None
    checksums: Mapping[str, str] | None = None


# --- nemesis.ndjson ---------------------------------------------------------------------------------


Action = Literal["renew", "clear", "inject", "heal", "restart"]


@dataclass(frozen=True, slots=True)
class FaultAction(Record):
    """One thing the nemesis did to one arm, with the time before and after the call.

    `fault` is its name, `parameters` are its own. `renew` ends connections so that others are opened, which end in
    another way; `clear` ends them when the load is over. These two and `restart` belong to no fault. Older histories
    have `arm` or `disarm`, and `clear` before every phase.
    """

    KIND: ClassVar[str] = "act"
    t0: int
    t1: int
    action: Action
    fault: str | None
    arm: str
    phase: str
    episode: int | None
    error: str | None = None
    parameters: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class FaultDetection(Record):
    """What a raw socket of the harness saw of a strike. A fault that it did not see did not land.

    `expected` is for readers; `timed_from` says what `after_ms` counts from.
    """

    KIND: ClassVar[str] = "landing"
    t: int
    fault: str
    arm: str
    phase: str
    episode: int | None
    expected: str
    seen: str
    after_ms: float | None
    landed: bool
    parameters: Mapping[str, object] | None = None
    timed_from: Since | None = None


# --- requests.ndjson --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestStart(Record):
    """A request whose end is not known yet: it may be cut off, or its end be lost with the process.

    `id` is the same in every arm for the same user's same request; with `arm` it is unique. `key` is what
    the client calls the write that it asks for, by the header `Idempotency-Key`; a client that repeats a
    request whose answer it missed repeats the key.
    """

    KIND: ClassVar[str] = "start"
    t: int
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
    t0: int | None
    arm: str
    name: str | None
    id: str
    ms: float
    status: int
    key: str | None = None
    begun: bool | None = None
    failure: (
        Literal["status", "transport", "timeout", "declared", "no_files", "no_ports", "no_memory"] | None
    ) = None
    error: str | None = None
    t: int | None = None

    def to_json(self) -> dict[str, object]:
        """Without what is not the case: millions of lines are alike."""
        return {key: value for key, value in Record.to_json(self).items() if value is not None}


NEVER_SENT = ("no_files", "no_ports", "no_memory")  # an End's failure: it is the load's own, and no arm's


@dataclass(frozen=True, slots=True)
class LoopLag(Record):
    """How much later than asked the load's event loop woke up: the worst since the last such line."""

    KIND: ClassVar[str] = "lag"
    t: int
    ms: float


@dataclass(frozen=True, slots=True)
class ArrivalLate(Record):
    """Of an open load: a request that began later than `t`, when it was due, by `ms` (from 1 ms on)."""

    KIND: ClassVar[str] = "late"
    t: int
    arm: str
    id: str
    ms: float


@dataclass(frozen=True, slots=True)
class ArrivalMissed(Record):
    """Of an open load: what was due at `t` and never begun, because the load paused before a user was free."""

    KIND: ClassVar[str] = "missed"
    t: int
    arm: str


# --- gauges.ndjson ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProcessGauge(Record):
    """Processor time (cumulative) and memory of one process with all its children.

    `rss_bytes` counts a page once for each process that has it; `private_bytes` leaves out what is shared with others
    or with a file. Only Postgres has it, whose processes share a cache that fills up by design, and only on Linux.
    """

    KIND: ClassVar[str] = "process"
    t: int
    role: str  # harness, load, worker w1, toxiproxy, pgbouncer, postgres or target
    arm: str | None
    cpu_s: float
    rss_bytes: int
    private_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MachineGauge(Record):
    """How busy all cores were since the last gauge, and how much a hypervisor stole, as shares 0..1."""

    KIND: ClassVar[str] = "machine"
    t: int
    busy: float
    stolen: float
    throttled: float | None = None  # share of the quota's periods in which it was used up; None: no quota


@dataclass(frozen=True, slots=True)
class ClockReading(Record):
    """One instant on every clock. `boot_ns` goes on while the machine sleeps; None where there is no such clock."""

    KIND: ClassVar[str] = "tick"
    t: int
    wall_ns: int
    boot_ns: int | None


@dataclass(frozen=True, slots=True)
class PostgresGauge(Record):
    """Client backends of one arm's database, from `pg_stat_activity`, read past the proxy.

    `transactions` is cumulative; Postgres adds to it late, if a session touches no table not before its end.
    `worked`: backends that did something since the last gauge. `direct`: those of them whose client did not come
    through Toxiproxy; None: not known. `killed` is cumulative: sessions that were ended by an administrator's order, as
    pg_terminate_backend gives it; None: Postgres before 14 does not count them, and older histories have none.
    """

    KIND: ClassVar[str] = "postgres"
    t: int
    arm: str
    connections: int
    active: int
    idle: int
    idle_in_transaction: int
    transactions: int | None = None
    worked: int | None = None
    direct: int | None = None
    killed: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectionSlots(Record):
    """Client backends of the whole server, and how many it allows, without those that it reserves."""

    KIND: ClassVar[str] = "slots"
    t: int
    used: int
    allowed: int


@dataclass(frozen=True, slots=True)
class ServerStart(Record):
    """When Postgres began, by its own clock: its postmaster, and the helper processes that this one starts.

    Helpers younger than they were, of the same postmaster: one process of the server crashed or was killed, and the
    postmaster ended all others, every session among them, and began anew.
    """

    KIND: ClassVar[str] = "server_start"
    t: int
    postmaster_us: int
    helpers_us: int
