"""Locust's master between the harness and the workers: passes commands on, merges events, writes the request logs.

harness ──command──▶ master ──▶ all workers, with the moment at which it takes effect
harness ◀───event─── master ◀── each worker: "drained" once all are, progress is the sum
                        └─▶ requests-w1.ndjson, requests-w2.ndjson, …
"""

# mypy: disallow-untyped-calls=False
# (gevent and Locust's events carry no types)

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.event import Events
from locust.runners import MasterRunner

from brokenpipe.history.file_names import segment_file
from brokenpipe.load.control_client import ControlChannel, ignore_configuration_files, recording_failed
from brokenpipe.load.distributed import protocol
from brokenpipe.load.distributed.user_dispatcher import ShardedDispatcher
from brokenpipe.load.messages import (
    Count,
    Drained,
    Failed,
    GateCommand,
    LoadEvent,
    Notice,
    Progress,
    Ready,
    Stop,
    parse_command,
    parse_event,
)
from brokenpipe.load.shards import Shard
from brokenpipe.load.state import LoadState

TICK_S = 0.01  # how soon "drained" is sent
REPORT_TICKS = 50  # 0.5 s
LEAD_NS = 20_000_000  # from the command to the opening of the gate: by then it has reached all workers
LOST_AFTER_S = 3.0  # a worker sends an event twice a second
DONE_WAIT_S = 3.0  # for workers to end requests in flight and send the rest of their records


@dataclass(slots=True)
class _Worker:
    """The state of one worker."""

    shard: Shard
    path: Path  # of its first segment
    file: int
    segment: int = 1
    last_event_at: float = field(default_factory=time.monotonic)
    ready: bool = False
    close_id: int = 0  # the last closing after which it had no request in flight
    progress: Progress | None = None
    lost: bool = False
    done: bool = False


def _open_for_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


class Master:
    """The counterpart of `ControlClient` in a master: two greenlets, and Locust's for messages of workers. No users."""

    def __init__(self, state: LoadState, channel: ControlChannel) -> None:
        self._state = state
        self._config = state.config
        self._channel = channel
        self._workers: dict[str, _Worker] = {}  # by Locust's name for the worker
        self._shards: dict[str, Shard] = {}
        self._runner: MasterRunner | None = None
        self._pending_close_id: int | None = None  # the closing that is not answered yet
        self._ready = self._ending = False

    def attach(self, events: Events) -> None:
        """Add listeners to Locust's events. Locust swallows what a listener raises, so these do not raise."""
        events.init_command_line_parser.add_listener(ignore_configuration_files)
        events.init.add_listener(self._init)

    def _init(self, environment: Environment, **_: Any) -> None:
        assert isinstance(environment.runner, MasterRunner)
        environment.host = None  # each arm has its own
        environment.dispatcher_class = partial(ShardedDispatcher, self._shards, self._config.workers)  # type: ignore[assignment]
        self._runner = runner = environment.runner
        runner.register_message(protocol.JOIN, self._on_join)
        runner.register_message(protocol.REGISTER, self._on_register)
        runner.register_message(protocol.PING, self._on_ping)
        runner.register_message(protocol.EVENT, self._on_event)
        runner.register_message(protocol.RECORDS, self._on_records)
        runner.register_message(protocol.DONE, self._on_done)
        gevent.spawn(self._listen)
        gevent.spawn(self._tick)

    # --- messages of workers ------------------------------------------------------------------------

    def _on_join(self, msg: Any, **_: Any) -> None:
        if msg.data != protocol.versions():
            theirs, ours = (", ".join(versions) for versions in (msg.data, protocol.versions()))
            self._send_to_worker(
                protocol.CONFIG, {"refused": f"this worker has {theirs}, its master {ours}"}, to=msg.node_id
            )
            return
        config = replace(self._config, control_fd=-1)
        text = self._config.locustfile.read_text(encoding="utf-8")
        self._send_to_worker(
            protocol.CONFIG, {"config": config.to_json(), "locustfile": text}, to=msg.node_id
        )

    def _on_register(self, msg: Any, **_: Any) -> None:
        """Give a worker the shard it asks for, or else the first that is free; without one it has to quit."""
        taken = {shard.number for shard in self._shards.values()}
        free = [number for number in range(self._config.workers) if number not in taken]
        if not free:
            self._send_to_worker("quit", None, to=msg.node_id)
            return
        wanted = msg.data.get("wants")
        shard = Shard(wanted if wanted in free else free[0], self._config.workers)
        path = self._config.requests_path
        path = path.with_name(path.name.replace("requests", f"requests-{shard.name}", 1))
        try:
            file = _open_for_append(path)
        except OSError as error:
            self._notify_harness(recording_failed(path, error))
            return
        self._workers[msg.node_id] = _Worker(shard, path, file)
        self._shards[msg.node_id] = shard
        self._send_to_worker(protocol.SHARD, {"number": shard.number}, to=msg.node_id)

    def _on_ping(self, msg: Any, **_: Any) -> None:
        self._send_to_worker(
            protocol.PONG, {"sent": msg.data["sent"], "theirs": time.monotonic_ns()}, to=msg.node_id
        )

    def _on_event(self, msg: Any, **_: Any) -> None:
        worker = self._workers[msg.node_id]
        worker.last_event_at = time.monotonic()
        match parse_event(msg.data["line"]):
            case Ready():
                worker.ready = True
            case Drained(close_id=close_id):
                worker.close_id = close_id
            case Progress() as progress:
                worker.progress = progress
            case Notice() as notice:
                self._state.add_notice(notice)  # every worker reads the same locustfile: once is enough
            case other:
                self._notify_harness(other)

    def _on_records(self, msg: Any, **_: Any) -> None:
        worker = self._workers[msg.node_id]
        data = memoryview(msg.data["lines"])
        try:
            if msg.data["segment"] != worker.segment:
                os.close(worker.file)
                worker.segment = msg.data["segment"]
                worker.file = _open_for_append(segment_file(worker.path, worker.segment))
            while data:
                data = data[os.write(worker.file, data) :]
        except OSError as error:
            self._notify_harness(recording_failed(worker.path, error))

    def _on_done(self, msg: Any, **_: Any) -> None:
        self._workers[msg.node_id].done = True
        self._send_to_worker("quit", None, to=msg.node_id)

    # --- the two greenlets --------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for line in self._channel.lines:
                self._handle_command(line)
        except OSError:
            pass  # a broken channel is an ended one
        self._shut_down()

    def _handle_command(self, line: bytes) -> None:
        match parse_command(line):
            case Stop():
                self._shut_down()
            case GateCommand(open=True):
                self._pending_close_id = None
                self._broadcast(line, time.monotonic_ns() + LEAD_NS)
            case GateCommand(close_id=close_id):
                self._pending_close_id = close_id
                self._broadcast(line, None)
            case _:
                self._broadcast(line, None)

    def _broadcast(self, line: bytes, at_ns: int | None) -> None:
        for node in self._workers:
            self._send_to_worker(protocol.COMMAND, {"line": line, "at_ns": at_ns}, to=node)

    def _tick(self) -> None:
        ticks = 0
        while True:
            gevent.sleep(TICK_S)
            ticks += 1
            self._report_changes()
            if ticks % REPORT_TICKS == 0:
                self._detect_lost_workers()
                self._notify_harness(self._progress())
            self._send()

    def _report_changes(self) -> None:
        """Send the events that have become true of all workers since the last tick."""
        connected = self._connected
        if self._pending_close_id is not None and all(
            worker.close_id >= self._pending_close_id for worker in connected
        ):
            self._notify_harness(self._progress())  # so that the harness has the whole count
            self._notify_harness(Drained(self._pending_close_id))
            self._pending_close_id = None
        if not self._ready and len(self._workers) == self._config.workers and all(w.ready for w in connected):
            self._ready = True
            self._notify_harness(Ready(self._config.total_users))

    def _detect_lost_workers(self) -> None:
        for worker in self._connected:
            silent_s = time.monotonic() - worker.last_event_at
            if silent_s > LOST_AFTER_S and not self._ending and not worker.done:
                worker.lost = True
                text = f"worker {worker.shard.name} of the load fell silent"
                if worker.progress:
                    ended = sum(count.ended for count in worker.progress.arms.values())
                    text += f" after {ended:,} requests"
                self._state.add_notice(Notice("worker_lost", text))
        if self._workers and not list(self._connected):
            self._notify_harness(Failed("workers", "every worker of the load was lost"))

    # --- helpers ------------------------------------------------------------------------------------

    @property
    def _connected(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if not worker.lost]

    def _progress(self) -> Progress:
        """The counts of each arm, summed over all workers, lost ones included."""
        return Progress({arm: self._sum(arm) for arm in self._config.arms})

    def _sum(self, arm: str) -> Count:
        counts: Iterable[Count] = [
            worker.progress.arms[arm] for worker in self._workers.values() if worker.progress
        ]
        return Count(
            sum(count.started for count in counts),
            sum(count.ended for count in counts),
            sum(count.failed for count in counts),
        )

    def _notify_harness(self, message: LoadEvent) -> None:
        self._state.outbox.append(message)

    def _send(self) -> None:
        while self._state.outbox:
            try:
                self._channel.send(self._state.outbox.popleft())
            except OSError:
                self._shut_down()

    def _send_to_worker(self, kind: str, data: object, *, to: str) -> None:
        assert self._runner is not None
        self._runner.send_message(kind, data, client_id=to)  # type: ignore[arg-type]

    def _shut_down(self) -> None:
        """Let the workers end their users and send the rest of their records; then end Locust and the workers."""
        if self._ending or self._runner is None:
            return
        self._ending = True
        self._runner.stop(send_stop_to_client=False)  # or a worker that leaves would be replaced
        self._broadcast(b'{"stop":true}', None)
        deadline = time.monotonic() + DONE_WAIT_S
        while not all(worker.done for worker in self._connected) and time.monotonic() < deadline:
            gevent.sleep(TICK_S)
        self._notify_harness(self._progress())
        self._send()
        self._runner.quit()
