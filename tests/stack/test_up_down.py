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
from tests.stack.runs import REPOSITORY, Starter, eventually
from tests.unit.shell import brokenpipe as answered


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with this repository's scenarios, targets and proxies, and a reports folder of its own."""
    project = tmp_path / "yard"
    project.mkdir()
    for name in ("scenarios", "targets", "proxies"):
        (project / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(project)
    yield project
    asked("down")


def asked(*arguments: str, exit_code: int = 0) -> str:
    """What a command says that starts nothing, in this process."""
    answer = answered(*arguments)
    assert answer.exit_code == exit_code, answer
    return answer.out + answer.err


def keeper(yard: Path) -> int:
    pid: int = json.loads((yard / "reports" / ".up" / "note.json").read_text())["pid"]
    return pid


def test_of_two_at_once_one_stands_until_down(brokenpipe: Starter, yard: Path, tmp_path: Path) -> None:
    """The later one, by a moment or by far, is refused. The addresses that are printed answer until `down`."""
    second = Starter(tmp_path / "second")
    second.folder.mkdir()
    up = ("up", "default", "--only", "plain,pre_ping")
    with (
        brokenpipe.start(*up, cwd=yard, judge=False) as one,
        second.start(*up, cwd=yard, judge=False) as other,
    ):
        assert sorted([one.end(), other.end()]) == [0, 2], one.out + other.out
    assert "Traceback" not in one.out + other.out
    (stands,) = (run for run in (one, other) if run.popen.returncode == 0)
    stands.leftovers.note(keeper(yard))
    targets = re.findall(r"http://127\.0\.0\.1:\d+", stands.out)
    assert len(targets) == 3, stands.out  # two arms and Toxiproxy's API
    for url in targets[:2]:
        said = requests.post(f"{url}/chat", json={"conversation_id": 1, "message": "hello"}, timeout=60)
        assert said.status_code == 200
    (port,) = re.findall(r"Postgres: 127\.0\.0\.1:(\d+)", stands.out)
    assert f"port {port} is still listened on" in stands.leftovers.left()
    again = asked("up", "default", exit_code=2)
    assert "a stack of default stands already" in again
    assert "brokenpipe down" in again
    assert "default: ended" in asked("down")
    for run in (one, other):
        _, left = run.leftovers.gone_after()
        assert not left
    assert "Nothing stands." in asked("down")


def test_a_killed_keeper_takes_everything_along(brokenpipe: Starter, yard: Path) -> None:
    """Its janitor ends the stack, and another one can be started."""
    with brokenpipe.start("up", "default", "--only", "plain", cwd=yard, judge=False) as run:
        assert run.end() == 0, run.out
    pid = keeper(yard)
    run.leftovers.note(pid)
    psutil.Process(pid).kill()
    _, left = run.leftovers.gone_after()
    assert not left
    assert "Nothing stands." in asked("down")


def test_ctrl_c_while_it_comes_up(brokenpipe: Starter, yard: Path) -> None:
    """Who does not wait for the stack does not get one."""
    with brokenpipe.start("up", "default", "--only", "plain", cwd=yard) as run:
        log = yard / "reports" / ".up" / "logs" / "postgres.log"
        eventually(log.is_file, "Postgres was not started", timeout_s=150)
        run.send(signal.SIGINT)
        assert run.end() == 130, run.out
    assert "Nothing stands." in asked("down")


def test_list_says_what_there_is(yard: Path) -> None:
    """Scenarios, targets, faults and reports."""
    said = asked("list")
    for word in ("default", "agent", "socket_kill", "idle_reset", "latency", "Reports"):
        assert word in said


def test_a_dry_run_starts_nothing(yard: Path) -> None:
    """It prints the timeline and how long it will take, and makes no folder."""
    said = asked("run", "default", "--dry-run", "--users", "3")
    assert "3 users × 4 arms" in said
    assert re.search(r"It will take about \d+ s", said)
    assert not (yard / "reports").exists()


def test_the_doctor_answers_soon(brokenpipe: Starter, yard: Path) -> None:
    """Every fault holds its contract, or the machine itself is said to be too busy to tell, with what to do."""
    with brokenpipe.start("doctor", cwd=yard) as run:
        code = run.end()
    busy = re.search(r"BAD (machine at rest|processor ours|punctual)", run.out)
    assert code == 0 or (busy and code == 3), run.out
    for what in ("processor cores", "Postgres: 1", "Toxiproxy", "fault socket_kill", "fault packet_drop"):
        assert what in run.out
