"""Our record of an outcome agrees with Locust's, and streams and silences are judged when they are over."""

from __future__ import annotations

import pytest

KINDS = ["HttpUser", "FastHttpUser"]


def asking(kind: str, body: str) -> str:
    """A locustfile whose users do `body`, then ask for /ok, then wait."""
    lines = "\n".join("        " + line for line in body.strip().splitlines())
    return (
        f"from locust import {kind}, constant, events, task\n"
        f"class Asker({kind}):\n"
        "    wait_time = constant(0.05)\n"
        "    @task\n"
        "    def ask(self):\n"
        f"{lines}\n"
        "    @task\n"
        "    def calm(self):\n"
        "        self.client.get('/ok')\n"
        # What Locust itself believes, for comparison.
        "@events.request.add_listener\n"
        "def listen(name, exception, response_time, **_):\n"
        "    print('LOCUST', name, 'failed' if exception else 'fine', response_time, flush=True)\n"
    )


def locust_says(bench, row: str) -> list[str]:
    """`fine` or `failed`, for each of the row's requests in the plain arm, in Locust's own opinion."""
    prefix = f"LOCUST {row} · plain "
    return [
        line[len(prefix) :].split()[0] for line in bench.summary().splitlines() if line.startswith(prefix)
    ]


def outcomes(bench, row: str) -> set[tuple[int, str]]:
    return {(end["status"], end["failure"]) for end in bench.ends(row)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_is_a_failure_unless_the_locustfile_says_otherwise(bench, kind):
    """Locust's verdict is ours: by status, by response.success(), by response.failure()."""
    body = """
self.client.get("/status/503")
self.client.get("/status/404", name="GET /caught", catch_response=True).__enter__().success()
with self.client.get("/status/404", name="/success", catch_response=True) as response:
    response.success()
with self.client.get("/ok/1", name="/declared", catch_response=True) as response:
    response.failure("too short: " + "x" * 1000)
with self.client.get("/status/500", name="/untouched", catch_response=True) as response:
    pass
"""
    bench.run(asking(kind, body), until=bench.saw(20))
    assert outcomes(bench, "GET /ok") == {(200, None)}
    assert outcomes(bench, "GET /status/503") == {(503, "status")}
    assert outcomes(bench, "GET /success") == {(404, None)}
    assert outcomes(bench, "GET /declared") == {(200, "declared")}
    assert outcomes(bench, "GET /untouched") == {(500, "status")}
    assert bench.ends("GET /status/503")[0]["error"] == "HTTP 503"
    assert bench.ends("GET /declared")[0]["error"].startswith("CatchResponseError: too short: xxx")
    assert len(bench.ends("GET /declared")[0]["error"]) == 300
    for row in ("GET /ok", "GET /status/503", "GET /success", "GET /declared", "GET /untouched"):
        ours = ["failed" if end["failure"] else "fine" for end in bench.ends(row)]
        assert locust_says(bench, row) == ours


@pytest.mark.parametrize("kind", KINDS)
def test_our_times_are_the_events_own(bench, kind):
    """The response time of our log is the one that Locust's event carries, to the microsecond."""
    bench.run(asking(kind, "self.client.get('/slow/0.03')"), until=bench.saw(5))
    printed = [line.split() for line in bench.summary().splitlines() if line.startswith("LOCUST GET /slow")]
    locust = sorted(float(line[-1]) for line in printed if line[4] == "plain")
    ours = sorted(end["ms"] for end in bench.ends("GET /slow/0.03"))
    assert ours == pytest.approx(locust, rel=0, abs=0.0005)
    assert ours


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_answer_has_failed(bench, kind):
    """A body that is cut in the middle is a failure of the transport, in our log and in Locust's table, however
    it is read: as a whole or as a stream, in a with-block or not, even if the locustfile swallows the error.
    """
    readings = [
        "self.client.get({path!r}, name={name!r})",
        "self.client.get({path!r}, name={name!r}, stream=True).content",
        "list(self.client.get({path!r}, name={name!r}, stream=True).iter_content(1))",
        "with self.client.get({path!r}, name={name!r}, stream=True, catch_response=True) as r: r.content",
        "with self.client.get({path!r}, name={name!r}, stream=True, catch_response=True) as r:{swallow}",
    ]
    if kind == "HttpUser":
        readings.append("list(self.client.get({path!r}, name={name!r}, stream=True).iter_lines())")
    else:
        readings.append("list(self.client.iter_lines({path!r}, name={name!r}))")
        readings.append("self.client.get({path!r}, name={name!r}, stream=True)._response.readline()")
    swallow = "\n        try: r.content\n        except Exception: pass"
    cuts = [(path, reading) for path in ("/cut", "/cut-length") for reading in readings]
    body = "".join(
        f"try:\n    {reading.format(path=path, name=f'/{i}', swallow=swallow)}\nexcept Exception: pass\n"
        for i, (path, reading) in enumerate(cuts)
    )
    bench.run(asking(kind, body), until=bench.saw(2 * len(cuts) + 2))
    for i, cut in enumerate(cuts):
        assert {end["failure"] for end in bench.ends(f"GET /{i}")} == {"transport"}, cut
        assert set(locust_says(bench, f"GET /{i}")) == {"failed"}, cut
    assert set(locust_says(bench, "GET /ok")) <= {"fine"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_lasts_until_its_body_ends(bench, kind):
    """Read to its end, a stream is a success whose time includes its body, in Locust's table as well."""
    body = "for _ in self.client.get('/events/4/0.03', stream=True).iter_content(100): pass"
    bench.run(asking(kind, body), until=bench.saw(6))
    ends = bench.ends("GET /events/4/0.03")
    assert {end["failure"] for end in ends} == {None}
    assert all(120 <= end["ms"] < 400 for end in ends)
    times = [line.split() for line in bench.summary().splitlines() if line.startswith("LOCUST GET /events")]
    assert min(float(line[-1]) for line in times) >= 120


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_a_stream_on_purpose_is_a_success(bench, kind):
    """Closed early, left in the middle, or never read: a success, of the time until then."""
    close = "close" if kind == "HttpUser" else "release"
    body = f"""
response = self.client.get("/events/9/0.03", name="/closed", stream=True)
next(iter(response.iter_content(1)))
response{"" if kind == "HttpUser" else "._response"}.{close}()
for _ in self.client.get("/events/9/0.03", name="/left", stream=True).iter_content(1):
    break
self.client.get("/events/9/0.03", name="/unread", stream=True)
with self.client.get("/events/9/0.03", name="/declared", stream=True, catch_response=True) as response:
    response.failure("no")
"""
    bench.run(asking(kind, body), until=bench.saw(16))
    for row in ("GET /closed", "GET /left", "GET /unread"):
        assert outcomes(bench, row) == {(200, None)}
        assert max(end["ms"] for end in bench.ends(row)) < 9 * 30
    assert outcomes(bench, "GET /declared") == {(200, "declared")}


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_within_the_limit_is_a_timeout(bench, kind):
    """A silent target, and one that falls silent in the middle of a stream, end at the limit as timeouts."""
    body = """
self.client.get("/hang", timeout=60) if hasattr(self.client, "adapters") else self.client.get("/hang")
list(self.client.get("/events/2/9", stream=True).iter_content(1))
"""
    bench.run(asking(kind, body), until=bench.saw(4), time_limit_s=0.3)
    for row in ("GET /hang", "GET /events/2/9"):
        ends = bench.ends(row)
        assert {end["failure"] for end in ends} == {"timeout"}
        assert all(300 <= end["ms"] < 500 for end in ends)
    assert {end["status"] for end in bench.ends("GET /hang")} == {0}


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_in_a_with_block_does_not_lose_the_request(bench, kind):
    """Locust says nothing about a with-block left by an exception; we end it by its status."""
    body = """
with self.client.get("/status/500", catch_response=True) as response:
    response.json()["missing"]
"""
    bench.run(asking(kind, body), until=bench.saw(6))
    assert outcomes(bench, "GET /status/500") == {(500, "status")}
    assert locust_says(bench, "GET /status/500") == []
    assert bench.every_end()
    assert len(bench.starts()) == len(bench.every_end())


def test_nobody_listening_is_a_failure_of_the_transport(bench):
    """A refused connection has status 0 and says so."""
    arms = {"plain": "http://127.0.0.1:1", "pre_ping": bench.server.arms["pre_ping"]}
    until = lambda: len(bench.server.of("pre_ping")) > 5  # noqa: E731
    bench.run(asking("FastHttpUser", "self.client.get('/')"), until=until, arms=arms)
    assert outcomes(bench, "GET /") == {(0, "transport")}
    assert "ConnectionRefusedError" in bench.ends("GET /")[0]["error"]


def test_a_client_of_the_locustfiles_own_is_recorded_from_its_event(bench):
    """A custom client's event, which names its arm by the user's context, is a request that began and ended."""
    locustfile = """
        import time
        from locust import User, constant, task

        class Custom(User):
            wait_time = constant(0.02)

            @task
            def ask(self):
                event = self.environment.events.request
                with event.measure("WS", "send", context=self.context()):
                    time.sleep(0.05)
                event.fire(request_type="WS", name="lost", response_time=7.5, response_length=0,
                           exception=ConnectionError("gone"), context=self.context())
    """
    bench.run(locustfile, until=lambda: bench.records("lag"), users=2)
    sends, losses = bench.ends("WS send"), bench.ends("WS lost")
    assert all(50 <= end["ms"] < 1000 and end["failure"] is None for end in sends)
    assert {(end["ms"], end["failure"], end["error"]) for end in losses} == {
        (7.5, "transport", "ConnectionError: gone")
    }
    ids = [start["id"] for start in bench.starts() if start["arm"] == "plain"]
    assert {"Custom-0-1", "Custom-0-2", "Custom-1-1"} <= set(ids)
    assert "WS send · pre_ping" in bench.summary()
    lost_ns = {end["id"]: end["t"] for end in losses}
    for send in sends:  # the loss that follows at once has the next number
        user, _, number = send["id"].rpartition("-")
        assert abs(lost_ns.get(f"{user}-{int(number) + 1}", send["t"]) - send["t"]) < 40e6


def test_an_id_that_all_users_give_is_made_unique(bench):
    """Users of one arm who send the same X-Request-ID have a record each, and none ends another's request."""
    locustfile = """
        from locust import FastHttpUser, constant, task

        class A(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def ask(self):
                self.client.get("/slow/0.05", headers={"X-Request-ID": "same"})
    """
    bench.run(locustfile, until=bench.saw(12), users=3)
    starts = [start["id"] for start in bench.starts() if start["arm"] == "plain"]
    ends = [end["id"] for end in bench.every_end() if end["arm"] == "plain"]
    assert len(starts) >= 12
    assert len(set(starts)) == len(starts)
    assert sorted(ends) == sorted(starts)
    assert {end["failure"] for end in bench.every_end()} == {None}


@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_the_key_of_a_write_is_written_down(bench, kind):
    """The header Idempotency-Key names the write: the same for a user's same request in every arm, else null."""
    bench.run(
        f"""
        import random
        from locust import {kind}, constant, task

        class Writer({kind}):
            wait_time = constant(0.01)

            @task
            def write(self):
                key = random.randint(0, 2**64)
                for attempt in range(2):
                    self.client.post(f"/ok/{{key}}", name="/ok", headers={{"idempotency-key": str(key)}})
                self.client.get("/ok")
        """,
        until=bench.saw(12),
    )
    starts = bench.starts()
    sent = {(seen.arm, seen.id): seen for seen in bench.server.seen}
    for start in starts:
        seen = sent.get((start["arm"], start["id"]))
        assert seen is None or start["key"] == seen.headers.get("idempotency-key")
    keys = {arm: [s["key"] for s in starts if s["arm"] == arm][:9] for arm in bench.server.arms}
    assert keys["plain"] == keys["pre_ping"]
    first, again, none, second = keys["plain"][:4]
    assert first == again != second
    assert first
    assert none is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_gets_no_answer_is_sent_once(bench, kind):
    """A kept connection is closed in answer to every second GET: each such GET has failed, and none is sent again.

    FastHttpUser's library would send it once more by itself, and Locust would count one success for two requests.
    """
    locustfile = f"""
        from locust import {kind}, constant, task

        class Reader({kind}):
            wait_time = constant(0.02)

            @task
            def read(self):
                self.client.get("/unheard")
    """
    bench.run(locustfile, until=bench.saw(12))
    ids = [seen.id for seen in bench.server.of("plain")]
    assert len(ids) >= 12
    assert len(set(ids)) == len(ids)
    failed = [end["failure"] for end in bench.ends("GET /unheard")]
    assert failed[:12] == [None, "transport"] * 6


def test_users_who_share_their_clients_send_once_as_well(bench):
    """A pool of clients that a locustfile gives to all of its users is told no less than a user's own."""
    locustfile = """
        from geventhttpclient.client import HTTPClientPool
        from locust import FastHttpUser, constant, task

        class Reader(FastHttpUser):
            wait_time = constant(0.02)
            client_pool = HTTPClientPool(concurrency=2)

            @task
            def read(self):
                self.client.get("/unheard")
    """
    bench.run(locustfile, until=bench.saw(12), users=2)
    ids = [(seen.arm, seen.id) for seen in bench.server.seen]
    assert len(set(ids)) == len(ids)


def test_arguments_by_position_are_understood(bench):
    """Headers, a stream and what else a client takes by position mean the same as by name."""
    locustfile = """
        from locust import FastHttpUser, HttpUser, constant, task

        class A(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def ask(self):
                self.client.request("POST", "/ok", "/position", b"x", False, False, {"Idempotency-Key": "k"})
                stream = self.client.request("GET", "/events/3/0.03", "/stream", None, False, True)
                list(stream.iter_content(100))

        class B(HttpUser):
            wait_time = constant(0.02)

            @task
            def ask(self):
                with self.client.request("GET", "/ok", "/caught", True, {"who": "B"}) as response:
                    response.failure("no")
    """
    bench.run(locustfile, until=bench.saw(12), users=2)
    assert {end["key"] for end in bench.ends("POST /position")} == {"k"}
    assert min(end["ms"] for end in bench.ends("GET /stream")) >= 90
    assert {end["failure"] for end in bench.ends("GET /caught")} == {"declared"}
    assert len({seen.id for seen in bench.server.of("plain")}) == len(bench.server.of("plain"))


def test_a_timeout_of_urllib3_is_held_to_the_limit(bench):
    """requests takes it for a number or a pair; a longer one than the time limit ends at that, a shorter one before."""
    locustfile = """
        from locust import HttpUser, constant, task
        from urllib3.util import Timeout

        class A(HttpUser):
            wait_time = constant(0.02)

            @task
            def ask(self):
                self.client.get("/hang", name="/long", timeout=Timeout(connect=60, read=60))
                self.client.get("/hang", name="/short", timeout=Timeout(total=0.1))
                self.client.get("/ok")
    """
    bench.run(locustfile, until=bench.saw(4), time_limit_s=0.4)
    assert all(390 <= end["ms"] < 800 for end in bench.ends("GET /long"))
    assert all(90 <= end["ms"] < 300 for end in bench.ends("GET /short"))
    assert {end["failure"] for end in bench.ends("GET /long")} == {"timeout"}
    assert {end["failure"] for end in bench.ends("GET /ok")} <= {None}


@pytest.mark.parametrize("kind", KINDS)
def test_cookies_are_sent_back_until_they_expire(bench, kind):
    """A cookie that the service sets comes with later requests, one that it lets expire does not."""
    body = """
self.client.get("/none")
self.client.get("/cookie/a=1")
self.client.get("/first")
self.client.get("/cookie/b=2")
self.client.get("/second")
self.client.get("/cookie/a=0;Max-Age=0")
self.client.get("/cookie/b=0;Max-Age=0")
self.client.get("/none")
"""
    bench.run(asking(kind, body), until=bench.saw(20))
    sent = {(seen.path, seen.headers.get("cookie")) for seen in bench.server.of("plain")}
    assert {(path, cookie) for path, cookie in sent if not path.startswith(("/cookie", "/ok"))} == {
        ("/none", None),
        ("/first", "a=1"),
        ("/second", "a=1; b=2"),
    }
