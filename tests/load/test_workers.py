"""Users in two workers are the same load: the same users, arrivals and pauses; and a lost worker is told."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile

import pytest

from brokenpipe.drive.locust.process import LocustProcess, locust_process
from brokenpipe.history.validity_codes import DOUBTS, Code
from brokenpipe.load.messages import WorkerClockOffset
from brokenpipe.load.pacing.poisson import due_times
from brokenpipe.stack.processes.janitor import NoJanitor

from .conftest import Bench, eventually

TWO_CLASSES = """
    import random
    from locust import FastHttpUser, constant, task

    class Often(FastHttpUser):
        weight = 2
        wait_time = constant(0.02)

        @task
        def ask(self):
            self.client.get(f"/ok?{random.random()}", name="/ok")

    class Seldom(Often):
        weight = 1
"""
USERS = {"Often-0", "Often-1", "Often-2", "Seldom-0", "Seldom-1"}
PATIENCE_S = 60.0


@contextmanager
def two_workers(bench: Bench, **changes: object) -> Iterator[tuple[LocustProcess, list[WorkerClockOffset]]]:
    """Five users an arm in two workers, ready at the closed gate."""
    measured: list[WorkerClockOffset] = []
    changed = {"workers": 2, "users": 5} | changes
    bench.configure(TWO_CLASSES, **changed)
    with locust_process(
        bench.config, bench.folder / "load.log", NoJanitor(), on_aligned=measured.append
    ) as load:
        load.wait_ready(PATIENCE_S)
        yield load, measured


def test_two_workers_are_one_load(bench: Bench) -> None:
    """Each user is in one worker, draws as it would in one process, and pauses with all; nothing is counted twice."""
    with two_workers(bench) as (load, measured):
        load.open()
        eventually(bench.saw(100), "the server saw too few requests")
        assert load.drain(10)
        seen = len(bench.server.seen)
        eventually(lambda: sum(c.ended for c in load.progress.values()) == seen, "progress lags behind")
        assert len(bench.server.seen) == seen, "somebody asked while the gate was closed"
        load.open(["plain"])
        before = Counter(request.arm for request in bench.server.seen)
        eventually(lambda: len(bench.server.of("plain")) > before["plain"] + 20, "nobody was let through")
        assert load.drain(10)
        assert len(bench.server.of("pre_ping")) == before["pre_ping"]
        load.stop()
        assert not load.notices
        assert {each.worker for each in measured} == {"w1", "w2"}
        assert all(each.offset_ns == 0 for each in measured), "one machine has one clock"
    ends = {worker: bench.ends_of(worker) for worker in ("w1", "w2")}
    everything = [(end["arm"], end["id"]) for found in ends.values() for end in found]
    assert len(everything) == len(set(everything)) == len(bench.server.seen)
    users = {worker: {(end["arm"], _user(end["id"])) for end in found} for worker, found in ends.items()}
    assert not users["w1"] & users["w2"]
    assert users["w1"] | users["w2"] == {(arm, user) for arm in bench.server.arms for user in USERS}
    for found in users.values():
        assert {user for arm, user in found if arm == "plain"} == {u for arm, u in found if arm == "pre_ping"}
    drawn = {arm: {seen.id: seen.path for seen in bench.server.of(arm)} for arm in bench.server.arms}
    both = drawn["plain"].keys() & drawn["pre_ping"].keys()
    assert both
    assert all(drawn["plain"][one] == drawn["pre_ping"][one] for one in both)
    _draws_as_alone(bench, drawn["plain"])


def _user(request_id: str) -> str:
    return request_id.rpartition("-")[0]


def _draws_as_alone(bench: Bench, drawn: dict[str, str]) -> None:
    """The same requests come from one process with all users."""
    bench.server.seen.clear()
    with bench.load(TWO_CLASSES, workers=0) as load:
        load.wait_ready(PATIENCE_S)
        load.open()
        eventually(bench.saw(50), "the server saw too few requests")
        load.stop()
    alone = {seen.id: seen.path for seen in bench.server.of("plain")}
    both = drawn.keys() & alone.keys()
    assert {_user(one) for one in both} == USERS
    assert all(drawn[one] == alone[one] for one in both)


def test_arrivals_are_split_and_one_lost_worker_is_told(bench: Bench) -> None:
    """Two workers send what one would, no arrival twice; killed, one is noticed, and the other goes on."""
    per_s = 40.0
    with two_workers(bench, arrivals_per_s=per_s, users=20) as (load, _):
        load.open()
        eventually(bench.saw(60), "too little arrived")
        assert load.drain(10)
        _every_arrival_once(bench, per_s)
        victim = load.worker_pids["w2"]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: load.notices, "nobody missed the worker")
        (notice,) = load.notices
        assert "worker w2" in notice.text
        assert DOUBTS[Code(f"load_{notice.code}")].unknown
        seen = len(bench.server.seen)
        load.open()
        eventually(lambda: len(bench.server.seen) > seen + 10, "the other worker stopped as well")
        assert load.drain(10), "it waits for the dead"
        load.stop()


def _every_arrival_once(bench: Bench, per_s: float) -> None:
    """Where requests began is where arrivals were due, counted from the first."""
    seed = bench.config.seed
    arrived = [record for w in ("w1", "w2") for record in (*bench.ends_of(w), *bench.ends_of(w, "missed"))]
    for arm in bench.server.arms:
        began = sorted(_due(bench, record) for record in arrived if record["arm"] == arm)
        span_s = (began[-1] - began[0]) / 1e9
        due = list(takewhile(lambda at_s: at_s < 60, due_times(seed, 1, per_s)))
        expected = [at_s - due[0] for at_s in due[: len(began)]]
        assert span_s == pytest.approx(expected[-1], abs=0.5)
        assert len({round(each / 1e6, 2) for each in began}) == len(began)


def _due(bench: Bench, record: dict[str, object]) -> float:
    return float(str(record.get("t0") or record["t"]))
