"""Further messages between harness and load, for runs with Locust's web UI.

Shared by both ends, so nothing of Locust is imported here.

    harness ──▶ load   {"run_targets": {"arms": {"plain": URL}, "requests": PATH}}   a stack is ready for the next run
                       {"state": {...}}                                the new state for the pages
                       {"reply": 7, "refusal": null | TEXT}            the reply to request 7
    load ──▶ harness   {"users": 10}       users for each arm: Start was pressed, or their number changed
                       {"stopping": TIME}  Stop was pressed: users end from now on
                       {"stopped": true}   no user is left, and every request is logged
                       {"request": 7, "command": "strike", "fault": {...}, "arms": ["plain"]}
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
        return {"run_targets": {"arms": dict(self.arms), "requests": self.requests_path}}


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """A new state for the pages: JSON from the harness, which the load does not read."""

    state: Mapping[str, Any]

    def to_json(self) -> dict[str, object]:
        return {"state": dict(self.state)}


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The reply to a `CommandRequest`. Without a refusal the command will be carried out."""

    number: int
    refusal: str | None

    def to_json(self) -> dict[str, object]:
        return {"reply": self.number, "refusal": self.refusal}


@dataclass(frozen=True, slots=True)
class UserCountChanged:
    """A new number of users for each arm, which are being spawned."""

    users: int

    def to_json(self) -> dict[str, object]:
        return {"users": self.users}


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Stop was pressed on the page: users end since `t`, monotonic nanoseconds."""

    t: int

    def to_json(self) -> dict[str, object]:
        return {"stopping": self.t}


@dataclass(frozen=True, slots=True)
class AllUsersStopped:
    """No user is left, and all their requests are on disk."""

    def to_json(self) -> dict[str, object]:
        return {"stopped": True}


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command from a page. `arms` empty: all of them."""

    number: int
    command: CommandName
    fault: Mapping[str, Any] = field(default_factory=dict)
    arms: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "request": self.number,
            "command": self.command,
            "fault": dict(self.fault),
            "arms": list(self.arms),
        }


WebCommand = RunTargets | StateUpdate | CommandReply
WebEvent = UserCountChanged | StopRequested | AllUsersStopped | CommandRequest


def parse_web_command(message: Mapping[str, Any]) -> WebCommand | None:
    """The command to the web UI in a message of the harness; None for any other message."""
    match message:
        case {"run_targets": {"arms": arms, "requests": path}}:
            return RunTargets(arms, path)
        case {"state": state}:
            return StateUpdate(state)
        case {"reply": number, "refusal": refusal}:
            return CommandReply(number, refusal)
    return None


WEB_EVENT_PARSERS: dict[str, Callable[[Any], WebEvent]] = {
    "users": lambda message: UserCountChanged(message["users"]),
    "stopping": lambda message: StopRequested(message["stopping"]),
    "stopped": lambda _: AllUsersStopped(),
    "request": lambda message: CommandRequest(
        message["request"], message["command"], message["fault"], tuple(message["arms"])
    ),
}
