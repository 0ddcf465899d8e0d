"""Mistakes on the command line, and what a user is told about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.shell import assert_answers_a_mistake, brokenpipe

PROJECT = Path(__file__).parents[2]

# What we answer ourselves: arguments after `run`, and the words of the answer.
OURS = {
    "scenario misspelt": (
        ["defualt"],
        "no such scenario: defualt",
        "did you mean 'default'? allowed: ",
    ),
    "scenario file not there": (
        ["scenarios/nightly.toml"],
        "no such scenario: scenarios/nightly.toml",
        "allowed:",
    ),
    "scenario without suffix": (["scenarios/default"], "no such scenario: scenarios/default", "'default'?"),
    "scenario empty": ([""], "no such scenario", "default, "),
    "arm unknown": (
        ["default", "--only", "preping"],
        "--only preping: no such arm",
        "did you mean 'pre_ping'?",
    ),
    "one arm unknown": (["default", "--only", "plain, resycle"], "--only resycle", "did you mean 'recycle'?"),
    "env without =": (
        ["default", "--env", "DB_DRIVER"],
        "DB_DRIVER is to be passed on",
        "--env DB_DRIVER=value",
    ),
    "env without name": (["default", "--env", "=hunter2"], "--env =…: found", "--env DB_DRIVER=psycopg"),
    "env with space": (["default", "--env", "DB_DRIVER = psycopg"], "--env DB_DRIVER =…: found", "Write for"),
    "env not ASCII": (["default", "--env", "GRÖSSE=5"], "--env: found 'GRÖSSE'", "letters, digits and _"),
    "seed too large": (
        ["default", "--seed", "99999999999999999999"],
        "--seed: found 99999999999999999999",
        "must be 9223372036854775807 or less",
    ),
    "limit of nothing": (
        ["default", "--at-most", "48"],
        "--at-most 48: only limits --until-decided",
        "Add --until-decided",
    ),
    "limit too low": (
        ["quick", "--until-decided", "--at-most", "12"],
        "--at-most 12: leaves no room for more episodes: idle_reset has 12",
        "Give a larger number",
    ),
    "a page of a run that nobody reaches": (
        ["packet_loss", "--web"],
        "--web: not with packet_loss",
        "Leave --web out",
    ),
    "workers of a run that nobody reaches": (
        ["packet_loss", "--master-bind", "127.0.0.1:5557"],
        "--master-bind: not with packet_loss",
        "Leave --master-bind out",
    ),
    "engine without containers": (
        ["default", "--engine", "unix:///run/docker.sock"],
        "--engine unix:///run/docker.sock",
        "--stack compose",
    ),
    "compose and workers from elsewhere": (
        ["default", "--stack", "compose", "--master-bind", "127.0.0.1:5557"],
        "--master-bind",
        "Leave one of them out",
    ),
}

# What the option parser answers: the words must name the option and what it takes.
PARSED = {
    "users zero": (["default", "--users", "0"], "--users", "equal to 1"),
    "users negative": (["default", "--users", "-5"], "--users", "equal to 1"),
    "users in words": (["default", "--users", "ten"], "--users", "valid integer"),
    "users huge": (["default", "--users", "1000000"], "--users", "equal to 10000"),
    "seed negative": (["default", "--seed", "-1"], "--seed", "equal to 0"),
    "stack unknown": (["default", "--stack", "docker"], "--stack", "'local'"),
    "option misspelt": (["default", "--user", "5"], "--user", "--users"),
    "no scenario": ([], "SCENARIO", "Missing argument"),
    "two scenarios": (["default", "default"], "default", "unexpected extra argument"),
}


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


@pytest.mark.parametrize("what", OURS)
def test_a_wrong_word_is_answered(what: str, tmp_path: Path) -> None:
    """The message repeats what was typed, and the next step is one that works."""
    arguments, said, remedy = OURS[what]
    answer = brokenpipe("run", *arguments, "--dry-run", "--reports", str(tmp_path))
    assert_answers_a_mistake(answer)
    assert said in answer.said
    assert remedy in answer.said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", PARSED)
def test_a_wrong_option_is_answered(what: str, tmp_path: Path) -> None:
    """The option parser answers with exit code 2, the option's name, and what it takes."""
    arguments, option, allowed = PARSED[what]
    answer = brokenpipe("run", *arguments, "--dry-run", "--reports", str(tmp_path))
    assert answer.exit_code == 2, answer
    assert option in answer.said
    assert allowed in answer.said
    assert "Traceback" not in answer.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [(), ("--web",)])
def test_packets_are_lost_in_containers(option: tuple[str, ...]) -> None:
    """They have namespaces of their own, into which a browser need not get."""
    answer = brokenpipe("run", "packet_loss", "--stack", "compose", *option, "--dry-run")
    assert answer.exit_code == 0, answer
    assert "packet_drop" in answer.out


def test_outside_of_any_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started in some other folder, the program works on the checkout it was installed from."""
    monkeypatch.chdir(tmp_path)
    answer = brokenpipe("run", "default", "--dry-run")
    assert answer.exit_code == 0, answer
    assert str(PROJECT / "scenarios" / "default.toml") in answer.out


def test_overrides_change_the_plan() -> None:
    """What a dry run prints is what would run, after every override; an arm's own variable still wins."""
    answer = brokenpipe(
        "run", "default", "--dry-run", "--users", "3", "--seed", "9", "--only", "recycle,both",
        "--env", "DB_POOL_SIZE=2", "--env", "DB_POOL_RECYCLE=60",
    )  # fmt: skip
    assert answer.exit_code == 0, answer
    assert "3 users × 2 arms, seed 9" in answer.out
    assert "arm recycle (control): DB_DRIVER=asyncpg DB_POOL_SIZE=2 DB_POOL_RECYCLE=0.8" in answer.out
    assert "arm plain" not in answer.out


@pytest.mark.parametrize("folder", ["reports/none", "scenarios", "README.md"])
def test_a_report_that_is_none(folder: str) -> None:
    """`report` on what is no report folder says so and where report folders are."""
    answer = brokenpipe("report", folder)
    assert_answers_a_mistake(answer)
    assert folder in answer.said
    assert "reports/<scenario>/<time>" in answer.said
