"""What harness and load say to each other: one JSON object a line, over one pair of sockets.

Shared by both ends, so nothing of Locust is imported here.

    harness ──▶ load   {"gate": "open", "stretch": 2}   {"gate": "open", "stretch": 2, "arms": ["plain"]}
                       {"gate": "closed", "turn": 3}   {"stop": true}
    load ──▶ harness   {"ready": 40}   {"drained": 3}   {"progress": {"plain": [120, 118, 2]}}
                       {"notice": CODE, "text": …}   {"refused": URL, "redirected_by": ARM}
                       {"failed": "locustfile" | "recording" | "workers", "text": …}
                       {"aligned": "w1", "offset_ns": …, "error_ns": …}

What is said only when Locust's web UI is on is in web_messages. The end of the stream speaks too: whoever meets it
knows that the other is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from brokenpipe.load.web_messages import WEB_NEWS, WebNews, WebOrder, web_order

# --- harness to load --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gate:
    """Open or close the gate before every request.

    `turn` numbers the closings: an answer names its own. `stretch` numbers what is drawn for an opening, and `arms`
    are those whose gate opens; None: all of them.
    """

    open: bool
    turn: int = 0
    stretch: int = 0
    arms: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, object]:
        if not self.open:
            return {"gate": "closed", "turn": self.turn}
        arms: dict[str, object] = {} if self.arms is None else {"arms": list(self.arms)}
        return {"gate": "open", "stretch": self.stretch, **arms}


@dataclass(frozen=True, slots=True)
class Stop:
    """End the users and the process."""

    def to_json(self) -> dict[str, object]:
        return {"stop": True}


# --- load to harness --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """All users exist, and wait at the gate or have begun."""

    users: int

    def to_json(self) -> dict[str, object]:
        return {"ready": self.users}


@dataclass(frozen=True, slots=True)
class Drained:
    """Since the closing with this number nothing is under way."""

    turn: int

    def to_json(self) -> dict[str, object]:
        return {"drained": self.turn}


@dataclass(frozen=True, slots=True)
class Count:
    """Requests of one arm since the beginning."""

    started: int
    ended: int
    failed: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A count for each arm, sent twice a second."""

    arms: dict[str, Count]

    def to_json(self) -> dict[str, object]:
        return {"progress": {arm: [c.started, c.ended, c.failed] for arm, c in self.arms.items()}}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the load that a reader of the results should know. `code` never changes."""

    code: Literal[
        "load_shape", "class_without_users", "user_ended", "task_error", "notices_capped", "worker_lost"
    ]
    text: str

    def to_json(self) -> dict[str, object]:
        return {"notice": self.code, "text": self.text}


@dataclass(frozen=True, slots=True)
class Refused:
    """The locustfile asked for something that is not its arm, or the service of that arm redirected there."""

    url: str
    redirected_by: str | None = None  # that arm; None: it was the locustfile

    def to_json(self) -> dict[str, object]:
        return {"refused": self.url, "redirected_by": self.redirected_by}


@dataclass(frozen=True, slots=True)
class Failed:
    """The load cannot go on: a locustfile that does not work, a request log that cannot be written, no workers."""

    what: Literal["locustfile", "recording", "workers"]
    text: str

    def to_json(self) -> dict[str, object]:
        return {"failed": self.what, "text": self.text}


@dataclass(frozen=True, slots=True)
class Aligned:
    """What is to be added to a worker's clock to get the harness's, and what that may be wrong by."""

    worker: str
    offset_ns: int
    error_ns: int

    def to_json(self) -> dict[str, object]:
        return {"aligned": self.worker, "offset_ns": self.offset_ns, "error_ns": self.error_ns}


Order = Gate | Stop | WebOrder
News = Ready | Drained | Progress | Notice | Refused | Failed | Aligned | WebNews


def encode(message: Order | News) -> bytes:
    """The line that says it."""
    return json.dumps(message.to_json(), separators=(",", ":")).encode() + b"\n"


def order(line: bytes) -> Order:
    """What the harness says. Raises ValueError for a line that it never writes."""
    said = json.loads(line)
    match said:
        case {"gate": "open", "stretch": stretch, "arms": arms}:
            return Gate(open=True, stretch=stretch, arms=tuple(arms))
        case {"gate": "open", "stretch": stretch}:
            return Gate(open=True, stretch=stretch)
        case {"gate": "closed", "turn": turn}:
            return Gate(open=False, turn=turn)
        case {"stop": True}:
            return Stop()
    if (ours := web_order(said)) is not None:
        return ours
    raise ValueError(f"the harness never says {line!r}")


_NEWS: dict[str, Callable[[Any], News]] = {
    "ready": lambda said: Ready(said["ready"]),
    "drained": lambda said: Drained(said["drained"]),
    "progress": lambda said: Progress({arm: Count(*counts) for arm, counts in said["progress"].items()}),
    "notice": lambda said: Notice(said["notice"], said["text"]),
    "refused": lambda said: Refused(said["refused"], said.get("redirected_by")),
    "failed": lambda said: Failed(said["failed"], said["text"]),
    "aligned": lambda said: Aligned(said["aligned"], said["offset_ns"], said["error_ns"]),
    **WEB_NEWS,
}


def news(line: bytes) -> News:
    """What the load says. Raises ValueError for a line that it never writes."""
    said = json.loads(line)
    if (parse := _NEWS.get(next(iter(said), ""))) is None:
        raise ValueError(f"the load never says {line!r}")
    return parse(said)
