"""A report folder written by hand: what a run would have recorded, with figures that can be counted on fingers.

Times are seconds since the experiment's begin. Nothing is drawn by chance and nothing is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.unit.plans import TARGET

from brokenpipe.history import ledger, records
from brokenpipe.history.containers import Change, ContainerEvent
from brokenpipe.history.silences import SilenceEdge, SilenceKind, WatchedPart, WatchTick
from brokenpipe.history.writer import Writer
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.pipeline import measure
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario

Chain = Sequence[Mapping[str, Any]]


def link(type_: str, text: str = "", **evidence: Any) -> dict[str, Any]:
    """One exception of a chain, as the witness writes it."""
    return {"type": type_, "text": text, "sqlstate": None, "errno": None, "invalidated": None} | evidence


RESET = [
    link("sqlalchemy.exc.DBAPIError", "connection was closed in the middle of operation", invalidated=True),
    link("asyncpg.exceptions.ConnectionDoesNotExistError", "connection was closed", sqlstate="08003"),
    link("builtins.ConnectionResetError", "[Errno 104] Connection reset by peer", errno=104),
]
CLOSED = [
    link("sqlalchemy.exc.InterfaceError", "connection is closed", invalidated=True),
    link("asyncpg.exceptions._base.InterfaceError", "connection is closed"),
]
REFUSED = [link("builtins.ConnectionRefusedError", "[Errno 111] Connect call failed", errno=111)]


def error(where: str, chain: Chain, *, dead: bool | None = None) -> dict[str, Any]:
    """An error that a request met. `dead`: was its connection dead when the pool handed it out?"""
    return {
        "t": 0, "where": where, "port": 40_000, "dead_at_checkout": dead, "statement": 0,
        "disconnect": True, "chain": list(chain),
    }  # fmt: skip


class Recorded:
    """A folder being filled. Used as a context manager, it closes its files at the end."""

    def __init__(
        self, folder: Path, plan: Scenario, looks: Mapping[str, tuple[int, ...]] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        plan_json = Plan(stem="by_hand", scenario=plan, target=TARGET, looks=looks or {}).model_dump_json()
        (folder / "plan.json").write_text(plan_json, encoding="utf-8")
        environment = {"cores": 2, "command": "brokenpipe run by_hand", "versions": {"locust": "2"}}
        (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
        self._faults = {phase.name: phase.fault for phase in plan.phases if phase.fault}
        self._writers: dict[str, Writer] = {}
        self._writer("experiment")
        with (folder / "experiment.ndjson").open(encoding="utf-8") as file:
            self.base: int = json.loads(file.readline())["t"]
        self._ids = 0
        self._measured: tuple[dict[Path, tuple[int, int]], Findings] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def measured(self) -> Findings:
        """What it adds up to, measured once for as long as no file changes. More can be written afterwards."""
        files = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in self.folder.iterdir()}
        if self._measured is None or self._measured[0] != files:
            self._measured = files, measure(self.folder)
        return self._measured[1]

    def at(self, seconds: float) -> int:
        """A time as records hold it."""
        return self.base + round(seconds * 1e9)

    def _writer(self, name: str) -> Writer:
        if name not in self._writers:
            self._writers[name] = Writer(self.folder / f"{name}.ndjson", name)
        return self._writers[name]

    # --- the harness --------------------------------------------------------------------------------

    def experiment(self, record: records.Record) -> None:
        self._writer("experiment").write(record)

    def nemesis(self, record: records.Record) -> None:
        self._writer("nemesis").write(record)

    def gauge(self, record: records.Record) -> None:
        self._writer("gauges").write(record)

    def container(self, at: float, service: str, change: Change, **more: Any) -> None:
        """What the engine told of one."""
        self._writer("containers").write(ContainerEvent(self.at(at), service, change, **more))

    def silence(
        self,
        part: str,
        begins: float,
        ends: float | None,
        *,
        arm: str | None = None,
        pid: int | None = 77,
        how: SilenceKind = "stopped",
    ) -> None:
        """What the watch saw of a part that stood still; `ends` None: to the end."""
        write = self._writer("watch").write
        write(SilenceEdge(self.at(begins), "begin", part, arm, pid, how))
        if ends is not None:
            write(SilenceEdge(self.at(ends), "end", part, arm, pid, how))

    def watch(self, *parts: str, looks: Sequence[float] = ()) -> None:
        """A watch that looks at these parts, at these times."""
        for part in parts:
            self._writer("watch").write(WatchedPart(self.at(0), part, None))
        for at in looks:
            self._writer("watch").write(WatchTick(self.at(at)))

    def load(self, record: records.Record) -> None:
        self._writer("requests").write(record)

    def phase(
        self,
        name: str,
        episodes: Sequence[tuple[float, float, float | None]],
        *,
        counts: bool = True,
        first: int = 0,
    ) -> None:
        """A phase with its episodes: (begin, end, strike). It begins and ends with them."""
        self.experiment(records.PhaseEdge(t=self.at(episodes[0][0]), name=name, edge="begin"))
        for n, (t0, t1, strike) in enumerate(episodes, first):
            struck = None if strike is None else self.at(strike)
            self.experiment(
                records.Episode(phase=name, n=n, t0=self.at(t0), t1=self.at(t1), strike=struck, counts=counts)
            )
        self.experiment(records.PhaseEdge(t=self.at(episodes[-1][1]), name=name, edge="end"))

    def land(self, arm: str, phase: str, episodes: int, *, missed: int = 0) -> None:
        """What sentinels saw of an arm's strikes: all of them but the last `missed`."""
        for n in range(episodes):
            landed = n < episodes - missed
            self.nemesis(
                records.FaultDetection(
                    t=self.at(n),
                    fault="socket_kill",
                    arm=arm,
                    phase=phase,
                    episode=n,
                    expected="reset, 0 to 20 ms after injection",
                    seen="reset" if landed else "alive",
                    after_ms=2.0 + n if landed else None,
                    landed=landed,
                    timed_from="injection",
                )
            )

    def probe(self, *, held: bool = True) -> None:
        self.experiment(
            records.SelfTest(
                t=self.at(0),
                fault="socket_kill",
                situation="idle",
                expected="reset",
                seen="reset" if held else "alive",
                after_ms=3.0,
                held=held,
            )
        )

    def finish(self, how: str = "done", at: float = 100) -> None:
        """The last line. Every run has these files, at least with their opening line."""
        for writer in ("nemesis", "gauges", "requests"):
            self._writer(writer)
        if not (self.folder / "links.ndjson").exists():
            self._open_links()
        self.experiment(records.Finish(t=self.at(at), how=how))  # type: ignore[arg-type]

    # --- the load -----------------------------------------------------------------------------------

    def request(
        self,
        arm: str,
        at: float,
        ms: float | None = 50,
        *,
        status: int = 200,
        failure: str | None = None,
        error: str | None = None,
        errors: Sequence[Mapping[str, Any]] | None = None,
        checkouts: Sequence[Mapping[str, Any]] = (),
        name: str = "POST /chat",
        key: str | None = None,
        testimony: Mapping[str, Any] | None = None,
    ) -> str:
        """A request and its end (`ms` None: it never ended). With `errors`, the witness testifies, too.

        `testimony`: what else it says.
        """
        self._ids += 1
        request_id = f"User-{self._ids}"
        if errors:
            status, failure = 500, failure or "status"
        begun = ms is None or ms > 500  # under way when the log was handed to the kernel
        if begun:
            self.load(records.RequestStart(t=self.at(at), arm=arm, id=request_id, name=name, key=key))
        if ms is not None:
            self.load(
                records.RequestEnd(
                    t0=self.at(at),
                    arm=arm,
                    name=name,
                    id=request_id,
                    ms=ms,
                    status=status,
                    key=key,
                    begun=begun or None,
                    failure=failure,  # type: ignore[arg-type]
                    error=error or (f"HTTP {status}" if failure else None),
                )
            )
        if errors is not None or checkouts:
            t1 = self.at(at + (ms or 0) / 1e3)
            self.witness(
                arm, k="request", id=request_id, t0=self.at(at), t1=t1, status=status, began=True,
                failed=bool(errors), checkouts=list(checkouts), errors=list(errors or ()), raised=None, pool=None,
                **(testimony or {}),
            )  # fmt: skip
        return request_id

    def requests(self, arm: str, times: Sequence[float], ms: float = 50) -> None:
        """Successful ones, a request at each of these times."""
        for at in times:
            self.request(arm, at, ms)

    # --- the ledger ---------------------------------------------------------------------------------

    def ledger(
        self, arm: str, end: Mapping[str | None, int] | str, begin: Mapping[str | None, int] | None = None
    ) -> None:
        """What an arm's database held at the beginning and at the end; a text is why it could not be read."""
        edges: Sequence[tuple[Any, Any]] = (("begin", begin or {}), ("end", end))
        for edge, held in edges:
            error = held if isinstance(held, str) else None
            for key, count in {} if error else held.items():
                self._writer("ledger").write(ledger.LedgerEntry(arm=arm, edge=edge, key=key, count=count))
            balance = ledger.LedgerSummary(t=self.at(0), arm=arm, edge=edge, entries=len(held), error=error)
            self._writer("ledger").write(balance)

    # --- the witness, who imports nothing of ours and so writes plain JSON ----------------------------

    def witness(self, arm: str, **line: Any) -> None:
        path = self.folder / f"witness-{arm}-77.ndjson"
        with path.open("a", encoding="utf-8") as file:
            if not file.tell():
                clock = {"k": "clock", "t": self.base, "wall_ns": 1, "pid": 77, "writer": f"witness {arm}"}
                file.write(json.dumps(clock) + "\n")
            file.write(json.dumps(line) + "\n")

    # --- the proxy, which is no Python --------------------------------------------------------------

    def proxy(self, k: str, at: float, **line: Any) -> None:
        path = self.folder / "links.ndjson"
        if not path.exists():
            self._open_links()
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"k": k, "t": self.at(at), **line}) + "\n")

    def _open_links(self) -> None:
        clock = {"k": "clock", "t": self.base, "wall_ns": 1, "pid": 78, "writer": "toxiproxy"}
        (self.folder / "links.ndjson").write_text(json.dumps(clock) + "\n", encoding="utf-8")

    def act(
        self, arm: str, action: str, fault: str | None, at: float, phase: str, episode: int | None = None
    ) -> None:
        """One act of the nemesis, which takes 2 ms. The parameters of its fault are those of the plan's phase."""
        t0, t1 = self.at(at), self.at(at + 0.002)
        planned = self._faults.get(phase)
        parameters = planned.parameters if planned and planned.name == fault else None
        act = records.FaultAction(t0, t1, action, fault, arm, phase, episode, parameters=parameters)  # type: ignore[arg-type]
        self.nemesis(act)

    def connect(self, arm: str, at: float) -> None:
        self.witness(arm, k="connect", t=self.at(at), port=40_000, ms=5.0)

    def close(self, arm: str, at: float, **changes: Any) -> None:
        """A connection that the pool closed during a request's checkout."""
        line = {
            "port": 40_000, "age_ms": 500.0, "recycle_ms": None, "dead": True, "after": None,
            "pool_invalidated": False, "id": "User-1",
        }  # fmt: skip
        self.witness(arm, k="close", t=self.at(at), **(line | changes))
