"""A stack that stands by itself, and the commands that only look."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from tests.stack.runs import REPOSITORY, Run, Starter, eventually
from tests.stack.traces import Traces


@pytest.fixture
def yard(tmp_path: Path, brokenpipe: Starter) -> Iterator[Path]:
    """A project with this repository's scenarios, targets and proxies, and a reports folder of its own."""
    project = tmp_path / "yard"
    project.mkdir()
    for name in ("scenarios", "targets", "proxies"):
        (project / name).symlink_to(REPOSITORY / name)
    yield project
    command(brokenpipe, project, "down")


def command(
    brokenpipe: Starter, yard: Path, *arguments: str, timeout_s: float = 60, exit_code: int = 0
) -> Run:
    """One command, to its end. A stack that stands is no trace of it."""
    with brokenpipe.start(*arguments, cwd=yard, judge=False) as run:
        assert run.end(timeout_s) == exit_code, run.out
    assert "Traceback" not in run.out
    return run


def keeper(yard: Path) -> int:
    pid: int = json.loads((yard / "reports" / ".up" / "note.json").read_text())["pid"]
    return pid


@pytest.fixture
def standing(brokenpipe: Starter, yard: Path) -> Run:
    return command(brokenpipe, yard, "up", "default", "--only", "plain,pre_ping")


def test_up_stands_until_down(brokenpipe: Starter, yard: Path, standing: Run) -> None:
    """The addresses it prints answer; a second one is refused; after `down` nothing is left."""
    traces = Traces(brokenpipe.folder / "tmp")
    traces.note(keeper(yard))
    targets = re.findall(r"http://127\.0\.0\.1:\d+", standing.out)
    assert len(targets) == 3, standing.out  # two arms and Toxiproxy's API
    for url in targets[:2]:
        said = requests.post(f"{url}/chat", json={"conversation_id": 1, "message": "hello"}, timeout=10)
        assert said.status_code == 200
    (port,) = re.findall(r"Postgres: 127\.0\.0\.1:(\d+)", standing.out)
    assert f"port {port} is still listened on" in traces.left()
    again = command(brokenpipe, yard, "up", "default", exit_code=2)
    assert "a stack of default stands already" in again.out
    assert "brokenpipe down" in again.out
    assert "default: ended" in command(brokenpipe, yard, "down").out
    _, left = traces.gone_after()
    assert not left
    assert "Nothing stands." in command(brokenpipe, yard, "down").out


def test_a_killed_keeper_takes_everything_along(brokenpipe: Starter, yard: Path, standing: Run) -> None:
    """Its janitor ends the stack, and another one can be started."""
    traces = Traces(brokenpipe.folder / "tmp")
    pid = keeper(yard)
    traces.note(pid)
    psutil.Process(pid).kill()
    _, left = traces.gone_after()
    assert not left
    assert "Nothing stands." in command(brokenpipe, yard, "down").out


def test_ctrl_c_while_it_comes_up(brokenpipe: Starter, yard: Path) -> None:
    """Who does not wait for the stack does not get one."""
    with brokenpipe.start("up", "default", "--only", "plain", cwd=yard) as run:
        log = yard / "reports" / ".up" / "logs" / "postgres.log"
        eventually(log.is_file, "Postgres was not started")
        run.send(signal.SIGINT)
        assert run.end() == 130, run.out
    assert "Nothing stands." in command(brokenpipe, yard, "down").out


def test_two_at_once_make_one_stack(brokenpipe: Starter, yard: Path, tmp_path: Path) -> None:
    """The one that was later by a moment is refused, too: `down` would not know of two."""
    second = Starter(tmp_path / "second")
    second.folder.mkdir()
    up = ("up", "default", "--only", "plain")
    with (
        brokenpipe.start(*up, cwd=yard, judge=False) as one,
        second.start(*up, cwd=yard, judge=False) as other,
    ):
        assert sorted([one.end(), other.end()]) == [0, 2], one.out + other.out
    command(brokenpipe, yard, "down")
    for run in (one, other):
        _, left = run.traces.gone_after()
        assert not left


def test_list_says_what_there_is(brokenpipe: Starter, yard: Path) -> None:
    """Scenarios, targets, faults and reports."""
    said = command(brokenpipe, yard, "list").out
    for word in ("default", "agent", "socket_kill", "idle_reset", "latency", "Reports"):
        assert word in said


def test_a_dry_run_starts_nothing(brokenpipe: Starter, yard: Path) -> None:
    """It prints the timeline and how long it will take, and makes no folder."""
    said = command(brokenpipe, yard, "run", "default", "--dry-run", "--users", "3").out
    assert "3 users × 4 arms" in said
    assert re.search(r"It will take about \d+ s", said)
    assert not (yard / "reports").exists()


def test_the_doctor_answers_soon(brokenpipe: Starter, yard: Path) -> None:
    """Every fault holds its contract, or the machine itself is said to be too busy to tell, with what to do."""
    with brokenpipe.start("doctor", cwd=yard) as run:
        code = run.end(60)
    busy = re.search(r"BAD (machine at rest|processor ours|punctual)", run.out)
    assert code == 0 or (busy and code == 3), run.out
    for what in ("processor cores", "Postgres: 1", "Toxiproxy", "fault socket_kill", "fault packet_drop"):
        assert what in run.out
