"""The worker's side of a distributed load: commands and records go through Locust's connection to its master."""

# mypy: disallow-untyped-calls=False
# (gevent and Locust's events carry no types)

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.queue import Queue
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.rpc.zmqrpc import Client
from locust.runners import WorkerRunner

from brokenpipe.load.config import LoadConfig
from brokenpipe.load.control_client import ControlClient
from brokenpipe.load.distributed import protocol
from brokenpipe.load.distributed.clock_sync import OffsetEstimate, PingSample, estimate_offset
from brokenpipe.load.messages import (
    GateCommand,
    LoadCommand,
    LoadEvent,
    WorkerClockOffset,
    encode,
    parse_command,
)
from brokenpipe.load.shards import Shard
from brokenpipe.load.state import LoadState

JOIN_RETRY_S = 1.0
SYNC_EVERY_S = 5.0
PINGS = 8  # the quickest of them counts
MASTER_TIMEOUT_S = 15.0  # without an answer the master is gone
QUIT_WAIT_S = 2.0  # from DONE to the end, if the master sends no quit


def join(master: str) -> LoadConfig:
    """The configuration, fetched from the master. Waits for the master; ends the process if that refuses this worker.

    The order of sets depends on the hash seed: a process with another hash seed than the load's restarts itself.
    """
    host, _, port = master.rpartition(":")
    answer = _fetch_config(host, int(port))
    if "refused" in answer:
        sys.exit(f"{master} does not take this worker: {answer['refused']}")
    config = LoadConfig.from_json(answer["config"])
    wanted = str(config.seed % 2**32)
    if os.environ.get("PYTHONHASHSEED") != wanted:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONHASHSEED": wanted})  # noqa: S606
    return replace(config, locustfile=_local_locustfile(config.locustfile, answer["locustfile"]))


def _fetch_config(host: str, port: int) -> dict[str, str]:
    name = f"join-{uuid.uuid4().hex}"
    client = Client(host, port, name)
    try:
        while True:
            client.send(Message(protocol.JOIN, protocol.versions(), name))
            with gevent.Timeout(JOIN_RETRY_S, False):
                while (message := client.recv()).type != protocol.CONFIG:
                    pass
                return message.data  # type: ignore[no-any-return]
    finally:
        client.close(linger=0)


def _local_locustfile(path: Path, text: str) -> Path:
    """The path of the locustfile: the master's if the same text is there on this machine, else a temporary file."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return path
    except OSError:
        pass  # another machine
    folder = Path(tempfile.mkdtemp(prefix="brokenpipe-worker-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    own = folder / path.name
    own.write_text(text, encoding="utf-8")
    return own


class MasterChannel:
    """The connection to the master, in place of the channel to the harness and of the request log's file."""

    def __init__(self) -> None:
        self._runner: WorkerRunner | None = None
        self._commands = Queue()  # lines, each with the moment at which it takes effect
        self._queue: list[tuple[str, dict[str, Any]]] = []

    def connect(self, runner: WorkerRunner) -> None:
        """Start to send: the worker is connected and has a shard. Everything queued until now is sent."""
        self._runner = runner
        runner.register_message(protocol.COMMAND, self._on_command)
        self._send_queued()

    def commands(self) -> Iterator[tuple[LoadCommand, int | None]]:
        """The commands of the master, each with the moment of its clock at which it takes effect."""
        while True:
            line, at_ns = self._commands.get()
            yield parse_command(line), at_ns

    def send(self, message: LoadEvent) -> None:
        self._queue.append((protocol.EVENT, {"line": encode(message)}))
        self._send_queued()

    def record(self, lines: bytes, segment: int) -> None:
        if lines:
            self._queue.append((protocol.RECORDS, {"lines": lines, "segment": segment}))
            self._send_queued()

    def _on_command(self, msg: Any, **_: Any) -> None:
        self._commands.put((msg.data["line"], msg.data["at_ns"]))

    def _send_queued(self) -> None:
        """Send the queue in order. What cannot be sent now is sent with the next message."""
        while self._runner and self._queue:
            try:
                self._runner.send_message(*self._queue[0])
            except RPCError:
                return
            del self._queue[0]


class WorkerControlClient(ControlClient):
    """A ControlClient that gets commands from the master, measures its clock offset, and flushes before it ends."""

    def __init__(self, state: LoadState, channel: MasterChannel) -> None:
        super().__init__(state, channel)  # type: ignore[arg-type]
        self._master_channel = channel
        self._offset: OffsetEstimate | None = None
        self._last_pong_at = time.monotonic()
        self._samples: list[PingSample] = []
        self._pong_received = Event()

    @property
    def _runner(self) -> WorkerRunner:
        assert self._environment is not None
        assert isinstance(self._environment.runner, WorkerRunner)
        return self._environment.runner

    @property
    def _expected_users(self) -> int:
        return self._runner.target_user_count

    def _init(self, environment: Environment, **_: Any) -> None:
        environment.host = None  # each arm has its own
        self._environment = environment
        self._runner.register_message(protocol.SHARD, self._on_shard_assigned)
        self._runner.register_message(protocol.PONG, self._on_pong)
        wanted = os.environ.get(protocol.WANTED_SHARD)
        self._runner.send_message(protocol.REGISTER, {"wants": int(wanted) if wanted else None})

    def _on_shard_assigned(self, msg: Any, **_: Any) -> None:
        self._state.shard = Shard(msg.data["number"], self._state.config.workers)
        self._master_channel.connect(self._runner)
        for greenlet in (self._listen, self._tick, self._sync_clock):
            gevent.spawn(greenlet)

    # --- commands -----------------------------------------------------------------------------------

    def _listen(self) -> None:
        for message, at_ns in self._master_channel.commands():
            match message:
                case GateCommand(open=True, arms=arms, arrival_seed_index=arrival_seed_index) if (
                    at_ns is not None
                ):
                    self._pending_close_id = None
                    self._state.open(arms, arrival_seed_index, self._wait_until(at_ns))
                case other:
                    self._handle_command(other)

    def _wait_until(self, at_ns: int) -> int:
        """Wait for that moment of the master's clock. Returns it on our clock."""
        local_ns = self._offset.local(at_ns) if self._offset else time.monotonic_ns()
        gevent.sleep(max(0.0, (local_ns - time.monotonic_ns()) / 1e9))
        return local_ns

    def _is_ready(self) -> bool:
        return self._offset is not None and super()._is_ready()

    # --- the clock ----------------------------------------------------------------------------------

    def _sync_clock(self) -> None:
        while True:
            self._samples = []
            for _ in range(PINGS):
                self._pong_received.clear()
                self._runner.send_message(protocol.PING, {"sent": time.monotonic_ns()})
                self._pong_received.wait(1.0)
            if self._samples:
                self._offset = measured = estimate_offset(self._samples)
                self._master_channel.send(
                    WorkerClockOffset(self._state.shard.name, measured.offset_ns, measured.error_ns)
                )
            if time.monotonic() - self._last_pong_at > MASTER_TIMEOUT_S:
                self._end(hard=True)
            gevent.sleep(SYNC_EVERY_S)

    def _on_pong(self, msg: Any, **_: Any) -> None:
        self._samples.append(PingSample(msg.data["sent"], msg.data["theirs"], time.monotonic_ns()))
        self._last_pong_at = time.monotonic()
        self._pong_received.set()

    # --- the end ------------------------------------------------------------------------------------

    def _quit_locust(self, *, hard: bool) -> None:
        """Flush, send DONE, and leave the end to the master, which has all records by then."""
        self._runner.stop()
        self._flush_all()
        self._runner.send_message(protocol.DONE)
        if hard:
            self._runner.quit()
        else:
            gevent.spawn_later(QUIT_WAIT_S, self._runner.quit)
