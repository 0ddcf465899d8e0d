"""Locust's master between the harness and the workers: hands on orders, gathers news, writes down what they record.

harness ──order──▶ master ──▶ all workers, with the moment from which it holds
harness ◀──news─── master ◀── each of them: "drained" is what all of them are, progress is the sum
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

from brokenpipe.history.file_names import segment
from brokenpipe.load.control_client import Channel, no_configuration_files, unwritable
from brokenpipe.load.distributed import protocol
from brokenpipe.load.distributed.user_dispatcher import Dealer
from brokenpipe.load.messages import (
    Count,
    Drained,
    Failed,
    Gate,
    News,
    Notice,
    Progress,
    Ready,
    Stop,
    news,
    order,
)
from brokenpipe.load.state import LoadState
from brokenpipe.load.users.shards import Shard

TICK_S = 0.01  # how soon "drained" is told
REPORT_TICKS = 50  # 0.5 s
LEAD_NS = 20_000_000  # from an order to open to the opening, so that it has reached all workers by then
SILENCE_S = 3.0  # a worker has news twice a second
LAST_WORDS_S = 3.0  # what workers get to end requests under way and hand over what they recorded


@dataclass(slots=True)
class _Worker:
    """What is known of one worker."""

    shard: Shard
    path: Path  # of its first segment
    file: int
    segment: int = 1
    heard_at: float = field(default_factory=time.monotonic)
    ready: bool = False
    turn: int = 0  # the last closing since which it had nothing under way
    progress: Progress | None = None
    lost: bool = False
    over: bool = False


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


class Master:
    """Runs beside no users, in two greenlets of its own and in that of Locust's listener."""

    def __init__(self, state: LoadState, channel: Channel) -> None:
        self._state = state
        self._config = state.config
        self._channel = channel
        self._workers: dict[str, _Worker] = {}  # by Locust's name for the worker
        self._shards: dict[str, Shard] = {}
        self._runner: MasterRunner | None = None
        self._turn: int | None = None  # the closing that is not answered yet
        self._ready = self._ending = False

    def attach(self, events: Events) -> None:
        """Take part in Locust's life. What a listener raises Locust swallows, so these do not raise."""
        events.init_command_line_parser.add_listener(no_configuration_files)
        events.init.add_listener(self._init)

    def _init(self, environment: Environment, **_: Any) -> None:
        assert isinstance(environment.runner, MasterRunner)
        environment.host = None  # each arm has its own
        environment.dispatcher_class = partial(Dealer, self._shards, self._config.workers)  # type: ignore[assignment]
        self._runner = runner = environment.runner
        runner.register_message(protocol.JOIN, self._join)
        runner.register_message(protocol.HERE, self._here)
        runner.register_message(protocol.PING, self._ping)
        runner.register_message(protocol.NEWS, self._news)
        runner.register_message(protocol.LINES, self._lines)
        runner.register_message(protocol.OVER, self._over)
        gevent.spawn(self._listen)
        gevent.spawn(self._tick)

    # --- what workers say ---------------------------------------------------------------------------

    def _join(self, msg: Any, **_: Any) -> None:
        if msg.data != protocol.versions():
            theirs, ours = (", ".join(each) for each in (msg.data, protocol.versions()))
            self._say(
                protocol.CONFIG, {"refused": f"this worker has {theirs}, its master {ours}"}, to=msg.node_id
            )
            return
        told = replace(self._config, control_fd=-1)
        text = self._config.locustfile.read_text(encoding="utf-8")
        self._say(protocol.CONFIG, {"config": told.to_json(), "locustfile": text}, to=msg.node_id)

    def _here(self, msg: Any, **_: Any) -> None:
        """Give a worker the shard it asks for, or the first that is free. There may be none."""
        taken = {shard.number for shard in self._shards.values()}
        free = [number for number in range(self._config.workers) if number not in taken]
        if not free:
            self._say("quit", None, to=msg.node_id)
            return
        wanted = msg.data.get("wants")
        shard = Shard(wanted if wanted in free else free[0], self._config.workers)
        path = self._config.requests_path
        path = path.with_name(path.name.replace("requests", f"requests-{shard.name}", 1))
        try:
            file = _opened(path)
        except OSError as error:
            self._tell(unwritable(path, error))
            return
        self._workers[msg.node_id] = _Worker(shard, path, file)
        self._shards[msg.node_id] = shard
        self._say(protocol.SEAT, {"number": shard.number}, to=msg.node_id)

    def _ping(self, msg: Any, **_: Any) -> None:
        self._say(protocol.PONG, {"sent": msg.data["sent"], "theirs": time.monotonic_ns()}, to=msg.node_id)

    def _news(self, msg: Any, **_: Any) -> None:
        worker = self._workers[msg.node_id]
        worker.heard_at = time.monotonic()
        match news(msg.data["line"]):
            case Ready():
                worker.ready = True
            case Drained(turn=turn):
                worker.turn = turn
            case Progress() as progress:
                worker.progress = progress
            case Notice() as notice:
                self._state.add_notice(notice)  # every worker reads the same locustfile: once is enough
            case other:
                self._tell(other)

    def _lines(self, msg: Any, **_: Any) -> None:
        worker = self._workers[msg.node_id]
        data = memoryview(msg.data["lines"])
        try:
            if msg.data["segment"] != worker.segment:
                os.close(worker.file)
                worker.segment = msg.data["segment"]
                worker.file = _opened(segment(worker.path, worker.segment))
            while data:
                data = data[os.write(worker.file, data) :]
        except OSError as error:
            self._tell(unwritable(worker.path, error))

    def _over(self, msg: Any, **_: Any) -> None:
        self._workers[msg.node_id].over = True
        self._say("quit", None, to=msg.node_id)

    # --- the two greenlets --------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for line in self._channel.lines:
                self._obey(line)
        except OSError:
            pass  # a broken channel is an ended one
        self._end()

    def _obey(self, line: bytes) -> None:
        match order(line):
            case Stop():
                self._end()
            case Gate(open=True):
                self._turn = None
                self._order(line, time.monotonic_ns() + LEAD_NS)
            case Gate(turn=turn):
                self._turn = turn
                self._order(line, None)
            case _:
                self._order(line, None)

    def _order(self, line: bytes, at_ns: int | None) -> None:
        for node in self._workers:
            self._say(protocol.ORDER, {"line": line, "at_ns": at_ns}, to=node)

    def _tick(self) -> None:
        ticks = 0
        while True:
            gevent.sleep(TICK_S)
            ticks += 1
            self._look()
            if ticks % REPORT_TICKS == 0:
                self._look_for_the_lost()
                self._tell(self._progress())
            self._send()

    def _look(self) -> None:
        """Say what has come true of all workers since the last look."""
        there = self._there
        if self._turn is not None and all(worker.turn >= self._turn for worker in there):
            self._tell(self._progress())  # whoever hears of it has the whole count
            self._tell(Drained(self._turn))
            self._turn = None
        if not self._ready and len(self._workers) == self._config.workers and all(w.ready for w in there):
            self._ready = True
            self._tell(Ready(self._config.total_users))

    def _look_for_the_lost(self) -> None:
        for worker in self._there:
            silent_s = time.monotonic() - worker.heard_at
            if silent_s > SILENCE_S and not self._ending and not worker.over:
                worker.lost = True
                text = f"worker {worker.shard.name} of the load fell silent"
                if worker.progress:
                    ended = sum(count.ended for count in worker.progress.arms.values())
                    text += f" after {ended:,} requests"
                self._state.add_notice(Notice("worker_lost", text))
        if self._workers and not list(self._there):
            self._tell(Failed("workers", "every worker of the load was lost"))

    # --- what it does -------------------------------------------------------------------------------

    @property
    def _there(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if not worker.lost]

    def _progress(self) -> Progress:
        """Requests of all workers, the lost ones included, of each arm."""
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

    def _tell(self, message: News) -> None:
        self._state.outbox.append(message)

    def _send(self) -> None:
        while self._state.outbox:
            try:
                self._channel.send(self._state.outbox.popleft())
            except OSError:
                self._end()

    def _say(self, kind: str, data: object, *, to: str) -> None:
        assert self._runner is not None
        self._runner.send_message(kind, data, client_id=to)  # type: ignore[arg-type]

    def _end(self) -> None:
        """Have the workers end their users and hand over what they recorded; then end Locust, and with it them."""
        if self._ending or self._runner is None:
            return
        self._ending = True
        self._runner.stop(send_stop_to_client=False)  # or a worker that leaves would be replaced
        self._order(b'{"stop":true}', None)
        deadline = time.monotonic() + LAST_WORDS_S
        while not all(worker.over for worker in self._there) and time.monotonic() < deadline:
            gevent.sleep(TICK_S)
        self._tell(self._progress())
        self._send()
        self._runner.quit()
