"""Further messages between harness and load, for runs with Locust's web UI.

Shared by both ends, so nothing of Locust is imported here.

    harness ──▶ load   {"aim": {"arms": {"plain": URL}, "requests": PATH}}   a stack is ready for the next run
                       {"show": {...}}                                       the new state for the pages
                       {"answer": 7, "refusal": null | TEXT}                 the reply to `ask`
    load ──▶ harness   {"swarm": 10}        users for each arm: Start was pressed, or their number changed
                       {"halting": TIME}    Stop was pressed: users end from now on
                       {"halted": true}     no user is left, and every request is logged
                       {"ask": 7, "what": "strike", "fault": {...}, "arms": ["plain"]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CommandName = Literal["strike", "hold", "heal", "play", "break_off", "report"]
COMMAND_NAMES: tuple[CommandName, ...] = ("strike", "hold", "heal", "play", "break_off", "report")


@dataclass(frozen=True, slots=True)
class RunTargets:
    """The URLs of the arms of the next run, and the path of its request log."""

    arms: Mapping[str, str]
    requests_path: str

    def to_json(self) -> dict[str, object]:
        return {"aim": {"arms": dict(self.arms), "requests": self.requests_path}}


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """A new state for the pages: JSON from the harness, which the load does not read."""

    scene: Mapping[str, Any]

    def to_json(self) -> dict[str, object]:
        return {"show": dict(self.scene)}


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The reply to a `CommandRequest`. Without a refusal the command will be carried out."""

    number: int
    refusal: str | None

    def to_json(self) -> dict[str, object]:
        return {"answer": self.number, "refusal": self.refusal}


@dataclass(frozen=True, slots=True)
class UserCountChanged:
    """A new number of users for each arm, which are being spawned."""

    users: int

    def to_json(self) -> dict[str, object]:
        return {"swarm": self.users}


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Stop was pressed on the page: users end since `t`, monotonic nanoseconds."""

    t: int

    def to_json(self) -> dict[str, object]:
        return {"halting": self.t}


@dataclass(frozen=True, slots=True)
class AllUsersStopped:
    """No user is left, and all their requests are on disk."""

    def to_json(self) -> dict[str, object]:
        return {"halted": True}


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command from a page. `arms` empty: all of them."""

    number: int
    what: CommandName
    fault: Mapping[str, Any] = field(default_factory=dict)
    arms: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"ask": self.number, "what": self.what, "fault": dict(self.fault), "arms": list(self.arms)}


WebCommand = RunTargets | StateUpdate | CommandReply
WebEvent = UserCountChanged | StopRequested | AllUsersStopped | CommandRequest


def parse_web_command(message: Mapping[str, Any]) -> WebCommand | None:
    """The command to the web UI in a message of the harness; None for any other message."""
    match message:
        case {"aim": {"arms": arms, "requests": path}}:
            return RunTargets(arms, path)
        case {"show": scene}:
            return StateUpdate(scene)
        case {"answer": number, "refusal": refusal}:
            return CommandReply(number, refusal)
    return None


WEB_EVENT_PARSERS: dict[str, Callable[[Any], WebEvent]] = {
    "swarm": lambda message: UserCountChanged(message["swarm"]),
    "halting": lambda message: StopRequested(message["halting"]),
    "halted": lambda _: AllUsersStopped(),
    "ask": lambda message: CommandRequest(
        message["ask"], message["what"], message["fault"], tuple(message["arms"])
    ),
}
