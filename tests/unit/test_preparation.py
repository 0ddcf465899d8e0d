"""Commands that prepare a database: one after the other, each for all arms at once, and what is said of a failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.unit.plans import TARGET

from brokenpipe.errors import ExtensionError, PreparationError, StackError, TargetNotReady
from brokenpipe.plan.readiness import Readiness
from brokenpipe.stack.postgres.extensions import missing_extension
from brokenpipe.stack.preparation import Preparation, prepare_databases
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.target import start_service, wait_ready

WRITE = "import os, sys; open('made', 'a').write(sys.argv[1] + os.environ['WHERE'] + '\\n')"


def preparation(folder: Path, arm: str, *commands: tuple[str, ...]) -> Preparation:
    folder.mkdir(exist_ok=True)
    words = {"python": sys.executable, "password": "s3cret-word", "host": "10.0.0.1"}
    return Preparation(
        arm, "mine", commands, words, folder, {"WHERE": arm}, folder / f"prepare-{arm}.log", ["s3cret-word"]
    )


def prepare(*preparations: Preparation) -> list[str]:
    steps: list[str] = []
    prepare_databases(preparations, NoJanitor(), steps.append)
    return steps


def test_commands_run_in_turn_with_the_environment_and_folder_of_the_service(tmp_path: Path) -> None:
    """Each command is a step on the terminal, with its placeholders unfilled; arms may differ in how many they have."""
    first, second = ("{python}", "-c", WRITE, "1 {host} "), ("{python}", "-c", WRITE, "2 ")
    steps = prepare(
        preparation(tmp_path / "a", "plain", first, second), preparation(tmp_path / "b", "other", second)
    )
    assert (tmp_path / "a" / "made").read_text() == "1 10.0.0.1 plain\n2 plain\n"
    assert (tmp_path / "b" / "made").read_text() == "2 other\n"
    assert [step.partition(" -c")[0] for step in steps] == ["preparing databases: {python}"] * 2


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    """Command, exit code, its own last lines without the password, the key; commands after it are not run."""
    fails = ("{python}", "-c", "print('no such revision {password}'); raise SystemExit(3)")
    with pytest.raises(PreparationError) as refusal:
        prepare(
            preparation(tmp_path, "plain", ("{python}", "-c", "0"), fails, ("{python}", "-c", WRITE, "3"))
        )
    assert refusal.value.exit_code == 4
    assert "the database of arm plain is not prepared: `{python} -c" in refusal.value.message
    assert "ended with exit code 3" in refusal.value.message
    assert "prepare[1] in targets/mine/target.toml" in refusal.value.remedy
    assert refusal.value.details == ("no such revision ‹redacted›",)
    assert "s3cret-word" not in f"{refusal.value.message}{refusal.value.remedy}"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('psycopg.errors.FeatureNotSupported: extension "vector" is not available', "vector"),
        (
            'ERROR:  could not open extension control file "/usr/share/extension/postgis.control": No such',
            "postgis",
        ),
        ('relation "vector" does not exist', None),
    ],
)
def test_a_missing_extension_is_recognised(line: str, name: str | None) -> None:
    """By the server's own words, whoever repeats them."""
    assert missing_extension(["something else", line]) == name


def test_an_extension_that_postgres_lacks_is_named(tmp_path: Path) -> None:
    """Its name, and the way to a Postgres that has it."""
    fails = ("{python}", "-c", "raise SystemExit('extension \"vector\" is not available')")
    with pytest.raises(ExtensionError, match='no extension "vector"') as refusal:
        prepare(preparation(tmp_path, "plain", fails))
    assert '[postgres] binaries = "/…/bin"' in refusal.value.remedy


# --- the service that comes after -----------------------------------------------------------------------


def _ready(folder: Path, program: str, **changes: object) -> None:
    target = TARGET.model_copy(
        update={"command": ("{python}", "-c", program, "{port}"), "ready_timeout_s": 20.0} | changes
    )
    with start_service(
        target,
        arm="plain",
        folder=folder,
        python=Path(sys.executable),
        env={},
        log_path=folder / "log",
        janitor=NoJanitor(),
    ) as service:
        wait_ready(service, target)


LISTENS = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
)


def test_a_service_is_ready_by_its_port(tmp_path: Path) -> None:
    """It accepts connections, whatever it would answer."""
    _ready(tmp_path, LISTENS, ready=Readiness(tcp=True))


def test_a_service_is_ready_by_a_line_of_its_log(tmp_path: Path) -> None:
    """A line that matches is enough; one that never comes is quoted with the time that was waited."""
    says = "import time; print('worker 7 is up', flush=True); time.sleep(60)"
    _ready(tmp_path, says, ready=Readiness(log=r"worker \d+ is up"))
    with pytest.raises(TargetNotReady, match=r"its log has no line that matches 'never' within 0\.5 s"):
        _ready(tmp_path, says, ready=Readiness(log="never"), ready_timeout_s=0.5)


def test_a_service_without_its_tables_is_told_how_to_get_them(tmp_path: Path) -> None:
    """It ends for want of a table: the key that prepares its database is named, before anything is measured."""
    with pytest.raises(StackError, match="ended with exit code 1 before it was ready") as refusal:
        _ready(tmp_path, "raise SystemExit('UndefinedTable: relation \"orders\" does not exist')", ready="/")
    assert "`prepare` in target.toml" in refusal.value.remedy


def test_a_port_that_is_fixed_in_the_code_is_seen(tmp_path: Path) -> None:
    """The service listens, and not where it was told to: both ports, and how `command` passes one on."""
    fixed = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1]); time.sleep(60)"
    with pytest.raises(
        TargetNotReady, match=r"it listens on port \d+ instead of \d+, which it was given"
    ) as refusal:
        _ready(tmp_path, fixed, ready=Readiness(tcp=True), ready_timeout_s=2.0)
    assert "Let `command` in target.toml pass {port} on" in refusal.value.remedy
