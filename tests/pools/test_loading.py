"""Loading the witness: it comes in by PYTHONPATH, wakes up only for what it knows, and is in nobody's way."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from brokenpipe.stack.processes.process import clean_environment
from brokenpipe.witness import FOLDER_VARIABLE, environment, files_of

ARM = "plain"


def read(path):
    """Every line of a file of the witness's, all of them whole."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def python(code, env, cwd=None):
    """Run a few lines in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=clean_environment(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_service_without_sqlalchemy(start):
    """Requests are recorded with what left the application; SQLAlchemy is not imported on its behalf."""
    with start("foreign") as service:
        modules = service.response("/", "good").text.split()
        assert "brokenpipe_witness" in modules
        assert "sqlalchemy" not in modules
        (plane,) = service.lines("plane")
        assert (plane["plane"], plane["library"], plane["version"]) == (
            "requests",
            "uvicorn",
            version("uvicorn"),
        )
        good = service.request("good")
        assert (good["status"], good["began"], good["failed"]) == (200, True, False)
        assert (good["checkouts"], good["errors"], good["raised"], good["pool"]) == ([], [], None, None)

        assert service.get("/raise", "bad") == 500  # uvicorn's own answer, which the application never began
        bad = service.request("bad")
        assert (bad["status"], bad["began"], bad["failed"]) == (None, False, True)
        assert [link["type"] for link in bad["raised"]] == [
            "builtins.RuntimeError",
            "builtins.ConnectionResetError",
        ]
        assert [link["errno"] for link in bad["raised"]] == [None, 104]
        assert "hunter2" not in json.dumps(bad)

        service.get("/late", "late")
        late = service.request("late")
        assert (late["status"], late["began"], late["failed"]) == (200, True, True)
        assert late["raised"][0]["text"] == "after the answer"


def test_a_request_without_an_id(start):
    """Health checks carry no id and leave no line."""
    with start("foreign") as service:
        service.get("/")
        service.get("/", "one")
        service.request("one")
        assert [line["id"] for line in service.lines("request")] == ["one"]


def test_a_file_opens_with_a_clock(start):
    """The same instant on both clocks, and who writes."""
    with start("foreign") as service:
        service.get("/", "one")
        service.request("one")
        (path,) = files_of(service.folder, ARM)
        clock = read(path)[0]
        assert path.name == f"witness-{ARM}-{service.process.pid}.ndjson"
        assert (clock["k"], clock["writer"], clock["pid"]) == ("clock", f"witness {ARM}", service.process.pid)
        assert 0 < service.now() - clock["t"] < 60e9
        assert clock["wall_ns"] > 1_700_000_000e9


def _begun(folder, number):
    files = files_of(folder, ARM)
    return True if len(files) == number and all(read(path) for path in files) else None


def test_a_fork_has_a_file_of_its_own(start):
    """A child that goes on after a fork does not write into its parent's file."""
    with start("foreign") as service:
        service.get("/", "parent")
        assert service.get("/fork", "forked") == 200
        service.until(lambda: _begun(service.folder, 2), "a second file with something in it")
        for path in files_of(service.folder, ARM):
            pids = {line["pid"] for line in read(path) if line["k"] == "clock"}
            assert pids == {int(path.stem.rpartition("-")[2])}


def test_nothing_happens_without_the_variable(tmp_path):
    """With the folder on PYTHONPATH but no place to write to, a process is left alone."""
    env = environment(ARM, tmp_path)
    del env[FOLDER_VARIABLE]
    done = python(
        "import sys, sqlalchemy; print('brokenpipe_witness' in sys.modules, len(sys.meta_path))", env
    )
    bare = python("import sys, sqlalchemy; print(False, len(sys.meta_path))", {})
    assert (done.stdout, done.stderr) == (bare.stdout, "")


def test_a_sitecustomize_of_the_targets_own(tmp_path):
    """It is run, it is the one found under that name, and the witness is there as well."""
    (tmp_path / "sitecustomize.py").write_text("mine = 1\n")
    env = environment(ARM, tmp_path, pythonpath=str(tmp_path))
    done = python(
        "import sys, sitecustomize; print(sitecustomize.mine, 'brokenpipe_witness' in sys.modules)", env
    )
    assert (done.stdout, done.stderr) == ("1 True\n", "")


def test_a_sitecustomize_that_fails(tmp_path):
    """Python complains as it does without the witness, and goes on; the witness is there."""
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('mine')\n")
    env = environment(ARM, tmp_path, pythonpath=str(tmp_path))
    code = "import sys; print('brokenpipe_witness' in sys.modules)"
    done, bare = python(code, env), python(code, {"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "True\n"
    assert done.stderr == bare.stderr != ""


def test_imports_look_as_before(tmp_path):
    """Listening in on an import leaves loader, source and spec of the module as Python made them."""
    code = (
        "import inspect, sqlalchemy as m, uvicorn.config as u;"
        "print([(type(x.__loader__).__name__, vars(x.__loader__).keys() ^ {'name', 'path'},"
        " x.__spec__.loader is x.__loader__, len(inspect.getsource(x)) > 0) for x in (m, u)])"
    )
    done = python(code, environment(ARM, tmp_path))
    assert done.stdout == f"{[('SourceFileLoader', set(), True, True)] * 2}\n", done.stderr


@pytest.mark.parametrize("folder", ["missing", "full"])
def test_a_place_that_cannot_be_written(start, wire, tmp_path, folder):
    """The service works on, without a word."""
    place = "/dev/full" if folder == "full" else str(tmp_path / folder)
    with start(wire=wire, env={FOLDER_VARIABLE: place}) as service:
        assert service.get("/select", "unseen") == 200
        assert service.get("/select", "unseen") == 200
        assert "brokenpipe" not in service.process.log_path.read_text()


def test_closed_descriptors(tmp_path):
    """A target that closes all its descriptors gets none of our lines into the files it opens next."""
    code = (
        "import os, sys; from brokenpipe_witness import ndjson_file;"
        "ndjson_file.write({'k': 'a'}); os.closerange(3, 50);"
        "own = [os.open(sys.argv[0] + str(n), os.O_RDWR | os.O_CREAT) for n in range(9)];"
        "ndjson_file.write({'k': 'b'}); print([os.fstat(f).st_size for f in own])"
    )
    done = python(code, environment(ARM, tmp_path), cwd=tmp_path)
    assert done.stdout == f"{[0] * 9}\n", done.stderr
    assert [line["k"] for line in read(files_of(tmp_path, ARM)[0])] == ["clock", "a", "clock", "b"]


def test_killed_at_full_speed(start, wire):
    """kill -9 in the middle of traffic: every line in the file is whole."""
    with start(wire=wire) as service:
        clients = [service.client.submit(hammer, service, n) for n in range(4)]
        service.until(lambda: True if len(service.lines("request")) > 200 else None, "some traffic")
        service.process.popen.kill()
        answered = sum(each.result() for each in clients)
        (path,) = files_of(service.folder, ARM)
        assert path.read_bytes().endswith(b"}\n")
        # The line is written right after the answer, so one request may have been answered and have none.
        assert answered - 1 <= len(service.lines("request")) <= answered + len(clients)


def hammer(service, n):
    """Requests one after the other until the service is gone; how many were answered."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        for answered in range(100_000):
            try:
                session.get(service.url + "/select", headers={"X-Request-ID": f"{n}-{answered}"}, timeout=10)
            except requests.RequestException:
                return answered
    raise AssertionError("the service was never killed")


def test_a_process_that_meets_nothing_it_knows(tmp_path):
    """It leaves a file that says nothing but that the witness ran: one without a file had none."""
    done = python("pass", environment(ARM, tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = files_of(tmp_path, ARM)
    assert [line["k"] for line in read(path)] == ["clock"]


def test_the_first_start_of_a_response_counts(tmp_path):
    """A stream began with 200 and broke; an error handler that then says 500 is refused by the server."""
    code = """
import asyncio, contextlib
from brokenpipe_witness.requests.asgi import instrumented

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.start", "status": 500})

async def send(message):
    if message["status"] == 500:
        raise RuntimeError("started already")

with contextlib.suppress(RuntimeError):
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"one")]}
    asyncio.run(instrumented(app, "a server")(scope, None, send))
"""
    done = python(code, environment(ARM, tmp_path))
    assert done.stderr == ""
    (line,) = (line for line in read(files_of(tmp_path, ARM)[0]) if line["k"] == "request")
    assert (line["status"], line["failed"]) == (200, True)


def test_wrapped_functions_look_as_before(tmp_path):
    """What frameworks ask of a function is the same: its signature, and whether it is a coroutine function."""
    code = (
        "import asyncio, inspect, asyncpg, psycopg, psycopg2, psycopg_pool, pg8000.dbapi\n"
        "from psycopg2.pool import ThreadedConnectionPool as threaded\n"
        "of = [asyncpg.Pool.release, asyncpg.Pool._acquire, asyncpg.pool.PoolConnectionProxy.fetch, psycopg.connect,"
        " psycopg.AsyncConnection.connect, psycopg.AsyncConnection.wait, psycopg_pool.ConnectionPool.getconn,"
        " psycopg_pool.AsyncConnectionPool.getconn, psycopg2.connect, threaded.getconn, pg8000.dbapi.Connection]\n"
        "print([(f.__name__, str(inspect.signature(f)), inspect.iscoroutinefunction(f), asyncio.iscoroutinefunction(f),"
        " inspect.ismethod(f)) for f in of])"
    )
    done, bare = python(code, environment(ARM, tmp_path)), python(code, {})
    assert (done.stdout, done.stderr) == (bare.stdout, "") != ("", "")
