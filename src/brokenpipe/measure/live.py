"""The last seconds of a history that is being written: what the live pages show.

Reads what was added to the files since the last call, and classifies it by the same rules as the report. Nothing of
this is kept: the report is made from the files.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brokenpipe.faults.recorded import describe_fault
from brokenpipe.history.records import NEVER_SENT
from brokenpipe.history.schema.table import EVERY_FILE
from brokenpipe.live_view import RECENT_S, ArmSnapshot, FaultEvent
from brokenpipe.measure.failures.root_cause import failure_of

WITNESS_WAIT_S = 1.0  # how long a failed request waits for its witness record
MAX_FAULT_EVENTS = 40
_FOR_EVER = 2**63 - 1
_SKIPPED_WRITERS = frozenset({"links", "ledger"})
_SHOWN_ACTIONS = frozenset({"inject", "heal", "restart"})

RecordLine = Mapping[str, Any]


@dataclass(slots=True)
class _ArmCounters:
    requests: int = 0
    failed: int = 0
    broken: int = 0
    masked: int = 0
    recent: deque[tuple[int, float | None, bool]] = field(default_factory=deque)  # end, ms if good, broken
    pools: dict[str, RecordLine] = field(default_factory=dict)
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
            pool_out=sum(pool["out"] for pool in self.pools.values()) if self.pools else None,
            pool_idle=sum(pool["idle"] for pool in self.pools.values()) if self.pools else None,
            postgres=self.postgres,
        )


class LiveReader:
    """Incremental reader of one report folder. A file that cannot be read is skipped."""

    def __init__(self, folder: Path, arms: Sequence[str]) -> None:
        self._folder = folder
        self._arms = {arm: _ArmCounters() for arm in arms}
        self._offsets: dict[Path, int] = {}
        self._witness_records: dict[tuple[str, str], RecordLine] = {}
        self._unjudged: list[tuple[int, RecordLine]] = []  # failed requests, and when they were read
        self._acts: list[RecordLine] = []
        self._landings: dict[tuple[str, int | None], list[bool]] = defaultdict(list)
        self._phase_spans: list[tuple[int, int]] = []  # of the phases so far: begin and end

    def read(self, now: int) -> Mapping[str, ArmSnapshot]:
        """Read everything that was written since the last call. `now` is time.monotonic_ns()."""
        for path in sorted(self._folder.glob(EVERY_FILE)):
            writer = path.name.partition(".")[0]  # a long run has several files of each
            if writer in _SKIPPED_WRITERS:
                continue
            arm = writer.removeprefix("witness-").rpartition("-")[0] if path.match("witness-*") else None
            for line in self._new_lines(path):
                self._on_line(line, now, arm, writer)
        self._classify_failures(now)
        return {name: arm.snapshot(now) for name, arm in self._arms.items()}

    def fault_events(self) -> tuple[FaultEvent, ...]:
        """The latest fault events, the newest last. Acts on several arms at one moment are one event."""
        found: list[FaultEvent] = []
        open_: dict[str, int] = {}  # fault → its place in `found`
        for act in self._acts:
            action, fault = act["action"], act["fault"] and _fault_text(act)
            if action == "inject" and fault:
                before = found[-1] if found else None
                if (
                    before
                    and (before.fault, before.phase) == (fault, act["phase"])
                    and self._is_same_event(before, act)
                ):
                    found[-1] = self._fault_event(act, (*before.arms, act["arm"]), before.t, before.error)
                else:
                    open_[fault] = len(found)
                    found.append(self._fault_event(act, (act["arm"],), act["t0"], None))
            elif action == "heal" and fault in open_:
                n = open_[fault]
                found[n] = _with_end(found[n], act["t0"])
        return tuple(found[-MAX_FAULT_EVENTS:])

    # --- reading ------------------------------------------------------------------------------------

    def _new_lines(self, path: Path) -> Iterator[RecordLine]:
        """The complete lines that were added since the last call."""
        try:
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                added = file.read()
        except OSError:
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._offsets[path] = self._offsets.get(path, 0) + len(whole)
        for line in whole.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def _on_line(self, line: RecordLine, now: int, witnessed: str | None, file: str) -> None:
        if witnessed in self._arms:
            self._on_witness_line(line, self._arms[witnessed], witnessed, file)
            return
        match line:
            case {"k": "end", "arm": arm, "t0": int()} if arm in self._arms:
                self._on_request_end(line, now)
            case {"k": "postgres", "arm": arm, "connections": connections} if arm in self._arms:
                self._arms[arm].postgres = connections
            case {"k": "phase"}:
                self._on_phase_edge(line)
            case {"k": "act", "action": action} if action in _SHOWN_ACTIONS:
                self._acts.append(line)
            case {"k": "landing", "phase": phase, "episode": episode, "landed": landed}:
                self._landings[phase, episode].append(landed)

    def _on_request_end(self, line: RecordLine, now: int) -> None:
        if line.get("failure") in NEVER_SENT:
            return
        if line.get("failure"):
            self._unjudged.append((now, line))
        elif self._is_in_a_phase(line["t0"]):
            self._arms[line["arm"]].add(_end_of(line), line["ms"], broken=False)

    def _on_witness_line(self, line: RecordLine, arm: _ArmCounters, name: str, file: str) -> None:
        match line.get("k"):
            case "request":
                self._witness_records[name, line["id"]] = line
            case "pool":
                arm.pools[file] = line
            case "close":
                arm.masked += _is_masked_disconnect(line) and self._is_in_a_phase(line["t"])

    def _on_phase_edge(self, edge: RecordLine) -> None:
        if edge["edge"] == "begin":
            self._phase_spans.append((edge["t"], _FOR_EVER))
        elif self._phase_spans:
            self._phase_spans[-1] = (self._phase_spans[-1][0], edge["t"])

    def _is_in_a_phase(self, t0: int) -> bool:
        """Whether a request that began then belongs to a phase. The harness breaks some between phases."""
        return any(begin <= t0 < end for begin, end in reversed(self._phase_spans))

    # --- judging ------------------------------------------------------------------------------------

    def _classify_failures(self, now: int) -> None:
        left = []
        for read, end in self._unjudged:
            told = self._witness_records.pop((end["arm"], end["id"]), None)
            if told is None and now - read < WITNESS_WAIT_S * 1e9:
                left.append((read, end))
                continue
            if self._is_in_a_phase(end["t0"]):
                self._arms[end["arm"]].add(_end_of(end), None, broken=_is_broken(end, told))
        self._unjudged = left
        while len(self._witness_records) > 10_000:  # of requests that did not fail for their client
            self._witness_records.pop(next(iter(self._witness_records)))

    def _is_same_event(self, deed: FaultEvent, act: RecordLine) -> bool:
        return act["arm"] not in deed.arms and act["t0"] - deed.t < 1_000_000_000

    def _fault_event(self, act: RecordLine, arms: tuple[str, ...], t: int, error: str | None) -> FaultEvent:
        seen = self._landings.get((act["phase"], act["episode"]), [])
        held = act["episode"] is None
        if held:
            seen = [
                each for (phase, _), some in self._landings.items() if phase == act["phase"] for each in some
            ]
        return FaultEvent(
            t=t,
            fault=_fault_text(act),
            phase=act["phase"],
            arms=arms,
            held=held,
            ended=None,
            landed=sum(seen),
            watched=len(seen),
            error=error or act["error"],
        )


def _fault_text(act: RecordLine) -> str:
    return describe_fault(act["fault"], act.get("parameters"))


def _end_of(line: RecordLine) -> int:
    return int(line["t0"] + line["ms"] * 1e6)


def _with_end(deed: FaultEvent, t: int) -> FaultEvent:
    return FaultEvent(**{**{name: getattr(deed, name) for name in FaultEvent.__slots__}, "ended": t})


def _is_masked_disconnect(close: RecordLine) -> bool:
    """Whether a dead connection was replaced before a request got it, by the rules of `tables/pool_costs`."""
    after, recycle_ms = close.get("after"), close.get("recycle_ms")
    if close.get("id") is None or after not in (None, "ping"):
        return False
    if after == "ping":
        return True
    replaced = (recycle_ms is not None and close["age_ms"] >= recycle_ms) or close.get("pool_invalidated")
    return bool(close.get("dead") and replaced)


def _is_broken(end: RecordLine, told: RecordLine | None) -> bool:
    """Whether a failed request is a broken one, by the rules of the report."""
    told = told or {}
    testimony = (
        json.dumps(told[key]) if told.get(key) is not None else None
        for key in ("errors", "raised", "waiting")
    )
    place = (
        end["arm"],
        "",
        0,
        end["id"],
        end["name"],
        end["t0"],
        _end_of(end),
        end["status"],
        end["failure"],
        end.get("error"),
    )
    return failure_of((*place, *testimony, None, told.get("began_t"), told.get("status"))).broken
