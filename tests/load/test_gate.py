"""Users pause together and come back together, and it is known when nothing is under way."""

from __future__ import annotations

import time

from .conftest import eventually

QUICK = """
    from locust import FastHttpUser, constant, task

    class Quick(FastHttpUser):
        wait_time = constant(0.02)

        @task
        def ask(self):
            self.client.get("/ok")
"""


def test_nobody_starts_while_the_gate_is_closed(bench):
    """Before it opens, and between closing and opening, no request starts; before and after, many do."""
    with bench.load(QUICK, users=20) as load:
        load.wait_ready()
        assert bench.server.seen == []
        opened = [time.monotonic_ns()]
        load.open()
        eventually(bench.saw(100), "no load")
        assert load.drain(5.0)
        closed = time.monotonic_ns()
        time.sleep(0.3)  # the pause itself, which is what is measured
        opened.append(time.monotonic_ns())
        load.open()
        eventually(bench.saw(250), "no load after the pause")
        load.stop()
    starts = [start["t"] for start in bench.starts()]
    assert min(starts) >= opened[0]
    assert not [t for t in starts if closed <= t < opened[1]]
    assert len([t for t in starts if t >= opened[1]]) > 100


def test_forty_users_are_released_at_once(bench):
    """All forty start within half a second of the opening; Locust, which spawns one a second, would take forty."""
    with bench.load(QUICK, users=20) as load:
        load.wait_ready()
        opened = time.monotonic_ns()
        load.open()
        eventually(bench.saw(40), "no load")
        load.stop()
    first: dict[tuple[str, str], int] = {}
    for start in bench.starts():
        first.setdefault((start["arm"], start["id"].rsplit("-", 1)[0]), start["t"])
    assert len(first) == 40
    assert (max(first.values()) - opened) / 1e6 < 500


def test_draining_waits_for_what_is_under_way(bench):
    """Drained comes when the last answer is there, not before, and False when that takes too long."""
    slow = QUICK.replace("/ok", "/slow/0.5")
    with bench.load(slow, users=2) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(2), "no load")
        assert not load.drain(0.1)
        assert load.drain(2.0)
        drained = time.monotonic_ns()
        load.stop()
    assert len(bench.starts()) == len(bench.every_end()) == 4
    last = max(end["t"] for end in bench.every_end())
    assert 0 < (drained - last) / 1e6 < 100, "told within a tick of 25 ms"


def test_a_stream_is_under_way_until_its_body_ends(bench):
    """Draining waits for the end of a stream's body, not for its headers."""
    locustfile = """
        from locust import FastHttpUser, constant, task

        class Reader(FastHttpUser):
            wait_time = constant(10)

            @task
            def read(self):
                for _ in self.client.get("/events/5/0.1", stream=True).iter_content():
                    pass
    """
    with bench.load(locustfile) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(1), "no load")
        assert load.drain(3.0)
        drained = time.monotonic_ns()
        load.stop()
    (end,) = bench.ends("GET /events/5/0.1")
    assert end["ms"] > 500
    assert end["t"] < drained


def test_progress_counts_each_arm(bench):
    """What the harness is told agrees with the log in the end."""
    with bench.load(QUICK, users=2) as load:
        load.wait_ready()
        load.open()
        eventually(lambda: load.progress and load.progress["plain"].ended > 10, "no progress")
        load.drain(2.0)
        load.stop()
        progress = load.progress
    for arm in ("plain", "pre_ping"):
        started = len([start for start in bench.starts() if start["arm"] == arm])
        assert (progress[arm].started, progress[arm].ended, progress[arm].failed) == (started, started, 0)


def test_one_arm_is_asked_alone(bench):
    """Opened for one arm, the gate lets nobody of the other through, until it is opened for that."""
    with bench.load(QUICK, users=5) as load:
        load.wait_ready()
        load.open(("plain",))
        eventually(lambda: len(bench.server.of("plain")) > 50, "no load")
        assert load.drain(5.0)
        assert bench.server.of("pre_ping") == []
        load.open(("pre_ping",))
        before = len(bench.server.of("plain"))
        eventually(lambda: len(bench.server.of("pre_ping")) > 50, "no load")
        assert len(bench.server.of("plain")) == before
        load.stop()
