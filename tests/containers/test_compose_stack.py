"""A run with its stack in containers: the same report, nothing published, nothing that gets out, nothing left."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.containers.containers import containers_of, left_by
from tests.containers.containers import docker as docker_command
from tests.stack.runs import Run, Starter, eventually, write_scenario
from tests.unit.shell import brokenpipe

from brokenpipe.stack.containers import cleanup

pytestmark = [pytest.mark.low_load, pytest.mark.usefixtures("engine")]

REPOSITORY = Path(__file__).parents[2]
PHASES = """
[postgres]
tls = true

[[phases]]
name = "steady"
seconds = 4

[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 3
every_s = 1.5

[[phases]]
name = "restart"
fault = { name = "server_restart", mode = "immediate", away_ms = 300 }
episodes = 1
every_s = 5
"""
# What a container tries to reach: this machine's other addresses, and the world.
KNOCK = """
import socket, sys
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=2)
        print("reached", place)
    except OSError as error:
        print("not reached", place, error)
"""


RELATIONS = ("direct", "collateral", "secondary", "unattributed")


@dataclass(frozen=True)
class Played:
    """A run that is over, and what was seen of its containers while it went on."""

    run: Run
    containers: list[dict[str, Any]]
    knocked: str
    left: list[str]


def contained(folder: Path) -> Path:
    """The scenario."""
    return write_scenario(
        folder / "contained.toml",
        PHASES,
        target="agent",
        locustfile=REPOSITORY / "scenarios" / "locustfile.py",
        users=3,
        arms="plain = {}\npre_ping = { DB_POOL_PRE_PING = 'true' }",
    )


@pytest.fixture(scope="module")
def played(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """One short experiment with two arms over TLS, from first container to last."""
    folder = tmp_path_factory.mktemp("compose")
    with Starter(folder).start(
        "run", contained(folder), "--stack", "compose", "--reports", folder / "reports", html=True
    ) as run:
        run.wait_for(r"steady ended", timeout_s=170)
        names = containers_of(run.popen.pid)
        found = json.loads(docker_command("inspect", *names))
        agent = next(name for name in names if name.endswith("agent-plain"))
        said = docker_command("exec", agent, "python", "-c", KNOCK, "192.0.2.99:80", "1.1.1.1:53")
        run.end()
        yield Played(run, found, said, left_by(run.popen.pid))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The same experiment without containers."""
    folder = tmp_path_factory.mktemp("local")
    with Starter(folder).start("run", contained(folder), "--reports", folder / "reports") as run:
        run.end()
        yield run


def test_it_is_recorded_to_its_end(played: Played) -> None:
    """History, report and logs are those of any run."""
    assert played.run.history("experiment.ndjson", "finish")[-1]["how"] == "done", played.run.out
    logs = {path.name for path in (played.run.folder / "logs").iterdir()}
    assert logs >= {"postgres.log", "toxiproxy.log", "target-plain.log", "target-pre_ping.log", "load.log"}
    assert (played.run.folder / "report.html").stat().st_size > 100_000
    assert json.loads((played.run.folder / "plan.json").read_text())["stack"] == "compose"


def test_contracts_hold_through_containers(played: Played) -> None:
    """A raw socket sees of each fault what it sees without containers: an RST stays an RST."""
    probes = played.run.history("experiment.ndjson", "probe")
    wire = [probe for probe in probes if probe["fault"] == "socket_kill"]
    assert {probe["situation"] for probe in wire} == {"idle", "fresh", "mid_transfer"}
    assert all(probe["seen"] in probe["expected"] or probe["held"] for probe in probes), probes
    assert [probe for probe in probes if probe["fault"] == "server_restart"]


def test_what_broke_has_its_cause_and_its_link(played: Played) -> None:
    """The witness writes through the mount, and its ports are those that Toxiproxy sees: no address is translated."""
    phases = played.run.summary["arms"]["plain"]["phases"]
    assert phases["steady"]["failed"] == 0
    assert phases["kill"]["broken"] + phases["kill"]["masked"] + phases["restart"]["broken"] > 0
    opened = {(each["arm"], each["port"]) for each in played.run.history("links.ndjson", "link_opened")}
    text = "".join(path.read_text() for path in played.run.folder.glob("witness-plain-*.ndjson"))
    ports = {int(port) for port in re.findall(r'"port": ?(\d+)', text)} - {0}
    assert ports
    assert {("plain", port) for port in ports} <= opened
    ended = played.run.history("links.ndjson", "link_ended")
    assert {"toxic", "client"} <= {end["ender"] for end in ended}
    assert {(end["arm"], end["port"]) for end in ended} <= opened


def test_every_link_that_opened_has_ended(played: Played, local: Run) -> None:
    """Each end is on record, whatever address its client had."""
    for run in (played.run, local):
        opened = Counter(each["arm"] for each in run.history("links.ndjson", "link_opened"))
        ended = Counter(each["arm"] for each in run.history("links.ndjson", "link_ended"))
        assert opened == ended
        assert min(opened["plain"], opened["pre_ping"]) > 2, opened


def test_causes_are_those_of_the_local_stack(played: Played, local: Run) -> None:
    """The same scenario fails for the same causes, by the same evidence, in containers and without them.

    How many fail is chance, and in the protected arm whether any does.
    """
    causes, without = causes_of(played.run), causes_of(local)
    both = causes.keys() & without.keys()
    assert {place: causes[place] for place in both} == {place: without[place] for place in both}
    assert both >= {("plain", "kill"), ("plain", "restart"), ("pre_ping", "restart")}
    assert causes["plain", "kill"] == {("direct", "socket_kill")}


def causes_of(run: Run) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Relation and fault of what failed, by arm and phase; none by time alone."""
    found = {}
    for arm, stats in run.summary["arms"].items():
        for phase, cell in stats["phases"].items():
            owed = cell["owed"]
            if not cell["failed"]:
                assert owed is None
                continue
            assert owed["by_time_alone"] == 0, (arm, phase)
            relations = [name for name in RELATIONS if owed[name]]
            found[arm, phase] = {(name, fault) for name in relations for fault in owed["by_fault"] or [""]}
    return found


def test_processes_in_containers_are_gauged(played: Played) -> None:
    """Memory and processor time come from this machine's own pids."""
    gauges = played.run.history("gauges.ndjson", "process")
    for role in ("postgres", "toxiproxy", "target"):
        mine = [gauge for gauge in gauges if gauge["role"] == role]
        assert mine, role
        assert max(gauge["rss_bytes"] for gauge in mine) > 5_000_000, role


def test_every_container_is_confined(played: Played) -> None:
    """No capability, no way to gain one, a root that cannot be written, limits; nothing published."""
    assert len(played.containers) == 5
    for each in played.containers:
        host, name = each["HostConfig"], each["Name"]
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["ReadonlyRootfs"], name
        assert not host["Privileged"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert not host["PortBindings"], name
    postgres = next(each for each in played.containers if each["Name"].endswith("-postgres"))
    assert postgres["Config"]["User"] == "postgres"


def test_nothing_gets_out(played: Played) -> None:
    """A container has no way to the world."""
    assert "not reached 1.1.1.1:53" in played.knocked
    assert "not reached 192.0.2.99:80" in played.knocked


def test_no_secret_is_in_the_report_folder(played: Played) -> None:
    """The file of the run names where secrets were; what they were is gone with the scratch folder."""
    environments = {
        each["Name"]: dict(setting.split("=", 1) for setting in each["Config"]["Env"])
        for each in played.containers
    }
    dsns = [env["DATABASE_URL"] for env in environments.values() if "DATABASE_URL" in env]
    assert len(dsns) == 2
    for dsn in dsns:
        password = dsn.split("@")[0].rsplit(":", 1)[1]
        assert len(password) > 12
        for path in played.run.folder.rglob("*"):
            assert not path.is_file() or password.encode() not in path.read_bytes(), path


def test_nothing_is_left(played: Played) -> None:
    """Containers and networks are gone with the run."""
    assert played.left == []


def test_killed_while_it_creates_containers_it_leaves_nothing(tmp_path: Path) -> None:
    """kill -9: the janitor removes what is on the engine, too. In a phase: test_every_way.py."""
    scenario = write_scenario(
        tmp_path / "killed.toml",
        '[[phases]]\nname = "steady"\nseconds = 600\n',
        target="agent",
        locustfile=REPOSITORY / "scenarios" / "locustfile.py",
    )
    with Starter(tmp_path).start(
        "run", scenario, "--stack", "compose", "--reports", tmp_path / "r", judge=False
    ) as run:
        run.wait_for("creating containers", timeout_s=120)
        run.send(signal.SIGKILL)
        run.popen.wait()
        eventually(lambda: not left_by(run.popen.pid), "it is gone")


def test_what_even_the_janitor_left_goes_at_the_next_start() -> None:
    """What belongs to a harness that is gone is removed; what belongs to one that lives stays."""
    client = docker.from_env()
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    living = cleanup.labels("living")
    dead = living | {cleanup.RUN_LABEL: "dead"}
    dead[cleanup.OWNER_LABEL] = f"{ended.pid} {time.time():.2f} {living[cleanup.OWNER_LABEL].split()[2]}"
    made = [
        client.networks.create(f"bp-{os.getpid()}-{n}", labels=each) for n, each in enumerate((living, dead))
    ]
    try:
        cleanup.sweep_dead(client)
        left = [network.name for network in client.networks.list()]
        assert made[0].name in left
        assert made[1].name not in left
    finally:
        cleanup.sweep(client, "living")
        cleanup.sweep(client, "dead")
        client.close()


@pytest.mark.parametrize(
    ("engine_at", "code", "says"),
    [
        ("tcp://192.0.2.99:2375", 2, "may not be on this machine"),
        ("unix:///nowhere/docker.sock", 4, "no Docker engine answers"),
    ],
)
def test_an_engine_elsewhere_or_nowhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine_at: str, code: int, says: str
) -> None:
    """Before anything is begun, with what was found and what to do."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("DOCKER_HOST", engine_at)
    answer = brokenpipe("run", "quick", "--stack", "compose", "--reports", str(tmp_path / "r"))
    assert answer.exit_code == code, answer
    assert says in answer.said
    assert engine_at in answer.said
    assert not (tmp_path / "r").exists()
    with warnings.catch_warnings():  # docker's client leaves the sockets open on which it could not connect
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
