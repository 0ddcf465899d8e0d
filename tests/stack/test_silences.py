"""Every part of a run is stopped in turn, and goes on a moment later: each is noticed from outside, and named.

One run for all of it; at its end somebody takes all connections. None of them is owed to the service, and none passes.
"""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from tests.stack.runs import Run, Starter, eventually, write_scenario
from tests.stack.test_doubts import TOXIPROXY, _child, _phase_began, assert_doubted

from brokenpipe.history.validity_codes import Code

PHASE = """
[[phases]]
name = "steady"
seconds = 28  # half of them are for what is done to it, the rest for a busy machine

[[expect]]
arm = "*"
phase = "steady"
metric = "broken"
equals = 0
"""
STOPPED_S = 0.9  # long enough to be told, too short for a call of ours to run out of time
HUNG_S = 4.0  # a new connection is waited for twice
FULL_S = 2.5  # connections are counted every second


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """A run that was ended by nobody."""
    folder = tmp_path_factory.mktemp("silences")
    scenario = write_scenario(
        folder / "silences.toml",
        PHASE,
        target="wayward",
        locustfile=project / "scenarios" / "locustfile.py",
        env={"WAY": "proper"},
        timeout_s=8.0,
    )
    with Starter(folder).start(
        "run", scenario, "--reports", folder / "reports", cwd=project, html=True
    ) as run:
        eventually(lambda: run.popen.poll() is not None or _phase_began(run), "no phase began", timeout_s=150)
        assert run.popen.poll() is None, run.out
        postmaster = _child(run, "max_connections=")
        _stop(_child(run, "service:app"), STOPPED_S)
        _stop(_child(run, TOXIPROXY), STOPPED_S)
        _stop(max(postmaster.children(), key=psutil.Process.create_time), STOPPED_S)
        _stop(postmaster, HUNG_S)
        _stop(_child(run, "-m locust"), STOPPED_S + 0.5)
        _stop(psutil.Process(run.popen.pid), STOPPED_S + 1)
        with ExitStack() as hog:
            _take_all_connections(run, hog)
            time.sleep(FULL_S)
        run.end(120)
    return run


def _take_all_connections(run: Run, hog: ExitStack) -> None:
    """All that Postgres has left, until the stack is closed."""
    port = re.search(r"\bport=(\d+)", " ".join(_child(run, "max_connections=").cmdline()))
    assert port
    variables = _child(run, "service:app").environ()
    dsn = psycopg.conninfo.make_conninfo(variables["POSTGRES"], port=port[1], dbname="postgres")
    with suppress(psycopg.OperationalError):
        while True:
            hog.enter_context(psycopg.connect(dsn))


def _stop(process: psutil.Process, for_s: float) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(for_s)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.6)  # so that its going on is seen before anything else stops


def _warned(run: Run) -> dict[str, dict[str, Any]]:
    return {each["code"]: each for each in run.summary["warnings"]}


def test_each_is_named(run: Run) -> None:
    """Service, Toxiproxy, a backend and the postmaster, Locust and brokenpipe itself: a doubt for each."""
    warned = _warned(run)
    named = {"service_stopped", "toxiproxy_stopped", "postgres_hung", "load_stopped", "harness_stopped"}
    assert named <= set(warned), run.out
    assert all(warned[code]["unknown"] for code in named)
    assert warned["service_stopped"]["arm"] == "plain"
    assert "generator_starved" in warned, "it tells of the same, once it goes on"


def test_postgres_out_of_connections(run: Run) -> None:
    """Somebody took all that were left: no setting is to blame for what followed."""
    assert_doubted(run, Code.POSTGRES_FULL)


def test_nothing_passes(run: Run) -> None:
    """The verdict is unknown, by the exit code too, and no arm is accused."""
    assert run.popen.returncode == 3, run.out
    assert run.summary["verdict"] == "unknown"
    assert {check["verdict"] for check in run.summary["checks"]} == {"unknown"}


def test_what_was_seen_is_on_record(run: Run) -> None:
    """Which process, from when to when, and how it was seen: within a second or two of what was done."""
    edges = run.history("watch.ndjson", "silence")
    seen = {(each["part"], each["how"]) for each in edges}
    assert {
        ("target", "stopped"), ("toxiproxy", "stopped"), ("postgres", "stopped"), ("postgres", "no_answer"),
        ("load", "stopped"), ("harness", "late"),
    } <= seen  # fmt: skip
    begins, ends = (sum(each["edge"] == edge for each in edges) for edge in ("begin", "end"))
    assert begins == ends, "each went on"
