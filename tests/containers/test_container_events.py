"""What becomes of a run's containers is in its history: whose doing it was decides whether it is doubted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.containers.containers import POSTGRES_IMAGE, container, docker
from tests.stack.conftest import make_project
from tests.stack.runs import REPOSITORY, Run, Starter, eventually, write_scenario

from brokenpipe.history.writer import open_writer
from brokenpipe.stack.containers.cleanup import RUN_LABEL
from brokenpipe.stack.containers.engine import find_engine
from brokenpipe.stack.containers.events import EventRecorder

pytestmark = [pytest.mark.low_load, pytest.mark.timeout(240), pytest.mark.usefixtures("engine")]

PHASES = """
[[phases]]
name = "steady"
seconds = 10

[[phases]]
name = "restart"
fault = { name = "server_restart", mode = "kill", away_ms = 300 }
episodes = 1
every_s = 5

[[phases]]
name = "pause"
fault = { name = "server_pause" }
seconds = 4
"""
WAYS = ("proper", "straight", "each", "greedy")
LIMITS_MIB = {"agent": 128, "postgres": 256}


@dataclass(frozen=True)
class Played:
    """A run that is over. `paused_s`: for how long a stranger made one of its containers stand still."""

    run: Run
    paused_s: float

    def events(self, service: str, change: str) -> list[dict[str, Any]]:
        """What the engine told of one, without how it ended with all the others."""
        last = self.run.history("experiment.ndjson", "phase")[-1]["t"]
        mine = [
            each for each in self.run.history("containers.ndjson", "container") if each["service"] == service
        ]
        return [each for each in mine if each["change"] == change and (change != "ended" or each["t"] < last)]

    def act(self, action: str, fault: str) -> tuple[int, int]:
        """From when to when it lasted: it is one, and noted for each arm."""
        acts = self.run.history("nemesis.ndjson", "act")
        mine = [each for each in acts if each["action"] == action and each["fault"] == fault]
        assert len(mine) == len(WAYS)
        return min(each["t0"] for each in mine), max(each["t1"] for each in mine)

    @property
    def warned(self) -> dict[tuple[str, str | None], str]:
        return {(each["code"], each["arm"]): each["text"] for each in self.run.summary["warnings"]}


def _with_little_memory(project: Path) -> None:
    services = (REPOSITORY / "compose" / "services.yaml").read_text()
    for service, limit_mib in LIMITS_MIB.items():
        before, name, after = services.partition(f"\n  {service}:\n")
        services = before + name + after.replace("mem_limit: 1g", f"mem_limit: {limit_mib}m", 1)
    (project / "compose").mkdir()
    (project / "compose" / "services.yaml").write_text(services)


def _begun(run: Run) -> bool:
    assert run.popen.poll() is None, run.out
    return any(run.reports.glob("*/*/experiment.ndjson")) and bool(run.history("experiment.ndjson", "phase"))


@pytest.fixture(scope="module")
def played(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Four services, of which two are not on the wire and one wants ever more; and a stranger at the engine."""
    folder = tmp_path_factory.mktemp("events")
    project = make_project(tmp_path_factory.mktemp("project"))
    _with_little_memory(project)
    scenario = write_scenario(
        folder / "watched.toml",
        PHASES,
        target="wayward",
        locustfile=project / "scenarios" / "locustfile.py",
        arms="\n".join(f'{way} = {{ WAY = "{way}" }}' for way in WAYS),
    )
    options = ("--stack", "compose", "--reports", folder / "reports")
    with Starter(folder).start("run", scenario, *options, cwd=project) as run:
        eventually(lambda: _begun(run), "no phase began", timeout_s=150)
        services = json.loads((run.folder / "compose.json").read_text())["services"]
        docker("pause", services["agent-proper"]["container_name"])
        began = time.monotonic()
        time.sleep(1.5)
        paused_s = time.monotonic() - began
        docker("unpause", services["agent-proper"]["container_name"])
        docker("exec", services["postgres"]["container_name"], "tail", "/dev/zero", fails=True)
        run.end()
        yield Played(run, paused_s)


def test_a_service_without_memory_is_named(played: Played) -> None:
    """With the limit that it had and its exit code, as a doubt, in the history and in the log."""
    (told,) = played.events("agent-greedy", "ended")
    assert told["exit_code"] == 137, played.run.out
    assert {each["limit_bytes"] for each in played.events("agent-greedy", "out_of_memory")} == {128 * 2**20}
    said = played.warned["out_of_memory", "greedy"]
    assert "out of memory (limit 128 MiB)" in said
    assert "exit code 137" in said
    assert "exit code 137: out of memory (limit 128 MiB)" in played.warned["target_died", "greedy"]
    log = (played.run.folder / "logs" / "containers.log").read_text()
    assert "target of arm greedy: out of memory (limit 128 MiB)" in log
    assert "target of arm greedy: ended with exit code 137" in log
    assert ("out_of_memory", "proper") not in played.warned


def test_one_that_goes_on_without_a_process_is_named_too(played: Played) -> None:
    """Nobody misses what a stranger had started there; but memory was short, and another time it is a backend."""
    assert played.warned["out_of_memory", None].startswith("Postgres was out of memory (limit 256 MiB)")
    assert played.warned["out_of_memory", None].endswith("it went on")


def test_what_the_nemesis_did_is_recorded_when_it_did_it_and_not_doubted(played: Played) -> None:
    """The engine's times are the history's: what a kill and a pause do to the container lies within their acts."""
    restart = played.act("inject", "server_restart")
    ended, started = played.events("postgres", "ended")[0], played.events("postgres", "started")[-1]
    assert len(played.events("postgres", "ended")) == 1
    assert ended["exit_code"] == 137
    assert restart[0] < ended["t"] < started["t"] < restart[1]
    assert started["t"] - ended["t"] > 300e6
    pause, heal = played.act("inject", "server_pause"), played.act("heal", "server_pause")
    (paused,) = played.events("postgres", "paused")
    (unpaused,) = played.events("postgres", "unpaused")
    assert pause[0] < paused["t"] < pause[1]
    assert heal[0] < unpaused["t"] < heal[1]
    assert not {("postgres_died", None), ("container_paused", None)} & played.warned.keys(), played.warned


def test_what_a_stranger_did_is_doubted(played: Played) -> None:
    """A service that stood still answered late, and no setting of a pool is to blame for that."""
    (paused,) = played.events("agent-proper", "paused")
    (unpaused,) = played.events("agent-proper", "unpaused")
    assert (unpaused["t"] - paused["t"]) / 1e9 == pytest.approx(played.paused_s, abs=0.5)
    assert "and not by the nemesis" in played.warned["container_paused", "proper"]
    assert [code for code, arm in played.warned if arm == "proper" and code.endswith("_died")] == []


def test_a_service_that_goes_past_its_proxy_is_noticed(played: Played) -> None:
    """On one connection, or on one for each request; who goes through its proxy is not accused."""
    past = {arm for code, arm in played.warned if code == "bypasses_proxy"}
    assert past == {"straight", "each"}, played.run.out
    gauges = played.run.history("gauges.ndjson", "postgres")
    assert {each["direct"] for each in gauges if each["arm"] == "proper"} == {0}
    assert played.run.summary["verdict"] == "unknown"


def test_an_engine_that_breaks_off_is_asked_for_the_rest(tmp_path: Path, engine: None) -> None:
    """What happened meanwhile is told, once, with the time at which it happened."""
    run_id = f"events-{os.getpid()}"
    labels = (f"--label={RUN_LABEL}={run_id}", "--label=com.docker.compose.service=postgres")
    history, log = tmp_path / "containers.ndjson", tmp_path / "containers.log"

    def told() -> list[dict[str, Any]]:
        lines = map(json.loads, history.read_text().splitlines())
        return [line for line in lines if line["k"] == "container"]

    with open_writer(history, "containers") as records:
        listener = EventRecorder(find_engine(), run_id, records, log)
        try:
            with container(POSTGRES_IMAGE, "infinity", options=("--entrypoint=sleep", *labels)) as watched:
                eventually(told, "its start was not told")
                listener.close_stream()
                before = time.monotonic_ns()
                docker("pause", watched.name)
                after = time.monotonic_ns()
                docker("unpause", watched.name)
                eventually(lambda: len(told()) >= 3, "the rest was not told")
        finally:
            listener.close()
    assert [each["change"] for each in told()[:3]] == ["started", "paused", "unpaused"]
    assert before < told()[1]["t"] < after
    assert "Postgres: paused" in log.read_text()
