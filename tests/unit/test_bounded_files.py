"""Files whose size, depth, range or kind is out of bounds: a short answer that names the file and the key, at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.shell import Answer, assert_answers_a_mistake, brokenpipe

from brokenpipe.errors import ScenarioError
from brokenpipe.plan.toml_model import read_toml

PROJECT = Path(__file__).parents[2]
GOOD = (
    (PROJECT / "tests" / "unit" / "scenarios" / "good.toml")
    .read_text(encoding="utf-8")
    .replace("../../../scenarios/", f"{PROJECT}/scenarios/")
)
ENOUGH_S = 20.0  # of processor time: catches what takes minutes, on a machine that is busy
ENOUGH_CHARACTERS = 20_000

# The line of the good file, what stands there instead, the key, and what is said of it.
VALUES = {
    "digits that no number has": ("users = 4", f"users = {'1' * 5000}", "users", "a number of 5,000 digits"),
    "hexadecimal": ("users = 4", f"users = 0x{'f' * 5000}", "load.users", "of 20,000 bits"),
    "400 digits": ("users = 4", f"arrivals_per_s = {'9' * 400}", "load.arrivals_per_s", "of 1,329 bits"),
    "90 digits": (
        "users = 4",
        f"arrivals_per_s = {'9' * 90}",
        "load.arrivals_per_s",
        "must be 10000 or less",
    ),
    "beyond any float": (
        "users = 4",
        "arrivals_per_s = 1e999",
        "load.arrivals_per_s",
        "must be a finite number",
    ),
    "path too long": (
        "scenarios/locustfile.py",
        "x" * 5000,
        "load.locustfile",
        "has a path that is longer than the system allows",
    ),
    "name too long": (
        "scenarios/locustfile.py",
        "x" * 300 + ".py",
        "load.locustfile",
        "has a path that is longer than the system allows",
    ),
    "nul in a variable": ('"5"', '"5\\u0000"', "env.DB_POOL_SIZE", "found a NUL character"),
    "nul in a key": ("DB_POOL_SIZE =", '"DB\\u0000" =', "env.DB", "found a NUL character"),
    "a text too long": ('"5"', f'"{"5" * 70_000}"', "env.DB_POOL_SIZE", "a text of 70,000 characters"),
    "an array in an array": ('"5"', f"{'[' * 20}{']' * 20}", "env.DB_POOL_SIZE[0]", "is nested too deeply"),
    "keys in a row": ("users = 4", f"{'a.' * 20_000}a = 4", "a.a.a", "is nested too deeply"),
}


def _answer(path: Path, text: str) -> Answer:
    path.write_text(text, encoding="utf-8")
    before = time.process_time()
    answer = brokenpipe("run", str(path), "--dry-run")
    assert time.process_time() - before < ENOUGH_S
    assert_answers_a_mistake(answer)
    assert len(answer.out + answer.err) < ENOUGH_CHARACTERS
    return answer


@pytest.mark.parametrize("what", VALUES)
def test_a_value_out_of_bounds(what: str, tmp_path: Path) -> None:
    """It is refused before anything is made of it, with its file, its key and what was found."""
    line, instead, key, said = VALUES[what]
    assert line in GOOD
    answer = _answer(tmp_path / "it.toml", GOOD.replace(line, instead, 1))
    assert "it.toml: 1 problem" in answer.said
    assert f"\n  {key}" in answer.err
    assert said in answer.said


def test_a_long_word_is_read_at_once(tmp_path: Path) -> None:
    """A file of one word of 200,000 letters takes no longer than any other of its size."""
    answer = _answer(tmp_path / "it.toml", "a = 1e" + "9" * 200_000)
    assert "a: found inf; must be a finite number" in answer.said


@pytest.mark.parametrize(("keys", "said"), [(15, "15 problems"), (5000, "… and 4,980 more")])
def test_many_mistakes_are_told_in_few_words(keys: int, said: str, tmp_path: Path) -> None:
    """Twenty mistakes are told, of others their number."""
    unknown = "".join(f"unknown_key_{n} = {n}\n" for n in range(keys))
    assert said in _answer(tmp_path / "it.toml", unknown + GOOD).said


def test_a_megabyte_is_not_read(tmp_path: Path) -> None:
    """A scenario has at most 256 KiB."""
    unknown = "".join(f"unknown_key_{n} = {n}\n" for n in range(60_000))
    answer = _answer(tmp_path / "it.toml", unknown + GOOD)
    assert "file: is larger than 262,144 bytes, the most that is read" in answer.said


def test_many_wrong_expectations(tmp_path: Path) -> None:
    """Each of a thousand names a phase that is not there: twenty are told, the others counted."""
    wrong = '[[expect]]\narm = "plain"\nphase = "idel"\nmetric = "broken"\nequals = 0\n' * 998
    assert "… and 978 more" in _answer(tmp_path / "it.toml", GOOD + wrong).said


# --- what is no file ------------------------------------------------------------------------------------


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def _own_tail(path: Path) -> None:
    path.symlink_to(path)


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (os.mkfifo, "is a named pipe, not a file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a link to nothing": (_dangling, "is not there"),
    "a link to itself": (_own_tail, "is a link that leads to itself"),
}


@pytest.mark.parametrize("place", ["scenario", "locustfile", "target", "report", "baseline", "second report"])
@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_file(what: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a file or a folder is expected, something else is named, and nobody waits for it."""
    make, why = NO_FILES[what]
    if place in {"report", "baseline", "second report"}:
        if what == "a folder":
            return
        make(tmp_path / "it")
        sample = str(PROJECT / "reports" / "sample")
        arguments = {
            "report": ["report", str(tmp_path / "it")],
            "baseline": ["report", sample, "--baseline", str(tmp_path / "it")],
            "second report": ["report", str(tmp_path / "it"), sample],
        }[place]
        answer = brokenpipe(*arguments)
        assert_answers_a_mistake(answer)
        assert "it" in answer.said
        return
    for name in ("scenarios", "targets/agent"):
        (tmp_path / name).mkdir(parents=True)
    good = {
        "scenario": ("scenarios/it.toml", GOOD.replace(f"{PROJECT}/scenarios/", "")),
        "locustfile": ("scenarios/locustfile.py", ""),
        "target": ("targets/agent/target.toml", (PROJECT / "tests/unit/targets/good.toml").read_text()),
    }
    for of, (name, text) in good.items():
        if of == place:
            make(tmp_path / name)
        else:
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    answer = brokenpipe("run", "it", "--dry-run")
    assert_answers_a_mistake(answer)
    assert why in answer.said


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """The reader itself refuses what it was not asked for: nothing that is no regular file is ever read."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ScenarioError, match="1 problem"):
        read_toml(tmp_path / "pipe", ScenarioError)


# --- the command line -----------------------------------------------------------------------------------

LONG = "9" * 5000
TYPED = {
    "users": ["run", "quick", "--users", LONG],
    "users in words": ["run", "quick", "--users", "ten " * 1000],
    "seed": ["run", "quick", "--seed", "9" * 300],
    "duration": ["soak", "quick", "--duration", LONG],
    "duration in other digits": ["soak", "quick", "--duration", "²h"],
    "duration of years": ["soak", "quick", "--duration", "99999999999h"],
    "port in other digits": ["run", "quick", "--master-bind", "127.0.0.1:²"],
    "port": ["run", "quick", "--master-bind", f"127.0.0.1:{LONG}"],
    "variable": ["run", "quick", "--env", f"KEY={'x' * 100_000}"],
    "variable without value": ["run", "quick", "--env", "x" * 100_000],
    "variable of the database": ["run", "quick", "--env", "DATABASE_URL=postgresql://elsewhere/"],
    "arms": ["run", "quick", "--only", "x" * 100_000],
    "scenario": ["run", "x" * 100_000],
    "scenario path": ["run", "x/" * 50_000 + "it.toml"],
    "option": ["run", "--" + "x" * 100_000],
    "command": ["x" * 100_000],
    "report": ["report", "x" * 100_000],
    "reports": ["report", "x" * 100_000, "y" * 100_000],
    "baseline": ["report", "reports/sample", "--baseline", "x" * 100_000],
    "summaries": ["trend", "x" * 100_000],
    "unfinished": ["resume", "x" * 100_000],
    "sizes": ["advise", "x" * 100_000],
}


@pytest.mark.parametrize("what", TYPED)
def test_what_is_typed_is_bounded(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that nothing can be made of is answered with exit code 2, and not repeated for pages."""
    monkeypatch.chdir(PROJECT)
    more = ["--dry-run"] if TYPED[what][0] in {"run", "soak"} else []
    answer = brokenpipe(*TYPED[what], *more)
    assert answer.exit_code == 2, answer
    assert "Traceback" not in answer.err
    assert len(answer.out + answer.err) < ENOUGH_CHARACTERS
