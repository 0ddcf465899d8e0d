"""One unchanged locustfile drives every arm, with equal users, equal draws and rows side by side."""

from __future__ import annotations

from collections import Counter

import pytest

from .conftest import eventually

RANDOM_WALK = """
    import random
    from random import choice
    import gevent
    from locust import {kind}, between, task

    class Walker({kind}):
        wait_time = between(0.001, 0.01)

        def __init__(self, environment):
            super().__init__(environment)
            self.home = random.randint(1, 1000)

        @task(3)
        def one(self):
            self.client.get(f"/ok/{{self.home}}/{{random.random()}}", name="/ok")

        @task
        def other(self):
            self.client.get(f"/ok/{{choice(range(10**6))}}", name="/other")

        @task
        def spawned(self):
            gevent.spawn(lambda: self.client.get(f"/ok/{{random.gauss(0, 1)}}", name="/spawned")).join()
"""


@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_every_arm_draws_the_same(bench, kind):
    """The n-th request of the n-th user is the same in both arms: path, id, and what it drew, even in __init__."""
    bench.run(RANDOM_WALK.format(kind=kind), until=bench.saw(60), users=3)
    plain, other = ({seen.id: seen.path for seen in bench.server.of(arm)} for arm in bench.server.arms)
    both = plain.keys() & other.keys()
    assert len(both) > 40
    assert {i: plain[i] for i in both} == {i: other[i] for i in both}
    assert {i.rsplit("-", 1)[0] for i in both} == {"Walker-0", "Walker-1", "Walker-2"}
    assert len(set(plain.values())) == len(plain), "each draw is another one"


def test_the_seed_decides(bench):
    """Another seed draws other numbers, and the same seed draws the same again."""
    runs = []
    for seed in (1, 1, 2):
        bench.server.seen.clear()
        bench.run(RANDOM_WALK.format(kind="FastHttpUser"), until=bench.saw(10), seed=seed)
        runs.append([seen.path for seen in bench.server.of("plain")][:10])
    assert runs[0] == runs[1] != runs[2]


def test_arms_are_equal_although_weights_do_not_divide(bench):
    """Five users of weights 3 and 1 are four and one in each arm; a third class with a tiny weight gets none."""
    locustfile = """
        from locust import FastHttpUser, constant, task

        class Base(FastHttpUser):
            abstract = True
            wait_time = constant(0.05)

            @task
            def ask(self):
                self.client.get("/ok")

        class Many(Base):
            weight = 3

        class Few(Base):
            weight = 1

        class Rare(Base):
            weight = 0.01
    """
    with bench.load(locustfile, users=5) as load:
        assert load.wait_ready() == 10
        load.open()
        eventually(bench.saw(5), "not every user began")
        load.drain(5)
        load.stop()
        assert [notice.code for notice in load.notices] == ["class_without_users"]
    for arm in bench.server.arms:
        users = {start["id"].rsplit("-", 1)[0] for start in bench.starts() if start["arm"] == arm}
        assert Counter(user.split("-")[0] for user in users) == {"Many": 4, "Few": 1}


def test_rows_of_one_request_stand_below_each_other(bench):
    """Locust's table names request and arm, so that it sorts the arms of one request side by side."""
    locustfile = """
        from locust import FastHttpUser, task

        class A(FastHttpUser):
            @task
            def ask(self):
                self.client.get("/ok")
                self.client.post("/ok", name="POST /named", json={})
                with self.client.rename_request("/renamed"):
                    self.client.get("/ok/1")
                self.client.get(self.host + "/ok/absolute")
    """
    bench.run(locustfile, until=bench.saw(8))
    names = ["GET /ok", "GET /ok/absolute", "GET /renamed", "POST /named"]
    assert {start["name"] for start in bench.starts()} == set(names)
    table = bench.summary().split("Response time percentiles")[0]
    rows = [f"{name} · {arm}" for name in names for arm in ("plain", "pre_ping")]
    found = sorted(rows, key=table.index)
    assert found == sorted(rows), "as Locust sorts them"


def test_behaviour_beside_the_requests_is_left_alone(bench):
    """A user's own headers, context, nested task sets, on_start and listeners work as without us."""
    locustfile = """
        from locust import FastHttpUser, SequentialTaskSet, events, task

        class Steps(SequentialTaskSet):
            @task
            def first(self):
                self.client.get("/ok/first", headers={"x-request-id": "mine-" + str(self.user.n)})

            @task
            def second(self):
                self.client.get("/ok/second", context={"colour": "red"})
                self.user.n += 1

        class Stepper(FastHttpUser):
            tasks = [Steps]

            def context(self):
                return {"mood": "good"}

            def on_start(self):
                self.n = 0
                self.client.get("/ok/login")

        @events.request.add_listener
        def listen(name, context, **_):
            if "second" in name:
                print("HEARD", name, context["arm"], context["mood"], context["colour"])
    """
    bench.run(locustfile, until=bench.saw(7))
    seen = bench.server.of("plain")
    assert [s.path.split("/")[2] for s in seen[:5]] == ["login", "first", "second", "first", "second"]
    assert [s.id for s in seen[:5]] == ["Stepper-0-1", "mine-0", "Stepper-0-3", "mine-1", "Stepper-0-5"]
    assert {start["id"] for start in bench.starts() if start["arm"] == "plain"} >= {s.id for s in seen[:5]}
    assert "HEARD GET /ok/second · plain plain good red" in bench.summary()
