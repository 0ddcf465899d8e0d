"""Records events of a run's containers, as the engine reports them: in the history, and in words in a log.

engine ──▶ its events ──▶ a thread of ours ──▶ containers.ndjson
                                         └───▶ logs/containers.log

The engine dates its events by the wall clock, and tells them a millisecond or two later. How long ago that was is asked
of the wall clock at once, so that only a step of it within those milliseconds could move a record.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException

from brokenpipe.errors import RecordingError
from brokenpipe.history.containers import Change, ContainerEvent
from brokenpipe.history.writer import Writer, open_writer
from brokenpipe.stack.containers.cleanup import RUN_LABEL
from brokenpipe.stack.containers.engine import Engine

CHANGES: Mapping[str, Change] = {
    "start": "started",
    "die": "ended",
    "oom": "out_of_memory",
    "kill": "signalled",
    "pause": "paused",
    "unpause": "unpaused",
}
_SERVICE = "com.docker.compose.service"  # the label by which compose says what a container is
_RECONNECT_S = 0.5
_MAX_DELAY_NS = 60_000_000_000  # a longer delay means that the wall clock was set in between


@contextmanager
def recording_events(engine: Engine, run_id: str, *, history: Path, log: Path) -> Iterator[None]:
    """Record what happens to the containers of a run for as long as the block lasts. Raises RecordingError."""
    with open_writer(history, "containers") as records:
        listener = EventRecorder(engine, run_id, records, log)
        try:
            yield
        finally:
            listener.close()


class EventRecorder:
    """A thread that records events from now on; after a broken stream it asks the engine for the rest."""

    def __init__(self, engine: Engine, run_id: str, records: Writer, log: Path) -> None:
        self._engine = engine
        self._filters = {"type": "container", "label": f"{RUN_LABEL}={run_id}", "event": list(CHANGES)}
        self._records = records
        self._log = log
        self._last_event_ns = time.time_ns()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._streams = ExitStack()
        self._thread = threading.Thread(target=self._run, name="containers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self.close_stream()
        self._thread.join(timeout=5)

    def close_stream(self) -> None:
        """End the stream of events, as an engine does that is started anew."""
        with self._lock:
            self._streams.close()

    def _run(self) -> None:
        # A full disk ends the experiment through the other writers; here it only ends this record.
        with suppress(RecordingError):
            while not self._stop.is_set():
                # ValueError: half an event, or a stream that was closed while it was read.
                with suppress(DockerException, requests.RequestException, OSError, ValueError):
                    for event in self._stream():
                        self._record(event)
                self.close_stream()
                self._stop.wait(_RECONNECT_S)

    def _stream(self) -> Iterator[dict[str, Any]]:
        since = f"{self._last_event_ns // 10**9}.{self._last_event_ns % 10**9:09d}"
        client = docker.APIClient(base_url=self._engine.endpoint)
        with self._lock:
            self._streams.callback(client.close)
        events = client.events(since=since, filters=self._filters, decode=True)
        with self._lock:
            self._streams.callback(_close_events, events)
        if self._stop.is_set():
            self.close_stream()
        decoded: Iterator[dict[str, Any]] = events
        return decoded

    def _record(self, event: Mapping[str, Any]) -> None:
        wall_ns, attributes = int(event["timeNano"]), event["Actor"]["Attributes"]
        t = monotonic_at(wall_ns)
        self._last_event_ns = max(self._last_event_ns, wall_ns + 1)
        change = CHANGES.get(event["Action"])
        service = attributes.get(_SERVICE)
        if change is None or service is None:
            return
        limit = self._engine.memory_limit(event["Actor"]["ID"]) if change == "out_of_memory" else None
        code = int(attributes["exitCode"]) if "exitCode" in attributes else None
        record = ContainerEvent(t, service, change, code, attributes.get("signal"), limit)
        self._records.write(record)
        with suppress(OSError), self._log.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.fromtimestamp(wall_ns / 1e9, UTC):%H:%M:%S.%f} {record}\n")


def _close_events(events: Any) -> None:
    """Close a stream, so that its reader returns. One that has ended by itself has no socket any more."""
    with suppress(DockerException, OSError, AttributeError):
        events.close()


def monotonic_at(wall_ns: int) -> int:
    """The monotonic time of a recent moment of the wall clock. It is never later than now."""
    readings = []
    for _ in range(3):
        before, wall = time.monotonic_ns(), time.time_ns()
        readings.append((time.monotonic_ns() - before, before, wall))
    _, now, wall = min(readings)
    ago = wall - wall_ns
    return now - ago if 0 <= ago < _MAX_DELAY_NS else now
