"""The state that the web pages show of a run: built twice a second and sent as JSON."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brokenpipe.drive.interactive.command_queue import CommandQueue
from brokenpipe.drive.interactive.manual_run import ManualRun
from brokenpipe.drive.locust.process import LocustProcess
from brokenpipe.errors import BrokenpipeError
from brokenpipe.live_view import ArmSnapshot, FaultEvent, LiveSource
from brokenpipe.load.web_messages import StateUpdate
from brokenpipe.plan.plan import Plan

EVERY_S = 0.5
POINT_EVERY = 2  # states: the charts have a point a second
STRIKE_BAND_S = 0.6  # width of the band of a strike


LiveSourceFactory = Callable[[Path, Sequence[str]], LiveSource]


@dataclass(slots=True)
class SessionState:
    """State of a web session that outlives single runs. `reports`: those of this session, the newest last."""

    plan: Plan
    message: str = "starting"
    state: str = "preparing"
    reports: list[dict[str, object]] = field(default_factory=list)

    def build(self, **more: Any) -> dict[str, Any]:
        """The state without a run; `more` replaces parts of it."""
        seen: dict[str, Any] = {
            "run": None,
            "point": None,
            "tables": {},
            "fault_bands": {},
            "fault_events": [],
            "current": {},
        }
        timeline = [
            {
                "name": phase.name,
                "fault": str(phase.fault or ""),
                "description": phase.describe(),
                "active": False,
            }
            for phase in self.plan.scenario.phases
        ]
        return {
            **seen,
            "state": self.state,
            "message": self.message,
            "reports": list(self.reports),
            "timeline": timeline,
            **more,
        }


@dataclass(slots=True)
class LiveStateBuilder:
    """Builds the state of one run, from its history so far and from ManualRun."""

    session: SessionState
    commands: CommandQueue
    source: LiveSource
    name: str
    started_ns: int  # monotonic nanoseconds: zero of the charts
    manual_run: ManualRun | None = None
    _builds: int = 0

    def build(self) -> dict[str, Any]:
        now = time.monotonic_ns()
        self._builds += 1
        snapshots, events = self.source.read(now), self.source.fault_events()
        point = self._point(snapshots, now) if self._builds % POINT_EVERY == 1 else None
        seen = self.session.build(
            run=self.name,
            point=point,
            tables={
                "arms": [_row(arm, snapshot) for arm, snapshot in snapshots.items()],
                "faults": self._faults(events),
            },
            fault_bands=_fault_bands(events, self.started_ns, now),
            fault_events=[self._event(event, now) for event in reversed(events)],
            current=self._current(),
        )
        for entry in seen["timeline"]:
            playing = self.manual_run.playing if self.manual_run else None
            entry["active"] = playing is not None and playing.phase == entry["name"]
        return seen

    def _current(self) -> dict[str, object]:
        playing = self.manual_run.playing if self.manual_run else None
        return {
            "activity": self.manual_run.activity if self.manual_run else self.session.message,
            "phase": (playing.phase if playing else self.manual_run.phase) if self.manual_run else "",
            "held": str(self.commands.held) if self.commands.held else "",
            "playing": self.commands.playing,
            "episode": f"{playing.episode} of {playing.episodes}" if playing and playing.episode else "",
            "users": self.commands.users,
        }

    def _point(self, snapshots: Mapping[str, ArmSnapshot], now: int) -> dict[str, float | None]:
        point: dict[str, float | None] = {"t": round((now - self.started_ns) / 1e9, 2)}
        for n, snapshot in enumerate(snapshots.values()):
            rate = None if snapshot.rate is None else 100 * snapshot.rate
            for curve, value in (
                ("rate", rate),
                ("p95", snapshot.p95_ms),
                ("out", snapshot.pool_out),
                ("postgres", snapshot.postgres),
                ("masked", snapshot.masked),
            ):
                point[f"{curve}_{n}"] = value
        return point

    def _event(self, event: FaultEvent, now: int) -> dict[str, object]:
        return {
            "at_s": round((event.t - self.started_ns) / 1e9, 1),
            "fault": event.fault,
            "arms": self._arms(event),
            "phase": event.phase,
            "active": event.held and event.ended is None,
            "lasted_s": round(((event.ended or now) - event.t) / 1e9, 1) if event.held else None,
            "detected": f"{event.landed} of {event.watched}" if event.watched else "",
            "error": event.error or "",
        }

    def _arms(self, event: FaultEvent) -> list[str]:
        """The arms of an event, in the scenario's order."""
        arms = tuple(self.session.plan.scenario.arms)
        return ["all"] if set(event.arms) == set(arms) else sorted(event.arms, key=arms.index)

    def _faults(self, events: Sequence[FaultEvent]) -> list[dict[str, str]]:
        """The rows of the tab: what is on now, what was done, and the timeline."""
        current = self._current()
        rows = [
            {"event": f"NOW: {current['activity']}", "phase": str(current["phase"]), "arms": "", "time": ""}
        ]
        rows += [
            {
                "event": event.fault + (f" failed: {event.error}" if event.error else ""),
                "phase": event.phase,
                "arms": ", ".join(self._arms(event)),
                "time": f"{(event.t - self.started_ns) / 1e9:.1f} s"
                + (
                    ""
                    if not event.held
                    else " until now"
                    if event.ended is None
                    else f" to {(event.ended - self.started_ns) / 1e9:.1f} s"
                ),
            }
            for event in reversed(events)
        ]
        rows += [
            {
                "event": f"timeline: {phase.fault or 'no fault'}",
                "phase": phase.name,
                "arms": ", ".join(phase.arms),
                "time": phase.describe(),
            }
            for phase in self.session.plan.scenario.phases
        ]
        return rows


def _row(arm: str, snapshot: ArmSnapshot) -> dict[str, object]:
    return {
        "arm": arm,
        "rate": "–" if snapshot.rate is None else f"{100 * snapshot.rate:.1f} %",
        "requests": snapshot.requests,
        "broken": snapshot.broken,
        "failed": snapshot.failed,
        "masked": snapshot.masked,
        "p95": "–" if snapshot.p95_ms is None else f"{snapshot.p95_ms:.0f} ms",
        "pool": "–" if snapshot.pool_out is None else f"{snapshot.pool_out} / {snapshot.pool_idle}",
        "postgres": "–" if snapshot.postgres is None else snapshot.postgres,
    }


def _fault_bands(events: Sequence[FaultEvent], started_ns: int, now: int) -> dict[str, list[object]]:
    bands: dict[str, list[object]] = {"x0": [], "x1": [], "label": []}
    for event in events:
        begin = (event.t - started_ns) / 1e9
        end = ((event.ended or now) - started_ns) / 1e9 if event.held else begin + STRIKE_BAND_S
        bands["x0"].append(begin)
        bands["x1"].append(end)
        bands["label"].append(f"{event.fault} · {', '.join(event.arms)}")
    return bands


@contextmanager
def publishing(load: LocustProcess, state: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """Send the state for as long as the block lasts. A load that has ended is reported elsewhere."""
    over = threading.Event()

    def send() -> None:
        with suppress(BrokenpipeError):
            while not over.wait(EVERY_S):
                load.send_to_web(StateUpdate(_finite(state())))

    thread = threading.Thread(target=send, name="web state", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
