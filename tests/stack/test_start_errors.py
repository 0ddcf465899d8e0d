"""What does not start is named, with its last words and what to do."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.stack.runs import REPOSITORY, STEADY, Starter, write_scenario
from tests.unit.plans import TARGET

from brokenpipe.errors import PostgresError, StackError, TargetNotReady, ToolchainError
from brokenpipe.stack.postgres import cluster
from brokenpipe.stack.postgres import server as postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port
from brokenpipe.stack.proxy import server as toxiproxy
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary
from brokenpipe.stack.target import start_service, wait_ready

WORKS = (
    "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
)
BUSY_S = 20.0  # that a service of one line may take on a busy machine


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A project with a target called `made`, to be written by the test."""
    project = tmp_path / "workshop"
    (project / "targets" / "made").mkdir(parents=True)
    (project / "scenarios").mkdir()
    (project / "proxies").symlink_to(REPOSITORY / "proxies")
    write_target(project, WORKS)
    write_scenario(project / "scenarios" / "short.toml", STEADY, target="made")
    return project


def write_target(project: Path, program: str) -> None:
    folder = project / "targets" / "made"
    (folder / "made.py").write_text(program)
    (folder / "target.toml").write_text(
        """
command = ["{python}", "made.py", "{port}"]
ready = "/"
ready_timeout_s = 20
dsn_env = "PG"
dsn = "host={host} port={port}"
"""
    )


def refused(brokenpipe: Starter, workshop: Path, exit_code: int = 4) -> str:
    """What the program says to a run that cannot be; with that exit code, a remedy, and no traceback."""
    run = brokenpipe.run(Path("short"), cwd=workshop)
    assert run.popen.returncode == exit_code, run.out
    assert "Traceback (most recent call last)" not in run.out.partition("error: ")[0]
    assert "error: " in run.out
    assert "→ " in run.out
    return run.out


# --- the whole program ----------------------------------------------------------------------------------


def test_a_target_that_ends_at_once(brokenpipe: Starter, workshop: Path) -> None:
    """Its exit code, its last lines, and where its log is. So is said whatever else does not start."""
    write_target(workshop, "import sys; print('DB_POOL_SIZE must be a number'); sys.exit(7)")
    (workshop / "scenarios" / "locustfile.py").write_text("from locust import HttpUser\n")
    said = refused(brokenpipe, workshop)
    assert "target of arm plain ended with exit code 7 before it was ready" in said
    assert "DB_POOL_SIZE must be a number" in said
    assert "target-plain.log" in said


def test_a_broken_locustfile(brokenpipe: Starter, workshop: Path) -> None:
    """It is the user's file: exit 2, with file and line."""
    (workshop / "scenarios" / "locustfile.py").write_text(
        "from locust import HttpUser\n\nHttpUser.nothing()\n"
    )
    said = refused(brokenpipe, workshop, exit_code=2)
    assert "locustfile.py" in said
    assert "line 3" in said or "locustfile.py:3" in said
    assert "nothing" in said


# --- targets --------------------------------------------------------------------------------------------


def _not_ready(folder: Path, *command: str, ready_timeout_s: float = BUSY_S) -> StackError:
    """How the start of a target with this command fails."""
    target = TARGET.model_copy(
        update={"command": command, "ready": "/", "ready_timeout_s": ready_timeout_s, "python": None}
    )
    started = start_service(
        target,
        arm="plain",
        folder=folder,
        python=Path(sys.executable),
        env={},
        log_path=folder / "target-plain.log",
        janitor=NoJanitor(),
    )
    with pytest.raises(StackError) as refusal, started as running:
        wait_ready(running, target)
    assert refusal.value.exit_code == 4
    return refusal.value


def test_a_target_that_never_answers(tmp_path: Path) -> None:
    """What was asked, for how long, and the key that says how long."""
    program = "import time; print('thinking', flush=True); time.sleep(60)"
    refusal = _not_ready(tmp_path, "{python}", "-c", program, "{port}", ready_timeout_s=1.0)
    assert isinstance(refusal, TargetNotReady)
    assert "did not answer 200 within 1 s" in refusal.message
    assert "thinking" in refusal.details
    assert "ready_timeout_s" in refusal.remedy


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    """Which program, for what."""
    refusal = _not_ready(tmp_path, "no-such-program", "{port}")
    assert (
        "target of arm plain: no-such-program cannot be started: No such file or directory" in refusal.message
    )
    assert refusal.remedy


# --- Postgres and Toxiproxy -----------------------------------------------------------------------------


def _postgres_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, programs: str | Path) -> PostgresError:
    """How the start of a Postgres from this folder fails."""
    monkeypatch.setenv(cluster.BINARIES_VARIABLE, str(programs))
    with pytest.raises(PostgresError) as refusal:
        postgres.postgres(log_path=folder / "log", janitor=NoJanitor()).__enter__()
    assert refusal.value.exit_code == 4
    assert refusal.value.remedy
    return refusal.value


def test_a_folder_without_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder, and the variable that named it."""
    refusal = _postgres_refused(tmp_path, monkeypatch, "/no/such/folder")
    assert "no program called postgres in /no/such/folder" in refusal.message
    assert "BROKENPIPE_PG_BIN" in refusal.remedy


def test_a_scenario_names_a_folder_without_postgres(tmp_path: Path) -> None:
    """It goes before the variable, and its key is named."""
    named = postgres.postgres(
        log_path=tmp_path / "log", janitor=NoJanitor(), binaries=Path("/no/such/folder")
    )
    with pytest.raises(PostgresError, match="no program called postgres in /no/such/folder") as refusal:
        named.__enter__()
    assert "Leave `binaries` in [postgres] out" in refusal.value.remedy


@pytest.mark.parametrize("broken", ["initdb", "postgres"])
def test_a_postgres_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Its last words are shown, whichever of its programs it is."""
    found = cluster.find_binaries()
    shutil.copytree(found.parent, tmp_path / "install", symlinks=True)
    programs = tmp_path / "install" / found.name
    complain = "echo 'the library libfoo.so.7 was not found'; exit 127"
    if broken == "postgres":  # initdb starts it as well: only the server itself is to fail
        (programs / "postgres").rename(programs / "postgres.real")
        complain = f'case "$*" in *port=*) {complain};; esac; exec "$0.real" "$@"'
    (programs / broken).unlink(missing_ok=True)
    (programs / broken).write_text(f"#!/bin/sh\n{complain}\n")
    (programs / broken).chmod(0o755)
    refusal = _postgres_refused(tmp_path, monkeypatch, programs)
    assert any("the library libfoo.so.7 was not found" in line for line in refusal.details)
    assert "exit code 127" in refusal.message
    assert broken in refusal.message


def test_no_go_and_no_server_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed, and the ways to get it."""
    sources = shutil.copytree(
        REPOSITORY / "proxies", tmp_path / "proxies", ignore=shutil.ignore_patterns(".build")
    )
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)  # nor as a package
    with pytest.raises(ToolchainError) as refusal:
        toxiproxy_binary(sources)
    assert refusal.value.exit_code == 4
    assert "The Toxiproxy server cannot be built: it needs Go" in refusal.value.message
    assert "make setup" in refusal.value.remedy


# --- TLS --------------------------------------------------------------------------------------------------


def test_a_postgres_without_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for TLS of a server that was built without it is told so, and which other to take."""
    programs = tmp_path / "programs"
    programs.mkdir()
    real = cluster.find_binaries()
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
    with pytest.raises(PostgresError, match="ended while starting") as refusal:
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
        with pytest.raises(PostgresError, match="ended while starting") as refusal:
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
