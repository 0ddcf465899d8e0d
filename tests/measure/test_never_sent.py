"""What the load cannot send for want of descriptors, ports or memory is the load's own, and counts for no arm."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.measure import warning_cases
from tests.measure.warning_cases import calm, measured
from tests.unit.plans import TARGET, scenario

from brokenpipe.drive.open_files import check_open_files
from brokenpipe.errors import StackError
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.live import LiveReader
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.plan.plan import Plan
from brokenpipe.stack.processes.open_files import OpenFileLimits, open_file_limits, raise_limit

STEADY = {"name": "steady", "seconds": 4}


# In a process of its own, because Locust patches the libraries of the one that imports it.
CLIENTS = """
from locust import HttpUser  # first: it patches the libraries
import errno, json, os, resource, socket
import requests
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.user import User
from brokenpipe.load.requests.failures import failure_of_exception, failure_of, failure_of_event

def told(failure):
    return [failure.kind, failure.sent, failure.text]

server = socket.create_server(("127.0.0.1", 0))
url = "http://{}:{}/".format(*server.getsockname())
session = requests.Session()
session.trust_env = False
seen = []
environment = Environment()
environment.events.request.add_listener(lambda **meta: seen.append(meta))
fast = FastHttpSession(url.rstrip("/"), environment.events.request, user=User(environment))
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
lowest = os.dup(0)
os.close(lowest)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
try:
    session.get(url, timeout=5)
except requests.ConnectionError as error:
    found = {"requests": told(failure_of(error, 0, None))}
fast.get("/")
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
found["fast"] = told(failure_of(seen[0]["exception"], 0, seen[0]["response"]))
errors = {name: OSError(getattr(errno, name), "x") for name in
          ("EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM", "ECONNREFUSED", "ECONNRESET")}
errors |= {"memory": MemoryError(), "thread": RuntimeError("can't start new thread")}
for name, error in errors.items():
    behind = requests.ConnectionError("no answer")
    behind.__cause__ = error
    failures = failure_of(behind, 0, None), failure_of_event(behind), failure_of_exception(behind)
    found[name] = sorted({told(f)[0] for f in failures})
print(json.dumps(found))
"""


def test_who_lacks_something_is_the_load() -> None:
    """Both clients of Locust run out of descriptors for real; other lacks are known by their number, whoever tells."""
    out = subprocess.run(
        [sys.executable, "-c", CLIENTS], capture_output=True, text=True, timeout=120, check=True
    )
    found = json.loads(out.stdout.splitlines()[-1])
    for client in ("requests", "fast"):
        kind, sent, text = found.pop(client)
        assert (kind, sent) == ("no_files", False)
        assert "Too many open files" in text
    assert found == {
        "EMFILE": ["no_files"],
        "ENFILE": ["no_files"],
        "EADDRNOTAVAIL": ["no_ports"],
        "ENOBUFS": ["no_memory"],
        "ENOMEM": ["no_memory"],
        "memory": ["no_memory"],
        "thread": ["no_memory"],
        "ECONNREFUSED": ["declared", "transport"],
        "ECONNRESET": ["declared", "transport"],
    }


def test_the_rest_is_judged_without_them(tmp_path: Path) -> None:
    """A failure that is proven without them fails the run; without one it is unknown, and no arm is charged."""
    with calm(tmp_path / "run") as run:
        for _ in range(3):
            warning_cases.not_sent(run, "no_files")
        findings = measured(run)
        assert findings.verdict is Verdict.UNKNOWN
        assert findings.cell("plain", "steady").failed == 0
        (doubt,) = findings.warnings
        assert doubt.code == Code.GENERATOR_OUT_OF_FILES
        assert "3 requests were never sent (3 to plain)" in doubt.text
        sight = LiveReader(run.folder, ["plain"]).read(run.at(4))["plain"]
        assert sight.failed == 0
        run.request("plain", 1.2, status=500, failure="status")
        assert run.measured().verdict is Verdict.FAIL


def plan(users: int, *, workers: int = 1, arms: int = 4) -> Plan:
    wanted = scenario(STEADY, arms=tuple(f"arm{n}" for n in range(arms)))
    load = wanted.load.model_copy(update={"users": users, "workers": workers})
    return Plan(stem="x", scenario=wanted.model_copy(update={"load": load}), target=TARGET)


def test_users_for_whom_there_are_no_descriptors_are_refused() -> None:
    """Before the start, with both numbers and what to do."""
    with pytest.raises(StackError) as refused:
        check_open_files(plan(users=34), OpenFileLimits(soft=64, hard=100))
    assert "34 users on each of 4 arms" in refused.value.message
    assert "needs up to 168 open files" in refused.value.message
    assert "(soft 64, hard 100)" in refused.value.message
    assert "ulimit -n 168" in str(refused.value.remedy)


def test_limits_that_will_do() -> None:
    """The hard limit counts, to which Locust's is raised; and workers share the users."""
    check_open_files(plan(users=34), OpenFileLimits(soft=256, hard=4096))
    check_open_files(plan(users=34), OpenFileLimits(soft=None, hard=None))
    check_open_files(plan(users=400, workers=4), OpenFileLimits(soft=256, hard=1024))
    with pytest.raises(StackError):
        check_open_files(plan(users=400), OpenFileLimits(soft=256, hard=1024))
    with pytest.raises(
        StackError, match="Toxiproxy needs up to 568 open files in one process, for 264 connections"
    ):
        check_open_files(plan(users=1), OpenFileLimits(soft=256, hard=512))
    with pytest.raises(StackError, match="the harness"):
        check_open_files(plan(users=1), OpenFileLimits(soft=64, hard=4096))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no limit of another process can be set here")
def test_a_child_s_limit_is_raised() -> None:
    """To the hard one, and our own stays as it is."""
    before = open_file_limits()
    lowered = (
        "import resource, sys; resource.setrlimit(7, (99, resource.getrlimit(7)[1])); print(flush=True); "
    )
    said = "sys.stdin.readline(); print(resource.getrlimit(7)[0])"
    with subprocess.Popen(
        [sys.executable, "-c", lowered + said], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        raise_limit(child.pid)
        out, _ = child.communicate("\n", timeout=30)
    assert int(out) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert open_file_limits() == before


def test_a_run_that_is_refused(tmp_path: Path) -> None:
    """It starts nothing, says so in a sentence, and ends with the exit code of a stack that did not start."""
    command = f"ulimit -n 64; exec {sys.executable} -m brokenpipe run default --reports {tmp_path}"
    ended = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "soft 64, hard 64" in " ".join((ended.stdout + ended.stderr).split())
    (history,) = tmp_path.glob("*/*Z/experiment.ndjson")
    last = json.loads(history.read_text().splitlines()[-1])
    assert (last["k"], last["how"]) == ("finish", "failed")
