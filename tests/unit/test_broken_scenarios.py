"""Broken scenario files, one realistic mistake each, and what a user is told about them.

Every file in scenarios/broken/ opens with what must be said: `# key:` for each mistake in it, `# says:` for
words that must stand on stderr.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.expected import assert_says, expected_of
from tests.unit.shell import COLUMNS, Answer, assert_answers_a_mistake, brokenpipe

PROJECT = Path(__file__).parents[2]
SCENARIOS = PROJECT / "tests" / "unit" / "scenarios"
BROKEN = SCENARIOS / "broken"
GOOD = SCENARIOS / "good.toml"


def _dry_run(path: Path, reports: Path) -> Answer:
    return brokenpipe("run", str(path.relative_to(PROJECT)), "--dry-run", "--reports", str(reports))


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    """The file that the broken ones were made from has no mistake, and a dry run starts and writes nothing."""
    answer = _dry_run(GOOD, tmp_path)
    assert answer.exit_code == 0, answer
    assert "4 users × 2 arms" in answer.out
    assert not list(tmp_path.iterdir())


def test_what_is_set_at_the_server_is_announced(tmp_path: Path) -> None:
    """As it stands in the file; nothing is said where nothing is set."""
    assert "postgres    tls = true\n" in _dry_run(PROJECT / "scenarios" / "tls.toml", tmp_path).out
    assert "postgres" not in _dry_run(PROJECT / "scenarios" / "quick.toml", tmp_path).out


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.toml")), ids=lambda path: path.stem)
def test_a_mistake_is_named(path: Path, tmp_path: Path) -> None:
    """The message names the file, each key with a mistake and no other, what was found, and what is allowed."""
    answer = _dry_run(path, tmp_path)
    assert_answers_a_mistake(answer)
    assert_says(answer, expected_of(path))
    assert str(path.relative_to(PROJECT)) in answer.said
    assert not list(tmp_path.iterdir()), "nothing may be written for a scenario that cannot be read"


def test_without_dry_run_too(tmp_path: Path) -> None:
    """A real run of a broken file ends as early: nothing was started, no report folder was made."""
    answer = brokenpipe("run", str(BROKEN / "users_zero.toml"), "--reports", str(tmp_path))
    assert_answers_a_mistake(answer)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stem", ["unit_in_latency", "unclosed_string", "several"])
def test_as_a_program(stem: str, tmp_path: Path) -> None:
    """The installed program says the same on stderr, nothing on stdout, and ends with exit code 2."""
    path = BROKEN / f"{stem}.toml"
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "brokenpipe",
            "run",
            str(path.relative_to(PROJECT)),
            "--reports",
            str(tmp_path),
        ],
        env={**os.environ, "COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout == ""
    assert_answers_a_mistake(Answer(run.returncode, run.stdout, run.stderr))
    assert run.stderr == _dry_run(path, tmp_path).err
    assert not list(tmp_path.iterdir())


# --- files that cannot be committed as what they are ----------------------------------------------------


def _in_latin_1(path: Path) -> None:
    path.write_bytes('title = "Verbindungsabbrüche"\n'.encode("latin-1"))


def _in_utf_16(path: Path) -> None:
    path.write_text('title = "x"\n', encoding="utf-16")


def _binary(path: Path) -> None:
    shutil.copyfile(sys.executable, path)


def _deep(path: Path) -> None:
    path.write_text("title = " + "[" * 100_000, encoding="utf-8")


UNREADABLE = {
    "empty": (lambda path: path.touch(), "title", "found nothing; this key is required"),
    "latin_1": (_in_latin_1, "file", "found byte 0xfc at offset 24; must be UTF-8"),
    "utf_16": (_in_utf_16, "file", "found byte 0xff at offset 0; must be UTF-8"),
    "binary": (_binary, "file", "must be UTF-8"),
    "nested_without_end": (_deep, "syntax", "nested too deeply"),
    "null_byte": (lambda path: path.write_bytes(b'title = "a\x00b"\n'), "syntax", "(at line 1"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_no_scenario_at_all(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the file holds, even if it is not text, the user is told what it should be."""
    make, key, words = UNREADABLE[what]
    make(tmp_path / "it.toml")
    monkeypatch.chdir(tmp_path)
    answer = brokenpipe("run", "it.toml", "--dry-run", "--reports", str(tmp_path / "reports"))
    assert_answers_a_mistake(answer)
    assert f"\n  {key}: " in answer.err
    assert words in answer.said, answer.err
    assert "it.toml" in answer.said
    assert not (tmp_path / "reports").exists()


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Some editors put three invisible bytes first; nobody should have to find them."""
    text = GOOD.read_text(encoding="utf-8").replace('"../../../scenarios', f'"{PROJECT}/scenarios')
    path = tmp_path / "marked.toml"
    path.write_text(text, encoding="utf-8-sig")
    assert brokenpipe("run", str(path), "--dry-run").exit_code == 0


@pytest.mark.parametrize("name", ["a_folder", "a_folder.toml", "."])
def test_a_folder_is_no_scenario(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is answered like a file that is not there."""
    (tmp_path / "a_folder.toml").mkdir()
    monkeypatch.chdir(tmp_path)
    answer = brokenpipe("run", f"./{name}", "--dry-run")
    assert_answers_a_mistake(answer)
    assert "no such scenario" in answer.said


def test_a_locustfile_that_is_a_folder(tmp_path: Path) -> None:
    """A folder of locustfiles is not a locustfile."""
    (tmp_path / "locustfile.py").mkdir()
    text = GOOD.read_text(encoding="utf-8").replace("../../../scenarios/locustfile.py", "locustfile.py")
    (tmp_path / "it.toml").write_text(text, encoding="utf-8")
    answer = brokenpipe("run", str(tmp_path / "it.toml"), "--dry-run")
    assert_answers_a_mistake(answer)
    assert "load.locustfile" in answer.said
