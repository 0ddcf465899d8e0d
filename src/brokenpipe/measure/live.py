"""The last seconds of a history that is being written: what the live pages show.

Reads what was added to the files since the last call, and classifies it by the same rules as the report. Nothing of
this is kept: the report is made from the files.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from brokenpipe.faults.recorded import describe_fault
from brokenpipe.history.records import (
    EVERY_FILE,
    NEVER_SENT,
    FaultAction,
    FaultDetection,
    PhaseEdge,
    PostgresGauge,
    Record,
    RequestEnd,
)
from brokenpipe.history.records.witness import WitnessClose, WitnessPool, WitnessRequest
from brokenpipe.live_view import RECENT_S, ArmSnapshot, FaultEvent
from brokenpipe.measure.failures.root_cause import FailureRecords, classify_failure
from brokenpipe.measure.tables.pool_costs import replaced_connection

WITNESS_WAIT_S = 1.0  # how long a failed request waits for its witness record
MAX_FAULT_EVENTS = 40
_FOR_EVER = 2**63 - 1
_SKIPPED_WRITERS = frozenset({"links", "ledger"})
_SHOWN_ACTIONS = frozenset({"inject", "heal", "restart"})

_OURS = {kind.KIND: kind for kind in (RequestEnd, PostgresGauge, PhaseEdge, FaultAction, FaultDetection)}
_OF_WITNESS = {kind.KIND: kind for kind in (WitnessRequest, WitnessPool, WitnessClose)}


@dataclass(slots=True)
class _ArmCounters:
    requests: int = 0
    failed: int = 0
    broken: int = 0
    masked: int = 0
    recent: deque[tuple[int, float | None, bool]] = field(default_factory=deque)  # end, ms if good, broken
    pools: dict[str, WitnessPool] = field(default_factory=dict)
    postgres: int | None = None

    def add(self, end: int, ms: float | None, *, broken: bool) -> None:
        self.requests += 1
        self.failed += ms is None
        self.broken += broken
        self.recent.append((end, ms, broken))

    def snapshot(self, now: int) -> ArmSnapshot:
        while self.recent and self.recent[0][0] < now - RECENT_S * 1e9:
            self.recent.popleft()
        good = sorted(ms for _, ms, _ in self.recent if ms is not None)
        return ArmSnapshot(
            requests=self.requests,
            failed=self.failed,
            broken=self.broken,
            masked=self.masked,
            requests_lately=len(self.recent),
            broken_lately=sum(broken for _, _, broken in self.recent),
            p95_ms=good[math.ceil(0.95 * len(good)) - 1] if good else None,
            pool_out=sum(pool.out or 0 for pool in self.pools.values()) if self.pools else None,
            pool_idle=sum(pool.idle or 0 for pool in self.pools.values()) if self.pools else None,
            postgres=self.postgres,
        )


class LiveReader:
    """Incremental reader of one report folder. A file that cannot be read is skipped."""

    def __init__(self, folder: Path, arms: Sequence[str]) -> None:
        self._folder = folder
        self._arms = {arm: _ArmCounters() for arm in arms}
        self._offsets: dict[Path, int] = {}
        self._witness_records: dict[tuple[str, str], WitnessRequest] = {}
        self._unjudged: list[tuple[int, RequestEnd]] = []  # failed requests, and when they were read
        self._acts: list[FaultAction] = []
        self._landings: dict[tuple[str, int | None], list[bool]] = defaultdict(list)
        self._phase_spans: list[tuple[int, int]] = []  # of the phases so far: begin and end

    def read(self, now: int) -> Mapping[str, ArmSnapshot]:
        """Read everything that was written since the last call. `now` is time.monotonic_ns()."""
        for path in sorted(self._folder.glob(EVERY_FILE)):
            writer = path.name.partition(".")[0]  # a long run has several files of each
            if writer in _SKIPPED_WRITERS:
                continue
            arm = writer.removeprefix("witness-").rpartition("-")[0] if path.match("witness-*") else None
            kinds: Mapping[str, type[Record]] = _OURS if arm is None else _OF_WITNESS
            for record in self._new_records(path, kinds):
                self._on_record(record, now, arm, writer)
        self._classify_failures(now)
        return {name: arm.snapshot(now) for name, arm in self._arms.items()}

    def fault_events(self) -> tuple[FaultEvent, ...]:
        """The latest fault events, the newest last. Acts on several arms at one moment are one event."""
        found: list[FaultEvent] = []
        open_: dict[str, int] = {}  # fault → its place in `found`
        for act in self._acts:
            fault = act.fault and describe_fault(act.fault, act.parameters)
            if act.action == "inject" and fault:
                before = found[-1] if found else None
                if before and self._is_same_event(before, act, fault):
                    found[-1] = self._fault_event(act, fault, (*before.arms, act.arm), before.t, before.error)
                else:
                    open_[fault] = len(found)
                    found.append(self._fault_event(act, fault, (act.arm,), act.t0, None))
            elif act.action == "heal" and fault in open_:
                n = open_[fault]
                found[n] = _with_end(found[n], act.t0)
        return tuple(found[-MAX_FAULT_EVENTS:])

    # --- reading ------------------------------------------------------------------------------------

    def _new_records(self, path: Path, kinds: Mapping[str, type[Record]]) -> Iterator[Record]:
        """The records of these kinds in the complete lines that were added since the last call."""
        try:
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                added = file.read()
        except OSError:
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._offsets[path] = self._offsets.get(path, 0) + len(whole)
        for text in whole.splitlines():
            with suppress(ValueError, TypeError, AttributeError):  # a damaged line, which the report counts
                line = json.loads(text)
                if kind := kinds.get(line.get("k")):
                    yield kind.from_json(line)

    def _on_record(self, record: Record, now: int, witnessed: str | None, file: str) -> None:
        if witnessed is not None:
            if witnessed in self._arms:
                self._on_witness_record(record, self._arms[witnessed], witnessed, file)
            return
        match record:
            case RequestEnd() if record.arm in self._arms and record.t0 is not None:
                self._on_request_end(record, record.t0, now)
            case PostgresGauge() if record.arm in self._arms:
                self._arms[record.arm].postgres = record.connections
            case PhaseEdge():
                self._on_phase_edge(record)
            case FaultAction() if record.action in _SHOWN_ACTIONS:
                self._acts.append(record)
            case FaultDetection():
                self._landings[record.phase, record.episode].append(record.landed)

    def _on_request_end(self, end: RequestEnd, begin: int, now: int) -> None:
        if end.failure in NEVER_SENT:
            return
        if end.failure:
            self._unjudged.append((now, end))
        elif self._is_in_a_phase(begin):
            self._arms[end.arm].add(_end_of(end), end.ms, broken=False)

    def _on_witness_record(self, record: Record, arm: _ArmCounters, name: str, file: str) -> None:
        match record:
            case WitnessRequest():
                self._witness_records[name, record.id] = record
            case WitnessPool():
                arm.pools[file] = record
            case WitnessClose() if self._is_in_a_phase(record.t):
                replaced = replaced_connection(record)
                arm.masked += replaced is not None and replaced.masked_disconnect

    def _on_phase_edge(self, edge: PhaseEdge) -> None:
        if edge.edge == "begin":
            self._phase_spans.append((edge.t, _FOR_EVER))
        elif self._phase_spans:
            self._phase_spans[-1] = (self._phase_spans[-1][0], edge.t)

    def _is_in_a_phase(self, t0: int) -> bool:
        """Whether a request that began then belongs to a phase. The harness breaks some between phases."""
        return any(begin <= t0 < end for begin, end in reversed(self._phase_spans))

    # --- judging ------------------------------------------------------------------------------------

    def _classify_failures(self, now: int) -> None:
        left = []
        for read, end in self._unjudged:
            told = self._witness_records.pop((end.arm, end.id), None)
            if told is None and now - read < WITNESS_WAIT_S * 1e9:
                left.append((read, end))
                continue
            if self._is_in_a_phase(end.t0 or 0):
                self._arms[end.arm].add(_end_of(end), None, broken=_is_broken(end, told))
        self._unjudged = left
        while len(self._witness_records) > 10_000:  # of requests that did not fail for their client
            self._witness_records.pop(next(iter(self._witness_records)))

    def _is_same_event(self, event: FaultEvent, act: FaultAction, fault: str) -> bool:
        same = (event.fault, event.phase) == (fault, act.phase)
        return same and act.arm not in event.arms and act.t0 - event.t < 1_000_000_000

    def _fault_event(
        self, act: FaultAction, fault: str, arms: tuple[str, ...], t: int, error: str | None
    ) -> FaultEvent:
        seen = self._landings.get((act.phase, act.episode), [])
        held = act.episode is None
        if held:
            seen = [
                each for (phase, _), some in self._landings.items() if phase == act.phase for each in some
            ]
        return FaultEvent(
            t=t,
            fault=fault,
            phase=act.phase,
            arms=arms,
            held=held,
            ended=None,
            landed=sum(seen),
            watched=len(seen),
            error=error or act.error,
        )


def _end_of(end: RequestEnd) -> int:
    return int((end.t0 or 0) + end.ms * 1e6)


def _with_end(deed: FaultEvent, t: int) -> FaultEvent:
    return replace(deed, ended=t)


def _is_broken(end: RequestEnd, witnessed: WitnessRequest | None) -> bool:
    """Whether a failed request is a broken one, by the rules of the report."""
    from_client = FailureRecords(
        arm=end.arm,
        phase="",
        episode=0,
        id=end.id,
        name=end.name or "",
        begin=end.t0 or 0,
        end=_end_of(end),
        status=end.status,
        failed_by=end.failure or "",
        error=end.error,
    )
    if witnessed is None:
        return classify_failure(from_client).broken
    recorded = replace(
        from_client,
        errors=witnessed.errors,
        raised=witnessed.raised,
        waiting=witnessed.waiting,
        response_began=witnessed.began_t,
        answered=witnessed.status,
    )
    return classify_failure(recorded).broken
