"""Requests that arrive at a rate: the same in every arm, counted from when they were due, none forgotten."""

from __future__ import annotations

import json
import socket
import time
from itertools import islice, pairwise
from pathlib import Path

import pytest

from brokenpipe.drive.locust.process import LocustProcess
from brokenpipe.load.config import LoadConfig
from brokenpipe.load.pacing.poisson import due_times

from .conftest import eventually

pytestmark = pytest.mark.low_load

ASKING = """
    from locust import FastHttpUser, constant, task

    class Asking(FastHttpUser):
        wait_time = constant(0.02)

        @task
        def ask(self):
            self.client.get("/stalls")
"""
STALL_S = 1.0


def _latencies(bench, arm="plain"):
    """Of every answer, in milliseconds, from when its request was due."""
    late = {each["id"]: each["ms"] for each in bench.records("late") if each["arm"] == arm}
    return sorted(end["ms"] + late.get(end["id"], 0.0) for end in bench.ends("GET /stalls", arm))


def _stalled(bench, **load):
    """Three seconds of load, in the middle of which nobody is answered for one."""
    with bench.load(ASKING, **load) as running:
        running.wait_ready()
        begun = time.monotonic()
        running.open()
        eventually(lambda: time.monotonic() > begun + 1, "time stands still")
        bench.server.stalled_until = time.monotonic() + STALL_S
        eventually(lambda: time.monotonic() > begun + 3, "time stands still")
        assert running.drain(5.0)
        running.stop()
    return _latencies(bench)


def test_a_stall_shows_under_open_load(bench):
    """A third of the arrivals meets the stall, so the 99th percentile is most of its second, however few users."""
    ms = _stalled(bench, users=3, arrivals_per_s=40)
    assert len(ms) == pytest.approx(3 * 40, abs=4 * 120**0.5), "a Poisson process: 4 σ"
    assert ms[int(len(ms) * 0.99)] > 800
    assert len([each for each in ms if each > 500]) > len(ms) * 0.08, "half of the stall, which is a third"


def test_a_stall_hides_under_closed_load(bench):
    """The same stall meets one request of a user who waits for its answer: coordinated omission."""
    ms = _stalled(bench, users=1)
    assert len(ms) > 50
    assert len([each for each in ms if each > 500]) == 1
    assert ms[-1] > 800


def test_arrivals_are_the_same_in_every_arm(bench):
    """As many in each, every one within 50 ms of its twin; which arm is sent first takes turns."""
    with bench.load(ASKING, users=20, arrivals_per_s=50) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(60), "no load")
        load.drain(5.0)
        load.stop()
    starts = {
        arm: [start["t"] for start in bench.starts() if start["arm"] == arm] for arm in bench.server.arms
    }
    plain, pre_ping = starts.values()
    assert len(plain) == len(pre_ping)
    ahead = [(a - b) / 1e6 for a, b in zip(plain, pre_ping, strict=True)]
    assert max(map(abs, ahead)) < 50
    assert 20 < len([each for each in ahead if each < 0]) < len(ahead) - 20


def test_what_nobody_could_carry_is_missed_and_counted(bench):
    """One user who is busy for half a second cannot carry twenty arrivals a second: the rest is written down."""
    with bench.load(ASKING.replace("/stalls", "/slow/0.5"), users=1, arrivals_per_s=20) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(3), "no load")
        assert load.drain(5.0)
        load.stop()
    for arm in bench.server.arms:
        missed = [each for each in bench.records("missed") if each["arm"] == arm]
        starts = [each for each in bench.starts() if each["arm"] == arm]
        assert len(starts) in {3, 4}
        assert len(missed) > 10
    assert {each["t"] for each in bench.records("missed")} & {
        each["t"] for each in bench.records("late")
    } == set()


def test_logging_in_is_no_arrival(bench):
    """What users do in on_start they do at once, all of them; the rate begins after that."""
    locustfile = (
        ASKING
        + """
        def on_start(self):
            self.client.get("/ok")
    """
    )
    with bench.load(locustfile, users=30, arrivals_per_s=5) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(30), "users do not log in", timeout_s=3.0)
        load.stop()


def test_arrivals_are_a_poisson_process():
    """Gaps have the mean 1/rate and as large a standard deviation; the same seed and stretch give the same."""
    times = list(islice(due_times(1, 1, 50.0), 5_000))
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.02, rel=0.06), "4 σ of 5,000 gaps"
    assert deviation == pytest.approx(0.02, rel=0.1)
    assert times == list(islice(due_times(1, 1, 50.0), 5_000))
    assert times[0] != next(due_times(1, 2, 50.0))


def test_what_takes_turns_leaves_the_other_openings_their_own_arrivals():
    """An opening without a number gets the next one, whatever numbers the turns before it were given."""
    ours, theirs = socket.socketpair()
    with ours, theirs, theirs.makefile("r") as orders:
        load = LocustProcess(LoadConfig(Path("locustfile.py"), {}, 1, 1, Path("requests"), 1.0), None, ours)  # type: ignore[arg-type]
        load.open()
        for _ in range(2):
            load.open(("plain",), arrival_seed_index=1_000_000)
        load.open()
        indices = [json.loads(orders.readline())["arrival_seed_index"] for _ in range(4)]
        load._stopping = True
    assert indices == [1, 1_000_000, 1_000_000, 2]
