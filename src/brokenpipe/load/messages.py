"""Messages between the harness and its Locust process: one JSON object a line, over one pair of sockets.

Shared by both ends, so nothing of Locust is imported here.

    harness ──▶ load   {"gate": "open", "arrival_seed_index": 2}
                       {"gate": "open", "arrival_seed_index": 2, "arms": ["plain"]}
                       {"gate": "closed", "close_id": 3}   {"stop": true}
    load ──▶ harness   {"ready": 40}   {"drained": 3}   {"progress": {"plain": [120, 118, 2]}}
                       {"notice": CODE, "text": …}   {"refused": URL, "redirected_by": ARM}
                       {"failed": "locustfile" | "recording" | "workers", "text": …}
                       {"aligned": "w1", "offset_ns": …, "error_ns": …}

Messages that are sent only when Locust's web UI is on are in web_messages. The end of the stream means that the other
end is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from brokenpipe.load.web_messages import WEB_EVENT_PARSERS, WebCommand, WebEvent, parse_web_command

# --- harness to load --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GateCommand:
    """Open or close the gate before every request.

    `close_id` numbers the closings; `Drained` names the one that it answers. `arrival_seed_index` selects the
    arrivals of an open load. `arms` are those whose gate opens; None: all of them.
    """

    open: bool
    close_id: int = 0
    arrival_seed_index: int = 0
    arms: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, object]:
        if not self.open:
            return {"gate": "closed", "close_id": self.close_id}
        arms: dict[str, object] = {} if self.arms is None else {"arms": list(self.arms)}
        return {"gate": "open", "arrival_seed_index": self.arrival_seed_index, **arms}


@dataclass(frozen=True, slots=True)
class Stop:
    """End the users and the process."""

    def to_json(self) -> dict[str, object]:
        return {"stop": True}


# --- load to harness --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """All users exist, and wait at the gate or have started."""

    users: int

    def to_json(self) -> dict[str, object]:
        return {"ready": self.users}


@dataclass(frozen=True, slots=True)
class Drained:
    """No request is in flight any more since the closing with this number."""

    close_id: int

    def to_json(self) -> dict[str, object]:
        return {"drained": self.close_id}


@dataclass(frozen=True, slots=True)
class Count:
    """Requests of one arm since the start of the run."""

    started: int
    ended: int
    failed: int

    @property
    def succeeded(self) -> int:
        return self.ended - self.failed


@dataclass(frozen=True, slots=True)
class Progress:
    """The counts of every arm, sent twice a second."""

    arms: dict[str, Count]

    def to_json(self) -> dict[str, object]:
        return {"progress": {arm: [c.started, c.ended, c.failed] for arm, c in self.arms.items()}}


@dataclass(frozen=True, slots=True)
class Notice:
    """A fact about the load that readers of the results need. Codes never change."""

    code: Literal[
        "load_shape", "class_without_users", "user_ended", "task_error", "notices_capped", "worker_lost"
    ]
    text: str

    def to_json(self) -> dict[str, object]:
        return {"notice": self.code, "text": self.text}


@dataclass(frozen=True, slots=True)
class Refused:
    """A URL outside its arm's origin: of the locustfile, or of a redirect by the service of that arm."""

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
class WorkerClockOffset:
    """The offset to add to a worker's clock to get the harness's, and its largest error."""

    worker: str
    offset_ns: int
    error_ns: int

    def to_json(self) -> dict[str, object]:
        return {"aligned": self.worker, "offset_ns": self.offset_ns, "error_ns": self.error_ns}


LoadCommand = GateCommand | Stop | WebCommand
LoadEvent = Ready | Drained | Progress | Notice | Refused | Failed | WorkerClockOffset | WebEvent


def encode(message: LoadCommand | LoadEvent) -> bytes:
    """The message as a line."""
    return json.dumps(message.to_json(), separators=(",", ":")).encode() + b"\n"


def parse_command(line: bytes) -> LoadCommand:
    """The command in a line of the harness. Raises ValueError for a line that it never writes."""
    message = json.loads(line)
    match message:
        case {"gate": "open", "arrival_seed_index": arrival_seed_index, "arms": arms}:
            return GateCommand(open=True, arrival_seed_index=arrival_seed_index, arms=tuple(arms))
        case {"gate": "open", "arrival_seed_index": arrival_seed_index}:
            return GateCommand(open=True, arrival_seed_index=arrival_seed_index)
        case {"gate": "closed", "close_id": close_id}:
            return GateCommand(open=False, close_id=close_id)
        case {"stop": True}:
            return Stop()
    if (command := parse_web_command(message)) is not None:
        return command
    raise ValueError(f"the harness never sends {line!r}")


_EVENT_PARSERS: dict[str, Callable[[Any], LoadEvent]] = {
    "ready": lambda message: Ready(message["ready"]),
    "drained": lambda message: Drained(message["drained"]),
    "progress": lambda message: Progress(
        {arm: Count(*counts) for arm, counts in message["progress"].items()}
    ),
    "notice": lambda message: Notice(message["notice"], message["text"]),
    "refused": lambda message: Refused(message["refused"], message.get("redirected_by")),
    "failed": lambda message: Failed(message["failed"], message["text"]),
    "aligned": lambda message: WorkerClockOffset(
        message["aligned"], message["offset_ns"], message["error_ns"]
    ),
    **WEB_EVENT_PARSERS,
}


def parse_event(line: bytes) -> LoadEvent:
    """The event in a line of the load. Raises ValueError for a line that it never writes."""
    message = json.loads(line)
    if (parse := _EVENT_PARSERS.get(next(iter(message), ""))) is None:
        raise ValueError(f"the load never sends {line!r}")
    return parse(message)
