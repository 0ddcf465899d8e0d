"""The fixtures in projects that know nothing of this repository: each is a folder, and a pytest of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.stack.leftovers import Leftovers

FAULT_PLUGIN = Path(__file__).parents[1] / "fault_plugin"
TIMEOUT_S = 170

PROJECT = {
    "pytest.ini": """
        [pytest]
        asyncio_default_fixture_loop_scope = function
        markers = own: nothing
    """,
    "test_asyncio.py": """
        import asyncpg, pytest, pytest_asyncio

        @pytest_asyncio.fixture
        async def connection(wire):
            connection = await asyncpg.connect(wire.dsn)
            yield connection
            connection.terminate()

        @pytest.mark.asyncio
        async def test_kill(connection, wire):
            wire.kill()
            with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                await connection.fetchval("SELECT 1")

        @pytest.mark.asyncio
        async def test_held(connection, wire):
            async with wire.latency(ms=30):
                assert await connection.fetchval("SELECT 1") == 1
    """,
    "test_anyio.py": """
        import psycopg, pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_refuse(wire):
            async with wire.refuse():
                with pytest.raises(psycopg.OperationalError, match="refused"):
                    await psycopg.AsyncConnection.connect(wire.dsn)
            async with await psycopg.AsyncConnection.connect(wire.dsn) as connection:
                await connection.execute("SELECT 1")
    """,
    "test_django.py": """
        import django, pytest
        from django.conf import settings

        @pytest.fixture(scope="module")
        def own_wire(postgres):
            from brokenpipe.testing import wire
            with wire(postgres) as made:
                yield made

        @pytest.fixture(scope="module")
        def django_database(own_wire):
            settings.configure(DATABASES={"default": {
                "ENGINE": "django.db.backends.postgresql", "NAME": own_wire.database, "USER": own_wire.user,
                "PASSWORD": own_wire.password, "HOST": own_wire.host, "PORT": own_wire.port,
            }}, INSTALLED_APPS=["django.contrib.contenttypes"], USE_TZ=True)
            django.setup()
            from django.test.utils import setup_databases, teardown_databases
            made = setup_databases(verbosity=0, interactive=False)
            yield
            teardown_databases(made, verbosity=0)

        def test_django(django_database, own_wire):
            from django.contrib.contenttypes.models import ContentType
            from django.db import connection, OperationalError
            assert connection.settings_dict["NAME"] == "test_" + own_wire.database
            assert ContentType.objects.count() == 1
            own_wire.kill()
            with pytest.raises(OperationalError):
                ContentType.objects.count()
            connection.close()
            assert ContentType.objects.count() == 1
            own_wire.backend_kill()
            connection.close()
    """,
    "test_wires.py": """
        import sys, psycopg, pytest

        def test_a_fault_of_another_distribution(wire):
            with wire.far_region(ms=30):
                psycopg.connect(wire.dsn).close()

        def test_what_is_not_imported(wire):
            wire.kill()
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert not loaded & {"locust", "gevent", "duckdb", "bokeh", "scipy", "numpy", "sqlalchemy"}

        def test_that_fails(wire):
            print("password", hash(wire.password))
            with psycopg.connect(wire.dsn) as connection:
                wire.kill(how="fin")
                connection.execute("SELECT 1")

        def test_that_forgets(wire):
            wire.black_hole()

        def test_that_errs(wire):
            with wire.latency(mss=50):
                pass

        @pytest.fixture
        def broken(wire):
            psycopg.connect(wire.dsn)
            wire.server_pause().__enter__()
            raise RuntimeError("a fixture that fails")

        def test_after_a_broken_fixture(broken):
            pass

        def test_and_it_goes_on(wire):
            psycopg.connect(wire.dsn).close()
    """,
    "own/conftest.py": """
        import pytest

        @pytest.fixture
        def wire():
            return "a wire of the project's own"

        @pytest.fixture(scope="session")
        def postgres():
            return "a postgres of the project's own"
    """,
    "own/test_own.py": """
        def test_own(wire, postgres):
            assert (wire, postgres) == ("a wire of the project's own", "a postgres of the project's own")
    """,
}


def made(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))
    (folder / "tmp").mkdir()
    return folder / "project"


def started(project: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "TMPDIR": str(project.parent / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    environment.pop("CI", None)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:randomly",
            "-rA",
            f"--basetemp={project.parent}/base",
            *arguments,
        ],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(running: subprocess.Popen[str]) -> str:
    try:
        return running.communicate(timeout=TIMEOUT_S)[0]
    finally:
        running.kill()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Leftovers]:
    """What the project's tests say, on two workers."""
    folder = tmp_path_factory.mktemp("plugin")
    project = made(folder, PROJECT)
    leftovers = Leftovers(folder / "tmp")
    before = {path for path in project.rglob("*") if path.is_file()}
    text = said(started(project, "-n", "2", "--dist", "loadfile", PYTHONPATH=str(FAULT_PLUGIN)))
    written = {path for path in project.rglob("*") if path.is_file()} - before
    assert all(".pytest_cache" in path.parts for path in written), written
    return text, leftovers


def outcomes(text: str) -> dict[str, str]:
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+)", text, re.MULTILINE)
    return {name: outcome for outcome, name in found}


def test_it_works_with_what_others_use(report: tuple[str, Leftovers]) -> None:
    """pytest-asyncio, anyio, Django's test database, xdist, faults of plug-ins; a project's own fixtures come first."""
    text, _ = report
    assert outcomes(text) == {
        "test_kill": "PASSED",
        "test_held": "PASSED",
        "test_refuse": "PASSED",
        "test_django": "PASSED",
        "test_a_fault_of_another_distribution": "PASSED",
        "test_what_is_not_imported": "PASSED",
        "test_that_fails": "FAILED",
        "test_that_forgets": "ERROR",
        "test_that_errs": "FAILED",
        "test_after_a_broken_fixture": "ERROR",
        "test_and_it_goes_on": "PASSED",
        "test_own": "PASSED",
    }, text


def test_a_failure_says_what_happened_on_the_wire(report: tuple[str, Leftovers]) -> None:
    """Acts and connections, with times since the test began; of a test that passes nothing, and no password ever."""
    text, _ = report
    (section,) = re.findall(
        r"^_+ test_that_fails _+$(.*?)(?=^_{5,} test|^=+)", text, re.MULTILINE | re.DOTALL
    )
    assert re.search(r"-+ What happened on 127\.0\.0\.1:\d+, in ms since the test began -+", section), text
    lines = re.findall(r"^ +(\d+\.\d) ms  (.*)$", section, re.MULTILINE)
    times = [float(time_ms) for time_ms, _ in lines]
    assert times == sorted(times)
    assert [re.sub(r"port \d+|[\d.]+ ms.*", "…", words) for _, words in lines] == [
        "connection 1 began, from …",
        "kill(how='fin')",
        "connection 1 ended, by the wire (kill_switch), …",
        "kill(how='fin'): a raw socket saw eof after …",
    ]
    assert "black_hole() was made and never entered" in text
    assert "mss: unknown key; did you mean 'ms'" in text
    assert not re.search(r"postgresql://\w+:(?!‹redacted›)", text)
    assert text.count("What happened on") == text.count("test began -")


def test_nothing_stays_behind(report: tuple[str, Leftovers]) -> None:
    """Neither of tests that fail, nor of fixtures that do: no process, no file, no shared memory."""
    _, leftovers = report
    assert leftovers.gone_after()[1] == []


MANY = {
    "test_many.py": """
        import os, pathlib, psycopg, pytest

        @pytest.mark.parametrize("number", range(200))
        def test_one_of_many(wire, postgres, number):
            with psycopg.connect(wire.dsn, autocommit=True) as connection:
                connection.execute("CREATE TABLE t (n int)")
            if number == 199:
                with psycopg.connect(postgres.dsn) as admin:
                    assert admin.execute("SELECT count(*) FROM pg_database").fetchone()[0] < 8
                assert len(postgres._prepared._toxiproxy.proxies) < 4
                pathlib.Path("reached").touch()
                if os.environ.get("WAITS"):
                    wire.black_hole().__enter__()
                    psycopg.connect(wire.dsn)
    """
}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_two_hundred_tests_and_an_end_by_force_leave_nothing(tmp_path: Path, end: signal.Signals) -> None:
    """The server keeps no databases and proxies of tests that are over. After kill -9 all is gone within 5 s."""
    chosen = () if end == signal.SIGKILL else ("-k", "199")  # two hundred, once
    project, leftovers = made(tmp_path, MANY), Leftovers(tmp_path / "tmp")
    running = started(project, "-q", *chosen, WAITS="yes")
    try:
        until = time.monotonic() + TIMEOUT_S
        while not (project / "reached").exists() and running.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)  # until it hangs in its black hole
        leftovers.note(running.pid)
        assert leftovers.seen >= 4
        running.send_signal(end)
        text = running.communicate(timeout=60)[0]
    finally:
        running.kill()
    assert leftovers.gone_after()[1] == [], text
    if end == signal.SIGINT:
        assert "KeyboardInterrupt" in text


def test_what_is_missing_is_a_sentence(tmp_path: Path) -> None:
    """Without programs of Postgres each test fails with what to do, and without a traceback."""
    project = made(tmp_path, {"test_it.py": "def test_it(wire):\n    pass\n"})
    text = said(started(project, BROKENPIPE_PG_BIN=str(tmp_path)))
    assert f"no program called postgres in {tmp_path}" in text
    assert "BROKENPIPE_PG_BIN out, or point it at a folder with initdb and postgres." in text
    assert "Traceback" not in text
    assert "cluster.py" not in text
    assert outcomes(text) == {"test_it": "ERROR"}
