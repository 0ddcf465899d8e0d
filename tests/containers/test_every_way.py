"""The other ways into the harness with the stack in containers: a soak that is cut off and finished, and the web UI."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.containers.containers import left_by, unused_volumes
from tests.stack.interrupted_soaks import episodes
from tests.stack.runs import REPOSITORY, Starter, eventually, write_scenario
from tests.web.sitting import LOCUSTFILE, PATIENCE_S, READY, Sitting

from brokenpipe.stack.processes.ports import free_port

pytestmark = [pytest.mark.low_load, pytest.mark.usefixtures("engine")]

KILLS = """
[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 2
every_s = 1
"""


def test_a_soak_that_was_killed_is_finished_in_containers(tmp_path: Path) -> None:
    """Twice the users, killed with -9 after an episode: nothing is left, and `resume` plays the rest in containers."""
    scenario = write_scenario(
        tmp_path / "soak.toml",
        KILLS,
        target="agent",
        locustfile=REPOSITORY / "scenarios" / "locustfile.py",
    )
    before, starter, reports = unused_volumes(), Starter(tmp_path), tmp_path / "reports"
    options = ("--stack", "compose", "--duration", "14s", "--reports", reports)
    with starter.start("soak", scenario, *options) as soak:
        eventually(
            lambda: soak.popen.poll() is not None or any(map(episodes, reports.glob("*/[0-9]*"))),
            "no episode",
            timeout_s=90,
        )
        soak.send(signal.SIGKILL)
        soak.popen.wait()
        eventually(lambda: not left_by(soak.popen.pid, before), "its containers are gone")
    first = (soak.folder / "compose.json").read_bytes()
    plan = json.loads((soak.folder / "plan.json").read_text())
    assert (plan["stack"], plan["scenario"]["load"]["users"]) == ("compose", 4)

    elsewhere = {"DOCKER_HOST": "tcp://192.0.2.99:2375"}  # only one who wants containers looks there
    with starter.start("resume", soak.folder, env=elsewhere) as refused:
        assert refused.end() == 2
    assert "may not be on this machine" in refused.out
    with starter.start("resume", soak.folder) as resumed:
        assert resumed.end() in {0, 3}, resumed.out
    assert soak.history("experiment.r2.ndjson", "finish")[-1]["how"] == "done"
    assert (soak.folder / "compose.json").read_bytes() == first, "what was written is not rewritten"
    assert "agent-plain" in (soak.folder / "compose.r2.json").read_text()
    assert "resumed" in {warning["code"] for warning in soak.summary["warnings"]}
    eventually(lambda: not left_by(resumed.popen.pid, before), "nothing is left")


def test_a_sitting_in_containers(tmp_path: Path) -> None:
    """Start, a strike on the wire and one at the server, stop and a report: by what the pages themselves send."""
    (tmp_path / "locustfile.py").write_text(
        LOCUSTFILE.replace("/work", "/conversations/1")
    )  # as the agent has it
    scenario = write_scenario(tmp_path / "hand.toml", KILLS, target="agent", timeout_s=2.0)
    before, reports = unused_volumes(), tmp_path / "reports"
    options = ("--web", "--web-port", str(free_port()), "--stack", "compose", "--reports", reports)
    with Starter(tmp_path).start("run", scenario, *options) as run:
        run.wait_for(f"(?m){READY.pattern}", timeout_s=120)
        ready = READY.search(run.out)
        assert ready
        sitting = Sitting(run, ready[1], reports)
        _press(sitting, "/swarm", data={"user_count": "2", "spawn_rate": "2"})
        eventually(lambda: sitting.state["current"].get("activity") == "hands off", "nobody is there")

        _press(
            sitting,
            "/brokenpipe/commands",
            json={"command": "strike", "fault": {"name": "socket_kill"}, "arms": ["plain"]},
        )
        assert sitting.newest("socket_kill", 0)["detected"] == "1 of 1"
        restart = {"name": "server_restart", "away_ms": 300}
        _press(
            sitting, "/brokenpipe/commands", json={"command": "strike", "fault": restart, "arms": ["plain"]}
        )
        assert sitting.newest("server_restart", 1)["detected"] == "1 of 1"

        folder = sitting.folders[-1]
        _press(sitting, "/stop")
        plain = sitting.summary(folder)["arms"]["plain"]
        assert {"hands_off", "hand_socket_kill", "hand_server_restart"} <= plain["phases"].keys()
        assert plain["requests"] > 0
        run.send(signal.SIGINT)
        assert run.end() == 130, run.out
    eventually(lambda: not left_by(run.popen.pid, before), "nothing is left")


def _press(sitting: Sitting, path: str, **sent: Any) -> None:
    """What a button sends."""
    ours = {"Origin": sitting.url}
    answer = requests.post(f"{sitting.url}{path}", headers=ours, timeout=PATIENCE_S, **sent)
    assert answer.ok, answer.text
