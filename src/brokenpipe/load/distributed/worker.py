"""A worker: what one process alone does, steered and recorded through Locust's connection to its master."""

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
from brokenpipe.load.control_client import Steering
from brokenpipe.load.distributed import protocol
from brokenpipe.load.distributed.clock_sync import Alignment, Exchange, aligned
from brokenpipe.load.messages import Aligned, Gate, News, Order, encode, order
from brokenpipe.load.state import LoadState
from brokenpipe.load.users.shards import Shard

ASK_AGAIN_S = 1.0
ALIGN_EVERY_S = 5.0
PINGS = 8  # of which the quickest counts
PATIENCE_S = 15.0  # without an answer the master is gone
LAST_WORDS_S = 2.0  # from "over" to the end, if the master does not say it


def join(master: str) -> LoadConfig:
    """What is to be run, from the master. Waits for it; ends the process if it refuses us.

    The order of sets is a kind of chance as well: a process with another hash seed than the load's begins anew.
    """
    host, _, port = master.rpartition(":")
    answer = _asked(host, int(port))
    if "refused" in answer:
        sys.exit(f"{master} does not take this worker: {answer['refused']}")
    config = LoadConfig.from_json(answer["config"])
    wanted = str(config.seed % 2**32)
    if os.environ.get("PYTHONHASHSEED") != wanted:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONHASHSEED": wanted})  # noqa: S606
    return replace(config, locustfile=_here(config.locustfile, answer["locustfile"]))


def _asked(host: str, port: int) -> dict[str, str]:
    name = f"join-{uuid.uuid4().hex}"
    client = Client(host, port, name)
    try:
        while True:
            client.send(Message(protocol.JOIN, protocol.versions(), name))
            with gevent.Timeout(ASK_AGAIN_S, False):
                while (message := client.recv()).type != protocol.CONFIG:
                    pass
                return message.data  # type: ignore[no-any-return]
    finally:
        client.close(linger=0)


def _here(path: Path, text: str) -> Path:
    """The locustfile: where the master has it if the same is there on this machine, or else in a folder of ours."""
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


class Mail:
    """Stands in for the channel to the harness, and for the file of the request log."""

    def __init__(self) -> None:
        self._runner: WorkerRunner | None = None
        self._orders = Queue()  # of lines, each with the moment from which it holds
        self._unsent: list[tuple[str, dict[str, Any]]] = []

    def connect(self, runner: WorkerRunner) -> None:
        """There is a connection and a shard: what was kept back goes."""
        self._runner = runner
        runner.register_message(protocol.ORDER, self._order)
        self._post()

    def orders(self) -> Iterator[tuple[Order, int | None]]:
        """What the master says, and the moment on its clock from which it holds."""
        while True:
            line, at_ns = self._orders.get()
            yield order(line), at_ns

    def send(self, message: News) -> None:
        self._unsent.append((protocol.NEWS, {"line": encode(message)}))
        self._post()

    def record(self, lines: bytes, segment: int) -> None:
        if lines:
            self._unsent.append((protocol.LINES, {"lines": lines, "segment": segment}))
            self._post()

    def _order(self, msg: Any, **_: Any) -> None:
        self._orders.put((msg.data["line"], msg.data["at_ns"]))

    def _post(self) -> None:
        """In order, and what cannot be sent now with what comes next."""
        while self._runner and self._unsent:
            try:
                self._runner.send_message(*self._unsent[0])
            except RPCError:
                return
            del self._unsent[0]


class WorkerSteering(Steering):
    """Obeys the master, keeps its clock against the master's, and hands everything over before it ends."""

    def __init__(self, state: LoadState, mail: Mail) -> None:
        super().__init__(state, mail)  # type: ignore[arg-type]
        self._mail = mail
        self._alignment: Alignment | None = None
        self._answered_at = time.monotonic()
        self._exchanges: list[Exchange] = []
        self._answered = Event()

    @property
    def _runner(self) -> WorkerRunner:
        assert self._environment is not None
        assert isinstance(self._environment.runner, WorkerRunner)
        return self._environment.runner

    @property
    def _users(self) -> int:
        return self._runner.target_user_count

    def _init(self, environment: Environment, **_: Any) -> None:
        environment.host = None  # each arm has its own
        self._environment = environment
        self._runner.register_message(protocol.SEAT, self._sit)
        self._runner.register_message(protocol.PONG, self._pong)
        wanted = os.environ.get(protocol.WANTED)
        self._runner.send_message(protocol.HERE, {"wants": int(wanted) if wanted else None})

    def _sit(self, msg: Any, **_: Any) -> None:
        self._state.shard = Shard(msg.data["number"], self._state.config.workers)
        self._mail.connect(self._runner)
        for greenlet in (self._listen, self._tick, self._align):
            gevent.spawn(greenlet)

    # --- orders -------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for message, at_ns in self._mail.orders():
            match message:
                case Gate(open=True, arms=arms, stretch=stretch) if at_ns is not None:
                    self._turn = None
                    self._state.open(arms, stretch, self._wait_until(at_ns))
                case other:
                    self._obey(other)

    def _wait_until(self, at_ns: int) -> int:
        """Wait for that moment of the master's clock; when it was on ours."""
        local_ns = self._alignment.local(at_ns) if self._alignment else time.monotonic_ns()
        gevent.sleep(max(0.0, (local_ns - time.monotonic_ns()) / 1e9))
        return local_ns

    def _is_ready(self) -> bool:
        return self._alignment is not None and super()._is_ready()

    # --- the clock ----------------------------------------------------------------------------------

    def _align(self) -> None:
        while True:
            self._exchanges = []
            for _ in range(PINGS):
                self._answered.clear()
                self._runner.send_message(protocol.PING, {"sent": time.monotonic_ns()})
                self._answered.wait(1.0)
            if self._exchanges:
                self._alignment = measured = aligned(self._exchanges)
                self._mail.send(Aligned(self._state.shard.name, measured.offset_ns, measured.error_ns))
            if time.monotonic() - self._answered_at > PATIENCE_S:
                self._end(hard=True)
            gevent.sleep(ALIGN_EVERY_S)

    def _pong(self, msg: Any, **_: Any) -> None:
        self._exchanges.append(Exchange(msg.data["sent"], msg.data["theirs"], time.monotonic_ns()))
        self._answered_at = time.monotonic()
        self._answered.set()

    # --- the end ------------------------------------------------------------------------------------

    def _quit_locust(self, *, hard: bool) -> None:
        """The master says when: it has everything by then."""
        self._runner.stop()
        self._last_words()
        self._runner.send_message(protocol.OVER)
        if hard:
            self._runner.quit()
        else:
            gevent.spawn_later(LAST_WORDS_S, self._runner.quit)
