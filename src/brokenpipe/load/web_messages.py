"""What harness and load say to each other when Locust's web UI is on, besides what they always say.

Shared by both ends, so nothing of Locust is imported here.

    harness ──▶ load   {"aim": {"arms": {"plain": URL}, "requests": PATH}}   a stack is ready for the next run
                       {"show": {...}}                                       what the pages show now
                       {"answer": 7, "refusal": null | TEXT}                 to what was asked
    load ──▶ harness   {"swarm": 10}        users for each arm: somebody pressed Start, or changed their number
                       {"halting": TIME}    somebody pressed Stop: from now on users are sent home
                       {"halted": true}     none is left, and every request is written down
                       {"ask": 7, "what": "strike", "fault": {...}, "arms": ["plain"]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

What = Literal["strike", "hold", "heal", "play", "break_off", "report"]
WHATS: tuple[What, ...] = ("strike", "hold", "heal", "play", "break_off", "report")


@dataclass(frozen=True, slots=True)
class Aim:
    """Where the users of the next run go, and where their requests are written down."""

    arms: Mapping[str, str]
    requests_path: str

    def to_json(self) -> dict[str, object]:
        return {"aim": {"arms": dict(self.arms), "requests": self.requests_path}}


@dataclass(frozen=True, slots=True)
class Show:
    """What the pages show from now on: JSON, made by the harness and passed on as it is."""

    scene: Mapping[str, Any]

    def to_json(self) -> dict[str, object]:
        return {"show": dict(self.scene)}


@dataclass(frozen=True, slots=True)
class Answer:
    """To what somebody asked for on a page. Without a refusal it will be done."""

    number: int
    refusal: str | None

    def to_json(self) -> dict[str, object]:
        return {"answer": self.number, "refusal": self.refusal}


@dataclass(frozen=True, slots=True)
class Swarm:
    """So many users of each arm are on their way."""

    users: int

    def to_json(self) -> dict[str, object]:
        return {"swarm": self.users}


@dataclass(frozen=True, slots=True)
class Halting:
    """Since `t`, monotonic nanoseconds, users are being sent home."""

    t: int

    def to_json(self) -> dict[str, object]:
        return {"halting": self.t}


@dataclass(frozen=True, slots=True)
class Halted:
    """No user is left, and what they did is on disk."""

    def to_json(self) -> dict[str, object]:
        return {"halted": True}


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody pressed a button. `arms` empty: all of them."""

    number: int
    what: What
    fault: Mapping[str, Any] = field(default_factory=dict)
    arms: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"ask": self.number, "what": self.what, "fault": dict(self.fault), "arms": list(self.arms)}


WebOrder = Aim | Show | Answer
WebNews = Swarm | Halting | Halted | Ask


def web_order(said: Mapping[str, Any]) -> WebOrder | None:
    """What the harness says to a web UI, if it is that."""
    match said:
        case {"aim": {"arms": arms, "requests": path}}:
            return Aim(arms, path)
        case {"show": scene}:
            return Show(scene)
        case {"answer": number, "refusal": refusal}:
            return Answer(number, refusal)
    return None


WEB_NEWS: dict[str, Callable[[Any], WebNews]] = {
    "swarm": lambda said: Swarm(said["swarm"]),
    "halting": lambda said: Halting(said["halting"]),
    "halted": lambda _: Halted(),
    "ask": lambda said: Ask(said["ask"], said["what"], said["fault"], tuple(said["arms"])),
}
