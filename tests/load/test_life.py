"""How a load begins and ends: mistakes told in one line, nothing outlives the harness, little is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from tests.processes import alive

from brokenpipe.drive.locust.process import locust_process
from brokenpipe.errors import LocustfileError, RecordingError, RedirectError, StackError
from brokenpipe.history.records import LoopLag, RequestEnd, RequestStart
from brokenpipe.load.config import LoadConfig
from brokenpipe.stack.processes.janitor import NoJanitor

from .conftest import eventually
from .test_gate import QUICK


@pytest.mark.parametrize(
    ("locustfile", "said"),
    [
        ("from locust import task\n\nclass A(\n", "locustfile.py, line 3: SyntaxError: '(' was never closed"),
        ("import locust\nimport nowhere\n", "locustfile.py, line 2: ModuleNotFoundError: No module named"),
        ("def f():\n    return 1 / 0\nf()\n", "locustfile.py, line 2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('no')\n", "locustfile.py, line 2: SystemExit: no"),
        ("x = 1\n", "defines no user"),
        ("from locust import User\nclass A(User):\n    abstract = True\n", "defines no user"),
        ("from locust import User\nclass A(User):\n    weight = 0\n", "no user class has a weight above 0"),
        (
            "from locust import User\nclass A(User):\n    def __init__(self, e):\n        self.x = e.y\n",
            "A cannot be made: {folder}/locustfile.py, line 4: AttributeError: 'Environment' object",
        ),
    ],
)
def test_a_broken_locustfile_is_told_by_file_and_line(bench, locustfile, said):
    """What is wrong, where, and which exception: one line, a usage error, no traceback."""
    with bench.load(locustfile) as load, pytest.raises(LocustfileError) as caught:
        load.wait_ready(20)
    assert said.format(folder=bench.folder) in caught.value.message
    assert "Traceback" not in caught.value.message
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_missing_locustfile_is_told(bench):
    """A path that leads nowhere is the user's mistake as well."""
    with (
        locust_process(bench.config, bench.folder / "load.log", NoJanitor()) as load,
        pytest.raises(LocustfileError, match="there is no such file"),
    ):
        load.wait_ready(20)


@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_nothing_is_sent_elsewhere(bench, kind):
    """Another arm, another host, and tricks with paths are refused; the run ends as a usage error."""
    other = bench.server.arms["pre_ping"]
    urls = [f"{other}/ok", "http://example.com/ok", "@example.com/", "9/"]
    locustfile = f"""
        from locust import {kind}, constant, task

        class Stray({kind}):
            wait_time = constant(0.1)

            @task
            def stray(self):
                for url in {urls!r}:
                    if self.context()["arm"] == "plain":
                        try:
                            self.client.get(url)
                        except Exception as error:
                            print(type(error).__name__, url, flush=True)
    """
    with bench.load(locustfile) as load:
        load.wait_ready()
        load.open()
        eventually(lambda: load.failure, "nobody was told")
        with pytest.raises(LocustfileError, match="not the address of its arm") as caught:
            load.check()
        assert caught.value.exit_code == 2
        eventually(lambda: urls[-1] in bench.summary(), "not every address was tried")
        load.stop()
    assert [url for url in urls if f"ForeignUrlError {url}\n" not in bench.summary()] == []
    assert bench.server.of("pre_ping") == []
    assert bench.every_end() == [], "nothing was sent"


@pytest.mark.parametrize("elsewhere", ["another arm", "off this machine"])
@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_a_redirect_elsewhere_is_the_services(bench, kind, elsewhere):
    """To another port or host: the message names the service and where it sent to; nothing is requested there."""
    url = f"{bench.server.arms['pre_ping']}/ok" if elsewhere == "another arm" else "http://192.0.2.1/ok"
    locustfile = f"""
        from locust import {kind}, constant, task

        class Sent({kind}):
            wait_time = constant(0.1)

            @task
            def sent(self):
                if self.context()["arm"] == "plain":
                    self.client.get("/to?{url}")
    """
    with bench.load(locustfile) as load:
        load.wait_ready()
        load.open()
        eventually(lambda: load.failure, "nobody was told")
        with pytest.raises(RedirectError, match=f"^the service of arm plain redirects to {url}") as caught:
            load.check()
        assert caught.value.exit_code == 2
        assert "locustfile.py" not in caught.value.message
        load.stop()
    assert bench.server.of("pre_ping") == []


def test_a_redirect_within_the_arm_is_followed(bench):
    """Both clients follow a redirect to the arm itself, absolute or not."""
    locustfile = """
        from locust import FastHttpUser, HttpUser, constant, task

        class A(FastHttpUser):
            wait_time = constant(0.05)

            @task
            def go(self):
                self.client.get("/to?/ok/1")
                self.client.get("/to?" + self.host + "/ok/2")

        class B(HttpUser):
            wait_time = constant(0.05)
            tasks = A.tasks
    """
    bench.run(locustfile, until=bench.saw(16), users=2)
    assert {end["failure"] for end in bench.every_end()} == {None}
    assert {seen.path for seen in bench.server.of("plain")} >= {"/ok/1", "/ok/2"}


def test_what_readers_should_know_is_told(bench):
    """A load shape is ignored, an exception in a task and a user who never began are told, each once."""
    locustfile = """
        from locust import FastHttpUser, LoadTestShape, constant, task

        class Shape(LoadTestShape):
            def tick(self):
                return (1, 1)

        class A(FastHttpUser):
            wait_time = constant(0.02)

            def on_start(self):
                if self.context()["arm"] == "plain":
                    raise ValueError("no login")

            @task
            def ask(self):
                self.client.get("/ok")
                {}["missing"]
    """
    with bench.load(locustfile, users=3) as load:
        assert load.wait_ready() == 6
        load.open()
        eventually(lambda: len(load.notices) >= 5, "too few notices")
        load.stop()
        texts = {notice.code: notice.text for notice in load.notices}
        codes = sorted(notice.code for notice in load.notices)
    assert codes == ["load_shape", "task_error", "user_ended", "user_ended", "user_ended"]
    assert "Shape is ignored" in texts["load_shape"]
    assert texts["task_error"] == f"A: {bench.config.locustfile}, line 18: KeyError: 'missing'"
    assert "of plain ended before it began: on_start raised ValueError: no login" in texts["user_ended"]


def test_a_cut_body_is_an_outcome_and_no_mistake(bench):
    """An exception that the wire caused, and the locustfile lets pass, is counted and not told as its mistake."""
    locustfile = """
        from locust import FastHttpUser, constant, task

        class A(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def ask(self):
                with self.client.get("/cut", stream=True, catch_response=True) as response:
                    b"".join(response.iter_content())
                    response._response.read()
    """
    with bench.load(locustfile, users=2) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(6), "no load")
        load.drain(5.0)
        load.stop()
        assert [notice.code for notice in load.notices] == []
    assert {end["failure"] for end in bench.ends("GET /cut")} == {"transport"}


def test_kill_9_loses_little_and_tears_at_most_one_line(bench):
    """Every full line can be read; what is missing began less than a second before; no end is without its request."""
    with bench.load(QUICK.replace("/ok", "/slow/0.05"), users=10) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(200), "no load")
        os.kill(load.pid, signal.SIGKILL)
        eventually(lambda: load.failure, "nobody noticed")
        assert isinstance(load.failure, StackError)
        assert "signal 9" in load.failure.message
    last_ns = max(seen.t_ns for seen in bench.server.seen)
    ids = {(start["arm"], start["id"]) for start in bench.starts()}  # parses every full line
    lost = [seen for seen in bench.server.seen if (seen.arm, seen.id) not in ids]
    assert all(last_ns - seen.t_ns < 1e9 for seen in lost)
    assert len(ids) > 100
    assert len(ids) >= len(bench.every_end())  # more, if a request was under way at the last flush


@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_what_is_cut_off_by_the_end_has_a_start_and_no_end(bench, kind):
    """Stopping in the middle of a request or a stream leaves a start alone, not a failure made by ourselves."""
    locustfile = f"""
        import time
        from locust import {kind}, task

        class Long({kind}):
            @task
            def ask(self):
                if self.context()["arm"] == "plain":
                    self.client.get("/hang")
                else:
                    for _ in self.client.get("/events/99/0.1", stream=True).iter_content(5):
                        pass
    """
    with bench.load(locustfile, users=2, time_limit_s=30.0) as load:
        load.wait_ready()
        load.open()
        eventually(bench.saw(2), "no load")
        load.stop()
    assert len(bench.starts()) == 4
    assert bench.every_end() == []


def test_the_load_ends_by_itself_when_the_harness_is_gone(bench):
    """The end of the channel ends Locust within 2 s, although requests hang and nobody sends a signal."""
    harness = textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        from brokenpipe.drive.locust.process import locust_process
        from brokenpipe.load.config import LoadConfig
        from brokenpipe.stack.processes.janitor import NoJanitor
        with locust_process(LoadConfig.from_json(sys.argv[1]), Path(sys.argv[2]), NoJanitor()) as load:
            load.wait_ready()
            load.open()
            print(load.pid, flush=True)
            time.sleep(60)
    """)
    bench.config.locustfile.write_text(textwrap.dedent(QUICK.replace("/ok", "/hang")))
    argv = [sys.executable, "-c", harness, bench.config.to_json(), str(bench.folder / "load.log")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        locust = psutil.Process(int(process.stdout.readline()))
        eventually(bench.saw(1), "no load")
        process.kill()
    eventually(lambda: not alive(locust), "Locust runs on", 2.0)


def test_a_full_disk_stops_the_load(bench):
    """A request log that cannot be written is an error of recording, at the start and later on."""
    with (
        bench.load(QUICK, requests_path=Path("/dev/full")) as load,
        pytest.raises(RecordingError, match=r"/dev/full: .*No space left"),
    ):
        load.wait_ready()
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    path = bench.folder / "requests.ndjson"
    with bench.load(limit + textwrap.dedent(QUICK), requests_path=path) as load:
        load.wait_ready()
        load.open()
        eventually(lambda: load.failure, "nobody was told")
        assert isinstance(load.failure, RecordingError)
        assert "File too large" in load.failure.message


def test_a_locust_conf_that_lies_about_changes_nothing(bench, monkeypatch):
    """Settings of Locust in the working folder, above all a host, do not reach an experiment."""
    (bench.folder / "locust.conf").write_text("host = http://127.0.0.1:1\nusers = 7\ntags = nothing\n")
    monkeypatch.chdir(bench.folder)
    bench.run(QUICK, until=bench.saw(5))
    assert {end["failure"] for end in bench.every_end()} == {None}


def test_the_log_is_made_of_the_records_of_the_history(bench):
    """Lines made by hand for speed equal what the record types would write, odd characters included."""
    locustfile = """
        from locust import FastHttpUser, constant, task

        class Ünser(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def ask(self):
                with self.client.get("/ok", name='"q" ü\\\\n', catch_response=True) as response:
                    response.failure('say "no"\\\\n ü')
                self.client.get("/slow/0.3", headers={"Idempotency-Key": '"k"'})
    """
    bench.run(locustfile, until=lambda: bench.records("lag") and bench.records("start"))
    lines = bench.config.requests_path.read_text().splitlines()
    assert json.loads(lines[0])["k"] == "clock"
    assert len(lines) > 10
    for kind in (RequestStart, RequestEnd, LoopLag):
        found = [record for line in lines if (record := json.loads(line))["k"] == kind.KIND]
        assert found
        remade = [kind(**{k: v for k, v in line.items() if k != "k"}).to_json() for line in found]
        assert [list(line.items()) for line in remade] == [list(line.items()) for line in found]


def test_the_harness_needs_nothing_of_locust():
    """Importing the harness's end does not import Locust, which would patch the whole process."""
    code = "import sys, brokenpipe.drive.locust.process; sys.exit('locust' in sys.modules or 'gevent' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_configuration_survives_the_way_into_the_environment(bench):
    """What the harness writes is what the load reads."""
    assert LoadConfig.from_json(bench.config.to_json()) == bench.config
