"""What the web pages show of a run: looked together twice a second and sent to them as JSON."""

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
from brokenpipe.live_view import Deed, Looks, Sight
from brokenpipe.load.web_messages import Show
from brokenpipe.plan.plan import Plan

EVERY_S = 0.5
POINT_EVERY = 2  # looks: the charts have a point a second
STRIKE_BAND_S = 0.6  # how wide a strike is shaded


LiveSourceFactory = Callable[[Path, Sequence[str]], Looks]


@dataclass(slots=True)
class SessionState:
    """What is the same from run to run. `reports` are those of this sitting, the newest last."""

    plan: Plan
    said: str = "starting"
    state: str = "preparing"
    reports: list[dict[str, object]] = field(default_factory=list)

    def scene(self, **more: Any) -> dict[str, Any]:
        """What there is to see without a run."""
        seen: dict[str, Any] = {
            "run": None,
            "point": None,
            "tables": {},
            "shades": {},
            "deeds": [],
            "now": {},
        }
        timeline = [
            {"name": phase.name, "fault": str(phase.fault or ""), "how": phase.describe(), "on": False}
            for phase in self.plan.scenario.phases
        ]
        return {
            **seen,
            "state": self.state,
            "said": self.said,
            "reports": list(self.reports),
            "timeline": timeline,
            **more,
        }


@dataclass(slots=True)
class LiveStateBuilder:
    """Of one run: what its history says now, and what is being done."""

    board: SessionState
    desk: CommandQueue
    looks: Looks
    name: str
    begun: int  # monotonic nanoseconds: zero of the charts
    hand: ManualRun | None = None
    _turn: int = 0

    def scene(self) -> dict[str, Any]:
        now = time.monotonic_ns()
        self._turn += 1
        sights, deeds = self.looks.look(now), self.looks.deeds()
        point = self._point(sights, now) if self._turn % POINT_EVERY == 1 else None
        seen = self.board.scene(
            run=self.name,
            point=point,
            tables={
                "arms": [_row(arm, sight) for arm, sight in sights.items()],
                "faults": self._faults(deeds),
            },
            shades=_fault_bands(deeds, self.begun, now),
            deeds=[self._deed(deed, now) for deed in reversed(deeds)],
            now=self._now(),
        )
        for entry in seen["timeline"]:
            playing = self.hand.playing if self.hand else None
            entry["on"] = playing is not None and playing.phase == entry["name"]
        return seen

    def _now(self) -> dict[str, object]:
        playing = self.hand.playing if self.hand else None
        return {
            "doing": self.hand.doing if self.hand else self.board.said,
            "phase": (playing.phase if playing else self.hand.phase) if self.hand else "",
            "held": str(self.desk.held) if self.desk.held else "",
            "playing": self.desk.playing,
            "episode": f"{playing.episode} of {playing.episodes}" if playing and playing.episode else "",
            "users": self.desk.users,
        }

    def _point(self, sights: Mapping[str, Sight], now: int) -> dict[str, float | None]:
        point: dict[str, float | None] = {"t": round((now - self.begun) / 1e9, 2)}
        for n, sight in enumerate(sights.values()):
            rate = None if sight.rate is None else 100 * sight.rate
            for what, value in (
                ("rate", rate),
                ("p95", sight.p95_ms),
                ("out", sight.pool_out),
                ("postgres", sight.postgres),
                ("masked", sight.masked),
            ):
                point[f"{what}_{n}"] = value
        return point

    def _deed(self, deed: Deed, now: int) -> dict[str, object]:
        return {
            "at_s": round((deed.t - self.begun) / 1e9, 1),
            "fault": deed.fault,
            "arms": self._arms(deed),
            "phase": deed.phase,
            "on": deed.held and deed.ended is None,
            "lasted_s": round(((deed.ended or now) - deed.t) / 1e9, 1) if deed.held else None,
            "seen": f"{deed.landed} of {deed.watched}" if deed.watched else "",
            "error": deed.error or "",
        }

    def _arms(self, deed: Deed) -> list[str]:
        """In the scenario's order; they were all struck at once."""
        arms = tuple(self.board.plan.scenario.arms)
        return ["all"] if set(deed.arms) == set(arms) else sorted(deed.arms, key=arms.index)

    def _faults(self, deeds: Sequence[Deed]) -> list[dict[str, str]]:
        """The rows of the tab: what is on now, the timeline, then what was done."""
        current = self._now()
        rows = [{"what": f"NOW: {current['doing']}", "phase": str(current["phase"]), "arms": "", "when": ""}]
        rows += [
            {
                "what": deed.fault + (f" failed: {deed.error}" if deed.error else ""),
                "phase": deed.phase,
                "arms": ", ".join(self._arms(deed)),
                "when": f"{(deed.t - self.begun) / 1e9:.1f} s"
                + (
                    ""
                    if not deed.held
                    else " until now"
                    if deed.ended is None
                    else f" to {(deed.ended - self.begun) / 1e9:.1f} s"
                ),
            }
            for deed in reversed(deeds)
        ]
        rows += [
            {
                "what": f"timeline: {phase.fault or 'no fault'}",
                "phase": phase.name,
                "arms": ", ".join(phase.arms),
                "when": phase.describe(),
            }
            for phase in self.board.plan.scenario.phases
        ]
        return rows


def _row(arm: str, sight: Sight) -> dict[str, object]:
    return {
        "arm": arm,
        "rate": "–" if sight.rate is None else f"{100 * sight.rate:.1f} %",
        "requests": sight.requests,
        "broken": sight.broken,
        "failed": sight.failed,
        "masked": sight.masked,
        "p95": "–" if sight.p95_ms is None else f"{sight.p95_ms:.0f} ms",
        "pool": "–" if sight.pool_out is None else f"{sight.pool_out} / {sight.pool_idle}",
        "postgres": "–" if sight.postgres is None else sight.postgres,
    }


def _fault_bands(deeds: Sequence[Deed], begun: int, now: int) -> dict[str, list[object]]:
    shades: dict[str, list[object]] = {"x0": [], "x1": [], "what": []}
    for deed in deeds:
        begin = (deed.t - begun) / 1e9
        end = ((deed.ended or now) - begun) / 1e9 if deed.held else begin + STRIKE_BAND_S
        shades["x0"].append(begin)
        shades["x1"].append(end)
        shades["what"].append(f"{deed.fault} · {', '.join(deed.arms)}")
    return shades


@contextmanager
def publishing(load: LocustProcess, scene: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """Send the scene for as long as the block lasts. A load that is gone is somebody else's to tell."""
    over = threading.Event()

    def send() -> None:
        with suppress(BrokenpipeError):
            while not over.wait(EVERY_S):
                load.tell(Show(_finite(scene())))

    thread = threading.Thread(target=send, name="scene", daemon=True)
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
